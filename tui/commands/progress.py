"""What is said on stderr of a log that is read: how far it is, and what of it told nothing."""

from __future__ import annotations

import time

from speedtui.engine.clean import clean
from speedtui.engine.output import warn
from speedtui.engine.state.passed_over import PassedOver

PROGRESS_SECONDS = 1.0
"""Before the first and between two lines of progress: a short log needs none."""


class ProgressLine:
    """How much of something long is read, now and then."""

    def __init__(self, what: str = "the log", *, silent: bool = False) -> None:
        self._what = what
        self._silent = silent
        self._due = time.monotonic() + PROGRESS_SECONDS

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._silent and done < total and now >= self._due:
            self._due = now + PROGRESS_SECONDS
            warn(f"reading {self._what}: {done / total:.0%}")


def say_passed_over(passed_over: PassedOver | None) -> None:
    """One line, where there is anything to say."""
    if passed_over:
        warn(clean(f"speedtui: {passed_over.words}"))
