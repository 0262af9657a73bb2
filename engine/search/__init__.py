"""Which candidates a study tries."""
