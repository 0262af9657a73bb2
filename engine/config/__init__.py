"""Validated configuration: what speedtui.toml may say, read, checked and written back."""
