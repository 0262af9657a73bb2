"""The next run as it is being made up: edits, profiles, strategies, and what they come to."""
