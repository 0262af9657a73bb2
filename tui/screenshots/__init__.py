"""Pictures of every screen at named moments of recorded runs."""
