"""Profiles, schedules and goals against the window."""
