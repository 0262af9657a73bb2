"""What a person is told who does not look: which events are worth it, and the command that is run for them."""
