"""Checkpoints on disk: written aside, proved, renamed; found again after an interruption."""
