"""Who listens to a log gets what was written, in order, and never holds up the writing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from tests.engine import events_of_a_run as a


class Listener:
    """Remembers what it got, and in which threads."""

    def __init__(self) -> None:
        self.events: list[e.AnyEvent] = []
        self.threads: set[str] = set()

    def __call__(self, events: Sequence[e.AnyEvent]) -> None:
        self.events += events
        self.threads.add(threading.current_thread().name)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = EventLog(tmp_path / "events.jsonl", RunClock())
    yield log
    log.close()


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_what_is_written_is_handed_over_by_the_pump_thread(log: EventLog) -> None:
    listener = Listener()
    log.subscribe(listener)
    log.emit(a.step(1))
    log.flush()  # writes in this thread; the handing over is the pump's
    log.emit(a.step(2))
    wait_until(lambda: len(listener.events) == 2)
    assert [event.step for event in listener.events if isinstance(event, e.StepCompleted)] == [1, 2]
    assert listener.threads == {"event-pump"}


def test_the_rest_is_handed_over_before_a_listener_leaves_and_nothing_after(log: EventLog) -> None:
    listener = Listener()
    log.subscribe(listener)
    for number in range(1, 2001):
        log.emit(a.step(number))
    log.unsubscribe(listener)
    assert [event.step for event in listener.events if isinstance(event, e.StepCompleted)] == list(range(1, 2001))
    log.emit(a.step(2001))
    log.flush()
    assert len(listener.events) == 2000


def test_a_listener_that_raises_is_left_out_and_the_log_goes_on(
    log: EventLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(events: Sequence[e.AnyEvent]) -> None:
        raise RuntimeError("not listening")

    listener = Listener()
    log.subscribe(broken)
    log.subscribe(listener)
    log.emit(a.step(1))
    log.pump()
    log.emit(a.step(2))
    log.unsubscribe(listener)
    assert len(listener.events) == 2
    assert len(list(read_events(tmp_path / "events.jsonl"))) == 2
    assert "not listening" in capsys.readouterr().err


def test_what_was_written_before_is_not_handed_over(log: EventLog) -> None:
    log.emit(a.step(1))
    log.flush()
    listener = Listener()
    log.subscribe(listener)
    log.emit(a.step(2))
    log.unsubscribe(listener)
    assert [event.step for event in listener.events if isinstance(event, e.StepCompleted)] == [2]
