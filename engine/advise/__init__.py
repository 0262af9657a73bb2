"""What to change: rules, each with its evidence and what it buys."""
