"""Settings as data: which candidates a study tries on which device, and what the demo runs."""
