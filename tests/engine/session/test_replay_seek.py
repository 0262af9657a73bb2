"""A recording at any moment is the fold of its log up to there, however one came there."""

from __future__ import annotations

import random
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode, JobError, RunFolderError
from speedtui.engine.log import tail
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.recording import Cursor, Marks, end_of
from speedtui.engine.session.replay import PlayClock, ReplaySession
from speedtui.engine.state import RunState, fold
from speedtui.engine.state.passed_over import PassedOver
from tests.engine.events_of_a_run import started, step, training

END = 4000.0
"""About when the recording ends, seconds."""


def write(path: Path, events: Iterator[e.AnyEvent] | list[e.AnyEvent]) -> RunFolder:
    folder = RunFolder(path / "20260101-000000-train-0000")
    folder.path.mkdir(parents=True)
    folder.events.write_bytes(b"".join(e.encode(event) for event in events))
    return folder


def up_to(events: list[e.AnyEvent], t: float) -> RunState:
    """The fold of all events before the first one that is later."""
    later = next((i for i, event in enumerate(events) if event.t > t), len(events))
    return fold(events[:later])


class Played:
    """A replay that runs in a thread of the test."""

    def __init__(self, session: ReplaySession) -> None:
        self.session = session
        self.lines = 0
        self.exit_code: ExitCode | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.exit_code = self.session.run(self._count)

    def _count(self, _line: bytes, _event: e.AnyEvent) -> None:
        self.lines += 1

    def until(self, condition: Callable[[], bool]) -> None:
        give_up = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < give_up, self.session.position()
            time.sleep(0.005)

    def leave(self) -> None:
        self.session.detach()
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def play() -> Iterator[Callable[[ReplaySession], Played]]:
    played: list[Played] = []

    def start(session: ReplaySession) -> Played:
        played.append(Played(session))
        return played[-1]

    yield start
    for one in played:
        one.leave()


def a_training(steps: int, every: float = 1.0) -> list[e.AnyEvent]:
    """A training that loses its worker halfway and goes on from an earlier checkpoint."""
    half, back = steps // 2, steps // 2 - 20
    events: list[e.AnyEvent] = [started("train"), training(steps, t=0.5)]

    def go_on(first: int, last: int, t: float) -> float:
        for number in range(first, last + 1):
            t += every
            events.append(step(number, t=t, loss=2.0 + number % 7))
            if number % 10 == 0:
                events.append(e.EvaluationCompleted(t=t, step=number, loss=1.5, seconds=0.1, rows=8))
                events.append(e.CheckpointSaved(t=t - 0.5, step=number, path=f"c{number}", bytes=9, seconds=0.1))
        return t

    t = go_on(1, half, 0.0)
    events.append(e.WorkerLost(t=t + 0.2, reason="killed by SIGKILL", restarting=True))
    events.append(started("train", t=t + 0.4, restarts=1))
    events.append(training(steps, t=t + 0.5, first_step=back))
    t = go_on(back + 1, steps, t + 0.5)
    events.append(e.TrainingFinished(t=t, steps=steps, seconds=t, first_loss=2.0, last_loss=1.0, model_path=None))
    return [*events, e.RunFinished(t=t + 0.1, outcome="ok", exit_code=0)]


@pytest.fixture(scope="module")
def events() -> list[e.AnyEvent]:
    return a_training(400, END / 425)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, events: list[e.AnyEvent]) -> RunFolder:
    return write(tmp_path_factory.mktemp("runs"), events)


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, list[e.AnyEvent]]:
    """Of some three megabytes."""
    events = a_training(12_000)
    return write(tmp_path_factory.mktemp("runs"), events), events


SMALL_PIECES = 1 << 16
"""Bytes read at a time and between marks, so that a short log has many."""


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "CHUNK_BYTES", SMALL_PIECES)


def read_all(cursor: Cursor) -> Cursor:
    while cursor.advance(float("inf")):
        pass
    return cursor


@pytest.mark.usefixtures("small_pieces")
def test_from_any_mark_one_comes_to_the_fold_of_all_before(long_log: tuple[RunFolder, list[e.AnyEvent]]) -> None:
    folder, events = long_log
    marks = Marks(most=8, stride=SMALL_PIECES)
    assert read_all(Cursor(folder.events, marks)).snapshot() == fold(events)
    size, end = folder.events.stat().st_size, events[-1].t
    assert marks.whole and 4 <= len(marks) < 8
    assert marks.reached is not None and marks.reached.offset > 0.6 * size, "they reach over the whole log"
    chance = random.Random(1)
    for t in [0.0, *(chance.uniform(0, end) for _ in range(8)), end]:
        mark = marks.before(t)
        assert mark is None or (mark.t <= t and len(mark.state) < 400_000)
        assert mark is not None or t < end / 3
        cursor = Cursor(folder.events, marks, mark)
        while cursor.advance(t):
            pass
        assert cursor.snapshot() == up_to(events, t)


