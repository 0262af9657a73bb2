"""The event log and the command file of a run, on disk: append-only lines, read while they are written."""
