"""Where the time and the memory of a step go, measured for microseconds a step."""
