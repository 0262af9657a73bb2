"""The title of the terminal's window: how far it is and whether it is in time, for a window that is not in front."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState, RunStatus, TrainingState
from speedtui.tui.drawing.text import clean, clock

if TYPE_CHECKING:
    from speedtui.engine.events import Verdict

SHORTEST_SECONDS = 1.0
"""Between two titles."""
NAME = "speedtui"
VERDICT_WORDS: dict[Verdict, str] = {
    "measuring": "measuring", "on_track": "ON TRACK", "tight": "TIGHT", "late": "LATE",
}  # fmt: skip

ENDINGS = {"ok": "done", "late": "done, late", "no_fit": "nothing fits"}
"""The other outcomes are words that people use."""


class Titled(Protocol):
    """What has a title."""

    def set_title(self, text: str) -> None:
        """Shows it."""
        ...


class Title:
    """Sends a title when it became another one."""

    def __init__(self) -> None:
        self._shown = ""
        self._sent_at = -SHORTEST_SECONDS

    def show(self, window: Titled, run: RunState) -> None:
        """To be called at each tick."""
        text, now = title_of(run), time.monotonic()
        if text != self._shown and now - self._sent_at >= SHORTEST_SECONDS:
            self._shown, self._sent_at = text, now
            window.set_title(text)


def title_of(run: RunState) -> str:
    """`42% ON TRACK · 17:28 · speedtui`"""
    parts = _training(run, run.training) if run.training is not None else _study(run)
    return " · ".join([*(clean(part) for part in parts if part), NAME])


def _training(run: RunState, training: TrainingState) -> list[str]:
    percent = f"{int(100 * training.progress)}%"
    if run.status is not RunStatus.TRAINING:
        return [f"{percent} {_how_it_is(run)}"]
    eta = training.eta
    if eta is None or eta.verdict is None:
        return [percent, _finish(run, training)]
    return [f"{percent} {VERDICT_WORDS[eta.verdict]}", _finish(run, training)]


def _how_it_is(run: RunState) -> str:
    return ENDINGS.get(run.outcome, run.outcome) if run.outcome else run.status.value


def _finish(run: RunState, training: TrainingState) -> str:
    eta = training.eta
    if eta is None or eta.p50_seconds is None:
        return ""
    return clock(run.ahead(eta.t, eta.p50_seconds), run.now)


def _study(run: RunState) -> list[str]:
    study = run.study
    if study is None or run.status is not RunStatus.TUNING:
        return [_how_it_is(run)]
    done = sum(row.status.finished for row in study.rows)
    return [f"tuning {done}/{len(study.rows)}", f"{study.count(TrialStatus.QUEUED)} queued"]
