"""The terminal that the screen is drawn on: bytes, title, colours, clipboard, signals."""
