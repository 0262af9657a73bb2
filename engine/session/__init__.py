"""Starts a job, follows its log, sends it commands, restarts it."""
