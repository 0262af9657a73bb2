"""When evaluations and checkpoints are due, how many come, and what they cost."""
