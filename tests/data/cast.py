"""Records the demo in a real terminal as an asciicast, with some keys pressed on the way.

python -m tests.data.cast OUT_FILE

The format is asciicast v2 (docs.asciinema.org/manual/asciicast/v2): a header, then a line for each piece of output. The
recorder on PyPI had its last release in 2023 and is under the GPL, and the one that is kept up is a program in Rust;
writing these lines takes less than driving either.
"""

from __future__ import annotations

import codecs
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from speedtui.engine import events as e
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import list_runs
from tests.tui.pseudo_terminal import Terminal

COLUMNS, ROWS = 100, 30
TERM = "xterm-256color"
IDLE_SECONDS = 2.0
"""Longer pauses are played as this; nobody waits for a model to load twice."""
CHUNK_SECONDS = 0.02
"""What comes within it is one piece; no eye tells them apart."""
LOOK_SECONDS = 3.0
"""At each screen, as long as it takes to find one's way on it."""
LAST_SECONDS = 3.0
"""At the finished run."""
PATIENCE_SECONDS = 600.0
SPEEDTUI = str(Path(sys.executable).with_name("speedtui"))

Seen = Callable[[list[e.AnyEvent]], bool]


def _trials(count: int) -> Seen:
    return lambda log: sum(isinstance(event, e.TrialFinished) for event in log) >= count


def _steps(count: int) -> Seen:
    return lambda log: sum(isinstance(event, e.StepCompleted) and event.trial is None for event in log) >= count


def _over(log: list[e.AnyEvent]) -> bool:
    return any(isinstance(event, e.RunFinished) for event in log)


WALK: tuple[tuple[Seen, tuple[tuple[str, str], ...]], ...] = (
    (_trials(3), (("2", "Trials"), ("j", "a trial"), ("j", "the next"))),
    (_steps(5), (("1", "Monitor"),)),
    (_steps(20), (("3", "Plan"), ("4", "Advisor"), ("?", "help"), ("?", "back"), ("1", "Monitor"))),
    (_over, ()),
)
"""What is waited for in the run's log, and then (key, what it shows) one after the other."""


class Cast:
    """What a terminal shows, with its times."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._began = time.monotonic()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.events: list[tuple[float, str, str]] = []

    def watch(self, seconds: float) -> None:
        """Takes in what comes within so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = self._decoder.decode(self._terminal.read(CHUNK_SECONDS))
            if text:
                self._note("o", text)

    def press(self, key: str, shows: str = "") -> None:
        """A key; players can jump to what it shows."""
        if shows:
            self._note("m", shows)
        self._terminal.type(key)

    def _note(self, kind: str, text: str) -> None:
        self.events.append((round(time.monotonic() - self._began, 3), kind, text))

    @property
    def seconds(self) -> float:
        """As it is played, with long pauses cut."""
        times = [0.0, *(moment for moment, _, _ in self.events)]
        return sum(min(IDLE_SECONDS, after - before) for before, after in pairwise(times))

    def write(self, path: Path, title: str) -> None:
        """As asciicast v2."""
        header: dict[str, Any] = {
            "version": 2, "width": COLUMNS, "height": ROWS, "timestamp": int(time.time()), "title": title,
            "idle_time_limit": IDLE_SECONDS, "env": {"TERM": TERM},
        }  # fmt: skip
        lines = [header, *self.events]
        path.write_text(
            "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines),
            encoding="utf-8",
        )


def record(folder: Path) -> Cast:
    """The demo from its start to the screen of the finished run."""
    os.chdir(folder)
    terminal = Terminal([SPEEDTUI, "demo"], COLUMNS, ROWS, {"TERM": TERM})
    try:
        cast = Cast(terminal)
        for wanted, keys in WALK:
            _watch_until(cast, wanted, folder / "runs")
            for key, shows in keys:
                cast.press(key, shows)
                cast.watch(LOOK_SECONDS)
        cast.watch(LAST_SECONDS)
        terminal.type("q")
        if terminal.wait(PATIENCE_SECONDS) is None:
            raise TimeoutError("the screen was not left")
    finally:
        terminal.kill()
        end_workers(folder / "runs")
    return cast


def end_workers(runs: Path) -> None:
    """A run outlives its terminal; one whose recording failed is not wanted any more."""
    for run in list_runs(runs):
        pids = [event.pid for event in read_events(run.events) if isinstance(event, e.RunStarted)]
        if pids and run.worker_alive():
            os.kill(pids[-1], signal.SIGKILL)


def _watch_until(cast: Cast, wanted: Seen, runs: Path) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not any(wanted(list(read_events(run.events))) for run in list_runs(runs)):
        cast.watch(0.25)
        if time.monotonic() > give_up:
            raise TimeoutError(f"waited {PATIENCE_SECONDS:g} s in vain")


def record_into(arguments: list[str], usage: str | None, make: Callable[[Path], Cast], title: str) -> int:
    """Records in a home of its own and writes to the one argument, or says how it is called."""
    if len(arguments) != 1:
        print(usage, file=sys.stderr)
        return 2
    out = Path(arguments[0]).resolve()
    with tempfile.TemporaryDirectory(prefix="speedtui-cast-") as made:
        root = Path(made).resolve()
        os.environ.update({f"XDG_{kind}_HOME": str(root / kind.lower()) for kind in ("CACHE", "DATA", "CONFIG")})
        cast = make(root)
    out.parent.mkdir(parents=True, exist_ok=True)
    cast.write(out, title)
    print(f"{out.name}: {len(cast.events)} pieces, {out.stat().st_size / 1024:.0f} KiB, {cast.seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(record_into(sys.argv[1:], __doc__, record, "speedtui demo"))
