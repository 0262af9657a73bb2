"""What a job has at hand: its order, its log, its clocks, its commands."""
