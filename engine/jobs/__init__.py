"""A job runs in a worker to its end: it emits events and obeys commands."""
