"""Which colours a terminal gets, and whether it shows anything but ASCII."""

from __future__ import annotations

import locale
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.filter import LineFilter

if TYPE_CHECKING:
    from textual.color import Color
    from textual.theme import Theme

RICH_THEME, RICH_LIGHT_THEME = "textual-dark", "textual-light"
PLAIN_THEME, PLAIN_LIGHT_THEME = "ansi-dark", "ansi-light"
"""The terminal's own 16 colours on its own background: for few colours, NO_COLOR and slow connections."""
CONTRAST_THEME = "high-contrast"
THEMES = (RICH_THEME, RICH_LIGHT_THEME, CONTRAST_THEME, PLAIN_THEME, PLAIN_LIGHT_THEME)
"""In the order in which a key goes through them."""
LIGHT_BACKGROUNDS = ("7", "15")
"""White and bright white, as the last number of COLORFGBG, which some terminals set."""
BARE_TERMINALS = ("linux", "dumb", "vt100", "vt102", "vt220")
"""Terminals without a window and its title; their fonts lack most signs."""


def choose_theme(environ: Mapping[str, str], asked: str = "", *, few_colours: bool = False) -> str:
    """The name of a theme: the one asked for, else NO_COLOR, else TEXTUAL_THEME, else what the terminal says it is."""
    if asked:
        return asked
    light = environ.get("COLORFGBG", "").rpartition(";")[2] in LIGHT_BACKGROUNDS
    plain = PLAIN_LIGHT_THEME if light else PLAIN_THEME
    if no_colour(environ):
        return plain
    if environ.get("TEXTUAL_THEME"):
        return environ["TEXTUAL_THEME"]
    many = environ.get("COLORTERM") in ("truecolor", "24bit") or "256color" in environ.get("TERM", "")
    if few_colours or not many:
        return plain
    return RICH_LIGHT_THEME if light else RICH_THEME


def no_colour(environ: Mapping[str, str], asked: str = "") -> bool:
    """Whether nothing may be coloured: NO_COLOR holds something, and no theme was asked for by name."""
    return bool(environ.get("NO_COLOR")) and not asked


def ascii_only(environ: Mapping[str, str], encoding: str | None = None) -> bool:
    """Whether the terminal lacks the signs; `encoding`: of the locale, by default this process's."""
    known = encoding if encoding is not None else locale.getencoding()
    return environ.get("TERM") in BARE_TERMINALS or known.upper().replace("-", "") not in ("UTF8", "CP65001")


def has_titles(environ: Mapping[str, str]) -> bool:
    """Whether the terminal has a window with a title, as far as its name says."""
    return environ.get("TERM", "dumb") not in BARE_TERMINALS


def contrast_theme() -> Theme:
    """White on black without a shade between them, for bright rooms and tired eyes."""
    from textual.theme import Theme

    return Theme(
        name=CONTRAST_THEME, dark=True, primary="#00afff", secondary="#ffffff", accent="#ffff00",
        foreground="#ffffff", background="#000000", surface="#000000", panel="#1a1a1a", boost="#262626",
        success="#00ff5f", warning="#ffd700", error="#ff5f5f",
    )  # fmt: skip


class Colourless(LineFilter):
    """Takes every colour out of what is drawn; bold, dim, underlined and reversed text stays so."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same text; its background colour is the terminal's."""
        return [Segment(text, _without_colour(style), control) for text, style, control in segments]


def _without_colour(style: Style | None) -> Style | None:
    return style.without_color if style is not None else None
