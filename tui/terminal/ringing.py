"""The terminal's bell and its desktop notifications, for an alert while a screen is open; each by choice."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from speedtui.engine.clean import clean

if TYPE_CHECKING:
    from speedtui.engine.alerts.rules import Alert

BELL = "\a"
LONGEST = 200
"""Characters: a notification shows no more."""
KNOW_777 = ("rxvt", "foot")
"""Beginnings of TERM. They, and terminals on VTE, take title and text by urxvt's OSC 777, others iTerm2's OSC 9. One is
sent, since some know both and would show it twice."""


class Ringing(Protocol):
    """What can be rung."""

    def write(self, data: str) -> object:
        """Sends it to the terminal."""
        ...


def ring(terminal: Ringing, alert: Alert, config: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """What the run's settings want of an open screen; `config`: as they are in its log, `environment`: the screen's."""
    notify = config.get("notify") or {}
    if alert.kind not in notify.get("on", ()):
        return
    if notify.get("bell"):
        terminal.write(BELL)
    if notify.get("desktop"):
        terminal.write(notification(alert.title, alert.text, environment))


def notification(title: str, text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The sequence that has the terminal show it, through tmux where that is between: it passes it on with
    `set -g allow-passthrough on`, and drops it else."""
    title, text = clean(title, LONGEST), clean(text, LONGEST)
    if environment.get("TERM", "").startswith(KNOW_777) or environment.get("VTE_VERSION"):
        sequence = f"\x1b]777;notify;{title.replace(';', ',')};{text}{BELL}"
    else:
        sequence = f"\x1b]9;{title}: {text}{BELL}"
    if not environment.get("TMUX"):
        return sequence
    return f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"
