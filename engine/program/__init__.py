"""A training program of the user's own as a run: it is started unchanged, and the meter goes into it."""
