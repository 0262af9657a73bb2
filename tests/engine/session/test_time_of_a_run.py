"""A live training whose wall clock is set, and one whose processes are stopped."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.config.paths import with_values
from speedtui.engine.log.tail import read_events
from speedtui.engine.session.process import ProcessSession
from speedtui.engine.session.stall import StallBudgets
from speedtui.engine.session.start import start_training
from speedtui.engine.session.thread import ThreadSession
from speedtui.engine.state import RunState
from speedtui.tui.drawing.text import plain
from speedtui.tui.frame import Frame
from speedtui.tui.panes.deadline import draw_deadline
from speedtui.tui.panes.header import draw_header
from tests.engine.session.conftest import Starter

pytestmark = pytest.mark.slow

LONG = {"train.max_steps": 20_000, "schedule.eval_every": "never", "schedule.checkpoint_every": "never"}
STOPPED_SECONDS = 8.0
"""Above the budget of a step in that test, and above what is looked at."""


class SetClock:
    """The wall clock of a machine, which somebody sets."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def shown(state: RunState, silent_seconds: float, clock: float) -> str:
    frame = Frame(run=state, study=state, clock=clock, silent_seconds=silent_seconds)
    return "\n".join(map(plain, [draw_header(frame, "monitor", 140), *draw_deadline(frame, 140, 8)]))


def verdicts_after_moves(log: Path) -> list[e.Verdict | None]:
    """The first estimate after each move of the clock."""
    found: list[e.Verdict | None] = []
    moved = False
    for event in read_events(log):
        if isinstance(event, e.ClockMoved):
            moved = True
        elif isinstance(event, e.EtaUpdated) and moved:
            found.append(event.verdict)
            moved = False
    return found


def test_a_clock_that_is_set_makes_a_run_late_and_in_time_again_at_once(start: Starter) -> None:
    settings = with_values(start.settings, {**LONG, "window.length": "9d"}, "test")
    wall = SetClock()
    driven = start._drive(ThreadSession(start_training(settings, start.options(in_thread=True)).folder, wall=wall))
    session = driven.session
    assert isinstance(session, ThreadSession)

    def verdict(wanted: e.Verdict) -> RunState:
        return driven.until(lambda s: s.training is not None and s.training.eta is not None
                            and s.training.eta.verdict == wanted)  # fmt: skip

    before = verdict("on_track")
    eta = before.training.eta if before.training is not None else None
    assert eta is not None and eta.p50_seconds is not None and before.window is not None
    forward = before.window.deadline - before.now - eta.p50_seconds / 2
    wall.ahead = forward
    state = verdict("late")
    text = shown(state, session.silent_seconds, wall())
    assert "LATE by" in text and "silent" not in text
    assert abs(state.now - wall()) < 60, "the run's now is the clock's"
    wall.ahead = 0.0
    state = verdict("on_track")
    text = shown(state, session.silent_seconds, wall())
    assert "ON TRACK" in text and "silent" not in text
    assert abs(state.now - wall()) < 60
    session.send(c.Cancel())
    ended = driven.end()
    moves = driven.events(e.ClockMoved)
    assert [(move.cause, move.seconds > 0) for move in moves] == [("set", True), ("set", False)]
    assert abs(moves[0].seconds - forward) < 2 and abs(sum(move.seconds for move in moves)) < 2
    assert verdicts_after_moves(session.folder.events)[:2] == ["late", "on_track"]
    assert ended.t < forward / 2, "the run's own time knows nothing of it"
    assert any("the wall clock was set forward by" in line.text for line in ended.log)


def test_a_stopped_worker_is_said_to_be_so_and_neither_works_nor_stalls_meanwhile(start: Starter) -> None:
    settings = with_values(start.settings, LONG, "test")
    budgets = StallBudgets(factor=1.0, step_least=STOPPED_SECONDS - 1, step_most=STOPPED_SECONDS - 1)
    folder = start_training(settings, start.options(in_thread=False)).folder
    session = ProcessSession(folder, budgets=budgets)
    driven = start._drive(session)
    state = driven.until(lambda s: s.training is not None and s.training.step >= 3)
    assert state.pid is not None
    os.killpg(state.pid, signal.SIGSTOP)
    try:
        state = driven.until(lambda s: s.suspended is not None)
        assert "suspended" in shown(state, session.silent_seconds, time.time())
        driven.until(lambda _: session.silent_seconds > STOPPED_SECONDS)
    finally:
        assert state.pid is not None
        os.killpg(state.pid, signal.SIGCONT)
    reached = state.training.step if state.training is not None else 0
    state = driven.until(lambda s: s.suspended is None and s.training is not None and s.training.step > reached + 3)
    session.send(c.Stop())
    ended = driven.end()
    (moved,) = driven.events(e.ClockMoved)
    assert moved.cause == "suspended" and moved.seconds > 3
    assert driven.events(e.Stalled) == []
    assert max(step.seconds for step in driven.events(e.StepCompleted)) < moved.seconds
    finished = driven.events(e.RunFinished)[-1]
    assert ended.books is not None
    assert ended.books.wall <= finished.t + 0.1
    assert abs(ended.started_at + finished.t + moved.seconds - ended.wall(finished.t)) < 0.001
    assert any("the worker was suspended for" in line.text for line in ended.log)
