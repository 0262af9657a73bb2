"""A terminal that nobody reads must not slow the training behind it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
from endless import Training
from figures import keep, table
from pseudo_terminal import Terminal, stalled

from speedtui.engine import events as e
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import list_runs

WINDOW_SECONDS, TURNS = 6.0, 4
COLUMNS, ROWS = 140, 40
REQUIRED_RATIO = 0.9


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a training."""

    read: bool
    """Whether anybody read the terminal."""
    began: float
    """Wall clock."""
    ended: float
    cpu_seconds: float
    """Of the worker."""
    held_back_bytes: int
    """What came within a second of the end of a stretch in which the terminal took nothing."""


def test_a_stalled_terminal_does_not_slow_the_training(tmp_path: Path) -> None:
    training = Training(tmp_path, COLUMNS, ROWS)
    try:
        worker = training.wait()
        windows = [window(training.terminal, worker, read=turn % 2 == 0) for turn in range(2 * TURNS)]
    finally:
        training.end()
    folder = list_runs(training.runs)[0]
    steps = [event for event in read_events(folder.events) if isinstance(event, e.StepCompleted)]
    started = next(event for event in read_events(folder.events) if isinstance(event, e.RunStarted)).started_at
    measured = [(w, rate(steps, w, started), cpu(steps, w, started)) for w in windows]
    rows = [["read" if w.read else "nobody reads", found, used * 1e3, w.held_back_bytes] for w, found, used in measured]
    print(table(["6 s each, in turns", "steps/s", "worker's CPU ms a step", "bytes held back"], rows))
    pairs = [(measured[i], measured[i + 1]) for i in range(0, 2 * TURNS, 2)]
    ratios = [stalled[1] / watched[1] for watched, stalled in pairs]
    ratio = statistics.median(ratios)
    by_cpu = statistics.median(watched[2] / stalled[2] for watched, stalled in pairs)
    print(f"\nsteps a second, unread to read: median {ratio:.3f} of {[round(r, 3) for r in ratios]}; "
          f"by CPU a step {by_cpu:.3f}")  # fmt: skip
    keep("stalled_terminal", {
        "required_ratio": REQUIRED_RATIO, "ratio": ratio, "ratios": ratios, "ratio_by_cpu": by_cpu,
        "windows": [{"window": w, "steps_per_second": found, "cpu_seconds": used} for w, found, used in measured],
    })  # fmt: skip
    assert all(w.held_back_bytes > 0 for w in windows if not w.read)
    assert ratio >= REQUIRED_RATIO


def window(terminal: Terminal, worker: psutil.Process, *, read: bool) -> Window:
    """Some seconds with a reader, or with a terminal that takes nothing; afterwards it catches up."""
    before, began = worker.cpu_times(), time.time()
    if read:
        terminal.read(WINDOW_SECONDS)
    else:
        with stalled(terminal):
            time.sleep(WINDOW_SECONDS)
    after, ended = worker.cpu_times(), time.time()
    rest = terminal.read(1.0)
    return Window(
        read=read, began=began, ended=ended, held_back_bytes=len(rest) if not read else 0,
        cpu_seconds=after.user + after.system - before.user - before.system,
    )  # fmt: skip


def inside(steps: list[e.StepCompleted], w: Window, started: float) -> Iterator[e.StepCompleted]:
    return (step for step in steps if w.began <= started + step.t - step.seconds and started + step.t <= w.ended)


def rate(steps: list[e.StepCompleted], w: Window, started: float) -> float:
    """Steps a second: over the time from the first line's begin to the last one's end."""
    lines = list(inside(steps, w, started))
    return sum(line.steps for line in lines) / (lines[-1].t - lines[0].t + lines[0].seconds)


def cpu(steps: list[e.StepCompleted], w: Window, started: float) -> float:
    """CPU seconds of the worker a step."""
    return w.cpu_seconds / (rate(steps, w, started) * (w.ended - w.began))
