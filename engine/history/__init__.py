"""What earlier runs measured, in one SQLite file."""
