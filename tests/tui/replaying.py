"""A session that plays a training or a study at the speed it would really have, to be shown in a real terminal.

python tests/tui/replaying.py [training|idle|study]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import builders
from recorded import RecordedSession

from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode
from speedtui.engine.session.base import OnLine
from speedtui.tui.launch import ScreenOptions, show


class ReplayingSession(RecordedSession):
    """Feeds (delay, event) pairs in the thread that runs it."""

    def __init__(self, past: list[e.AnyEvent], future: Iterator[tuple[float, e.AnyEvent]], folder: Path) -> None:
        super().__init__(past, folder=folder)
        self._future = future

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        self._on_line = on_line
        for delay, event in self._future:
            if self._over.wait(delay):
                return self._exit_code
            self.hear(event)
        self._over.wait()
        return self._exit_code


def training_ahead(first: int) -> Iterator[tuple[float, e.AnyEvent]]:
    """A step every 0.41 s, hardware and an estimate every second."""
    t, last = builders.STARTED_AT and 41 + first * 0.412, 0.0
    for number in range(first + 1, 18_001):
        t += 0.412
        yield 0.412, builders.coalesced(t, number, 1, loss=builders.loss_at(number))
        if t - last >= 1:
            last = t
            yield 0.0, builders.hardware(t, wobble=t)
            yield 0.0, builders.eta(t, number)


def study_ahead() -> Iterator[tuple[float, e.AnyEvent]]:
    """A trial of 14 s after another."""
    t = 16.0
    for number in range(8):
        for event in builders.trial_events(
            t, number, builders.ok_result(0.8 - number / 20, 20.0 + 5 * number), 0.8 - number / 20
        ):
            yield max(0.0, event.t - t), event
            t = max(t, event.t)
            yield 0.0, builders.hardware(t, wobble=t)


def main() -> int:
    what = sys.argv[1] if len(sys.argv) > 1 else "training"
    folder = Path(tempfile.mkdtemp(prefix="speedtui-replay-"))
    if what == "study":
        past: list[e.AnyEvent] = [
            builders.run_started(),
            builders.hardware(1.0),
            builders.model_loaded(),
            builders.study_started(),
        ]
        session = ReplayingSession(past, study_ahead(), folder)
    elif what == "idle":
        session = ReplayingSession(builders.idle_study_log(), iter(()), folder)
    else:
        session = ReplayingSession(builders.training_log(), training_ahead(7578), folder)
    offset = time.time() - session.snapshot().now
    look = json.loads(os.environ.get("SPEEDTUI_TEST_LOOK", "{}"))
    code = show(session, options=ScreenOptions(clock=lambda: time.time() - offset, **look))
    if report := os.environ.get("SPEEDTUI_TEST_REPORT"):
        Path(report).write_text("\n".join(sorted(sys.modules)))
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
