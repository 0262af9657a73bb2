"""How much memory a configuration needs, before anything runs."""
