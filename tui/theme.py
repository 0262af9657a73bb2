"""Which theme a terminal gets."""

from __future__ import annotations

from collections.abc import Mapping

RICH_THEME = "textual-dark"
PLAIN_THEME = "ansi-dark"
"""The terminal's own 16 colours on its own background: for few colours, light backgrounds and NO_COLOR."""


def choose_theme(environ: Mapping[str, str]) -> str:
    """The name of the theme; TEXTUAL_THEME wins."""
    if environ.get("TEXTUAL_THEME"):
        return environ["TEXTUAL_THEME"]
    if "NO_COLOR" in environ:
        return PLAIN_THEME
    many = environ.get("COLORTERM") in ("truecolor", "24bit") or "256color" in environ.get("TERM", "")
    return RICH_THEME if many else PLAIN_THEME