@pytest.mark.usefixtures("small_pieces")
def test_a_long_log_is_never_in_memory_as_a_whole(long_log: tuple[RunFolder, list[e.AnyEvent]]) -> None:
    folder, _ = long_log
    size = folder.events.stat().st_size
    tracemalloc.start()
    read_all(Cursor(folder.events, Marks(most=8, stride=SMALL_PIECES)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.7 * size, "its events as objects are several times its size"


@pytest.mark.usefixtures("small_pieces")
def test_on_the_way_to_a_moment_that_nobody_had_read_it_tells_how_much_was_read_and_shows_it(
    long_log: tuple[RunFolder, list[e.AnyEvent]],
) -> None:
    folder, events = long_log
    session = ReplaySession(folder, speed=1e-6, stay=True)
    session.seek(events[-1].t)
    steps = step_by_step(session)
    shares = [share for share, _ in steps]
    assert session.share_read is None and session.snapshot() == fold(events)
    assert len(shares) > 10 and shares == sorted(shares)
    assert 0 < shares[0] < 0.2 and 0.8 < shares[-1] <= 1
    for share, state in steps:
        assert state.t / events[-1].t == pytest.approx(share, abs=0.01)


def step_by_step(session: ReplaySession) -> list[tuple[float, RunState]]:
    """Goes where it was asked to; the share read and the state at every piece of the log, as a screen may see them."""
    seen: list[tuple[float, RunState]] = []

    def look(_frame: FrameType, event: str, _argument: object) -> None:
        share = session.share_read
        if event == "return" and share is not None and (not seen or share > seen[-1][0]):
            seen.append((share, session.snapshot()))

    sys.setprofile(look)
    try:
        session._go_where_wanted()
    finally:
        sys.setprofile(None)
    return seen


@pytest.mark.parametrize("paused", [True, False])
def test_seeking_back_and_on_shows_the_state_of_that_moment(
    folder: RunFolder, events: list[e.AnyEvent], play: Callable[[ReplaySession], Played], paused: bool
) -> None:
    session = ReplaySession(folder, speed=1e-6, stay=True)
    if paused:
        session.pause()
    played = play(session)
    for share in (0.5, 0.1, 0.9, 0.0, 1.0, 0.31, 0.3, 0.32):
        t = share * events[-1].t
        session.seek(t)
        assert session.position().t == pytest.approx(t, abs=0.01)
        expected = up_to(events, session.position().t)
        played.until(lambda expected=expected: session.snapshot() == expected)  # type: ignore[misc]
    assert played.lines <= 2, "what a jump passes over is not told as if it happened"


def test_a_moment_outside_the_recording_is_its_beginning_or_its_end(
    folder: RunFolder, events: list[e.AnyEvent], play: Callable[[ReplaySession], Played]
) -> None:
    session = ReplaySession(folder, speed=1e-6, stay=True)
    played = play(session)
    session.seek(10 * END)
    assert session.position().t == session.position().end == events[-1].t
    played.until(lambda: session.snapshot() == fold(events))
    session.seek(-5.0)
    played.until(lambda: session.snapshot() == up_to(events, 0.0))


def test_it_begins_where_it_is_told_to(
    folder: RunFolder, events: list[e.AnyEvent], play: Callable[[ReplaySession], Played]
) -> None:
    session = ReplaySession(folder, speed=1e-6, start=END / 2, stay=True)
    assert session.position().t == END / 2
    played = play(session)
    played.until(lambda: session.snapshot() == up_to(events, END / 2))


def test_a_recording_is_played_to_its_end_and_gives_every_line_once(
    folder: RunFolder, events: list[e.AnyEvent], play: Callable[[ReplaySession], Played]
) -> None:
    session = ReplaySession(folder, speed=1e9)
    played = play(session)
    played.until(lambda: played.exit_code is not None)
    assert (played.exit_code, played.lines) == (ExitCode.DONE, len(events))
    assert session.snapshot() == fold(events)


def test_on_a_screen_the_end_stays_and_one_can_go_back_from_it(
    folder: RunFolder, events: list[e.AnyEvent], play: Callable[[ReplaySession], Played]
) -> None:
    session = ReplaySession(folder, speed=1e9, stay=True)
    played = play(session)
    played.until(lambda: session.snapshot() == fold(events))
    assert played.exit_code is None
    session.set_speed(1e-6)
    session.seek(END / 4)
    played.until(lambda: session.snapshot() == up_to(events, END / 4))


def test_holding_it_holds_the_state(folder: RunFolder, play: Callable[[ReplaySession], Played]) -> None:
    session = ReplaySession(folder, speed=200.0, stay=True)
    played = play(session)
    played.until(lambda: session.position().t > 100)
    session.pause()
    held = session.position()
    played.until(lambda: session.snapshot().t <= held.t)
    time.sleep(0.2)
    assert session.position() == held and held.paused
    session.resume()
    played.until(lambda: session.position().t > held.t + 50)


def test_what_is_asked_for_last_counts(
    folder: RunFolder, events: list[e.AnyEvent], play: Callable[[ReplaySession], Played]
) -> None:
    session = ReplaySession(folder, speed=1e-6, stay=True)
    played = play(session)
    for _ in range(20):
        session.seek(session.position().t + END / 50)
    assert session.position().t == pytest.approx(20 * END / 50, abs=0.01)
    played.until(lambda: session.snapshot() == up_to(events, session.position().t))


def test_a_night_without_a_worker_is_passed_over_and_said(
    tmp_path: Path, events: list[e.AnyEvent], play: Callable[[ReplaySession], Played]
) -> None:
    half = [event for event in events if event.t <= END / 2]
    rest = [msgspec.structs.replace(event, t=event.t + 10 * 3600) for event in events if event.t > END / 2]
    session = ReplaySession(write(tmp_path, [*half, *rest]), speed=5000.0, stay=True)
    played = play(session)
    played.until(lambda: "no event for 10h" in " ".join(line.text for line in session.snapshot().log))
    session.pause()
    played.until(lambda: session.position().paused)
    session.seek(END / 2 + 5 * 3600)  # in the middle of that night, going back
    assert session.position().t == pytest.approx(half[-1].t)
    played.until(lambda: session.snapshot() == fold(half))
    session.seek(session.position().t + 60)
    assert session.position().t == pytest.approx(rest[0].t), "going on, it is over"


@pytest.mark.parametrize(("backwards", "lands"), [(True, 0), (False, 1)])
def test_a_jump_into_a_night_that_nobody_has_read_ends_at_its_edge(
    tmp_path: Path, events: list[e.AnyEvent], play: Callable[[ReplaySession], Played], backwards: bool, lands: int
) -> None:
    half = [event for event in events if event.t <= END / 2]
    rest = [msgspec.structs.replace(event, t=event.t + 10 * 3600) for event in events if event.t > END / 2]
    session = ReplaySession(write(tmp_path, [*half, *rest]), speed=1e-6, stay=True)
    if backwards:
        session.seek(1e9)
    session.seek(END / 2 + 5 * 3600)
    played = play(session)
    edge = (half[-1].t, rest[0].t)[lands]
    played.until(lambda: session.position().t == pytest.approx(edge))


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path, events: list[e.AnyEvent]) -> None:
    folder = write(tmp_path, events[:50])
    with folder.events.open("ab") as file:
        file.write(b'{"v":1,"type":"step_comp\n{"v":1,"type":"of_a_later_version","t":9}\n' + e.encode(events[50])[:-9])
    session = ReplaySession(folder, speed=1e9)
    assert session.run() is ExitCode.DONE
    shown, torn = session.snapshot(), [len(b'{"v":1,"type":"step_comp'), len(e.encode(events[50])[:-9])]
    assert shown.passed_over == PassedOver(lines=2, bytes=sum(torn), newer=1)
    rest = tuple(line for line in shown.log if line.text != shown.passed_over.words)
    assert msgspec.structs.replace(shown, passed_over=PassedOver(), log=rest) == fold(events[:50])
    assert len(rest) + 1 == len(shown.log)
    assert end_of(folder.events) == max(event.t for event in events[:50])


def test_an_empty_log_is_over_at_once_and_a_missing_one_is_said(tmp_path: Path) -> None:
    folder = write(tmp_path, [])
    assert ReplaySession(folder).run() is ExitCode.DONE
    folder.events.unlink()
    with pytest.raises(RunFolderError, match=r"events\.jsonl"):
        ReplaySession(folder)


def test_the_end_is_found_behind_a_long_last_line(tmp_path: Path) -> None:
    long = e.Notice(t=7.0, level="info", text="x" * 300_000)
    assert end_of(write(tmp_path, [e.Notice(t=1.0, level="info", text="a"), long]).events) == 7.0


def test_a_recording_obeys_nobody(folder: RunFolder) -> None:
    with pytest.raises(JobError, match="replay"):
        ReplaySession(folder).kill()
    with pytest.raises(ValueError, match="above 0"):
        ReplaySession(folder).set_speed(0.0)


def test_the_clock_keeps_its_place_when_its_speed_changes_or_it_is_held() -> None:
    now = [100.0]
    clock = PlayClock(10.0, 1000.0, now=lambda: now[0])
    now[0] = 102.0
    assert clock.t() == 20.0
    clock.set_speed(0.5)
    now[0] = 104.0
    assert clock.t() == 21.0
    clock.hold(True)
    now[0] = 200.0
    assert clock.t() == 21.0
    clock.hold(False)
    clock.set_speed(1e6)
    now[0] = 201.0
    assert clock.t() == 1000.0, "it stands still at the end"
