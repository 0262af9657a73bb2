"""Named sets of settings that trade speed, quality and memory, and which of them the data asks for."""
