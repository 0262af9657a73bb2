"""The terminal: whether and how the screen can be drawn."""

from __future__ import annotations

import codecs
import locale
import os

from speedtui.engine.doctor.check import Check

FULL_SIZE = (80, 24)
"""Columns and rows below which the screen leaves panes out."""


def check_terminal() -> Check:
    """Whether there is a terminal, its kind and its size."""
    kind = os.environ.get("TERM", "")
    size = terminal_size()
    if size is None:
        advice = "The screen needs a terminal; jobs run without one, and --json or a run's log tell how they go."
        return Check(name="terminal", status="warning", found="none: output goes to a file or a pipe", advice=advice)
    found = f"{kind or 'TERM not set'}, {size[0]}x{size[1]}{_inside()}"
    if kind in ("", "dumb"):
        advice = "The screen cannot be drawn: set TERM to the terminal's kind, such as xterm-256color."
        return Check(name="terminal", status="warning", found=found, advice=advice)
    if size[0] < FULL_SIZE[0] or size[1] < FULL_SIZE[1]:
        advice = "Panes are left out below 80x24: enlarge the window or use a smaller font."
        return Check(name="terminal", status="warning", found=found, advice=advice)
    return Check(name="terminal", status="ok", found=found)


def check_colours() -> Check:
    """How many colours the environment promises, as Textual reads it."""
    kind = os.environ.get("TERM", "")
    if os.environ.get("NO_COLOR"):
        return Check(name="colours", status="ok", found="none, as NO_COLOR asks")
    if kind in ("", "dumb"):
        advice = "Set TERM to the terminal's kind, such as xterm-256color."
        return Check(name="colours", status="warning", found="none", advice=advice)
    if os.environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit") or kind.endswith("-direct"):
        return Check(name="colours", status="ok", found="16 million")
    if kind.endswith("256color") or kind == "xterm-kitty":
        return Check(name="colours", status="ok", found="256")
    advice = "If the terminal has more: export COLORTERM=truecolor, or set TERM=xterm-256color."
    return Check(name="colours", status="ok", found="16", advice=advice)


def check_encoding() -> Check:
    """Whether lines, blocks and braille dots of the charts arrive as such."""
    encoding = locale.getencoding()
    setting = next(
        (f"{name}={os.environ[name]}" for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), ""
    )
    found = f"{encoding} ({setting or 'LANG not set'})"
    if codecs.lookup(encoding).name == "utf-8":
        return Check(name="text encoding", status="ok", found=found)
    advice = "Charts may show as question marks: export LC_ALL=C.UTF-8"
    return Check(name="text encoding", status="warning", found=found, advice=advice)


def terminal_size() -> tuple[int, int] | None:
    """Columns and rows of the terminal that this process is in; None without one."""
    for descriptor in (1, 2, 0):  # output may be piped while errors or input are not
        try:
            size = os.get_terminal_size(descriptor)
        except OSError:
            continue
        return size.columns, size.lines
    return None


def _inside() -> str:
    kind = os.environ.get("TERM", "")
    if os.environ.get("TMUX") or kind.startswith("tmux"):
        return ", inside tmux"
    return ", inside screen" if os.environ.get("STY") or kind.startswith("screen") else ""
