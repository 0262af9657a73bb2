"""The simulated device in a worker process."""
