"""The runs that are open on this screen, live and recorded."""
