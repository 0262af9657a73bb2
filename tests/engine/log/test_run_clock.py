"""A run's seconds beside a wall clock that is set, over nights asleep and under SIGSTOP."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from speedtui.engine.events import ClockMoved
from speedtui.engine.log.clock import TOLD_SECONDS, RunClock, WorkingClock

STARTED_AT = 1_767_225_600.0
BEAT = 0.05


class Machine:
    """Its clocks, moved by hand; what a run worked is known."""

    def __init__(self) -> None:
        self.monotonic, self.wall, self.asleep, self.worked = 5.0, STARTED_AT, 0.0, 0.0
        self.continued = False
        self.working = WorkingClock(lambda: round(self.monotonic * 1e9), self._take_continued)

    def _take_continued(self) -> bool:
        taken, self.continued = self.continued, False
        return taken

    def clock(self, last_t: float = 0.0, moved: float = 0.0) -> RunClock:
        return RunClock(
            STARTED_AT, last_t, moved, working=self.working, wall=lambda: self.wall, asleep=lambda: self.asleep
        )

    def work(self, seconds: float) -> None:
        for _ in range(round(seconds / BEAT)):
            self.monotonic += BEAT
            self.wall += BEAT
            self.worked += BEAT
            self.working.now_ns()

    def set(self, seconds: float) -> None:
        self.wall += seconds

    def sleep(self, seconds: float) -> None:
        self.wall += seconds
        self.asleep += seconds

    def stop(self, seconds: float) -> None:
        """Its processes, with SIGSTOP and SIGCONT."""
        self.monotonic += seconds
        self.wall += seconds
        self.continued = True

    def starve(self, seconds: float) -> None:
        """Nothing of the process runs, as beside too many others or in a call that keeps the interpreter; it is at work
        all the same."""
        self.monotonic += seconds
        self.wall += seconds
        self.worked += seconds


MOVES: dict[str, Callable[[Machine, float], None]] = {
    "set": Machine.set, "slept": Machine.sleep, "suspended": Machine.stop,
}  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "seconds"), [("set", 3600.0), ("set", -3600.0), ("set", -2.0), ("slept", 28_800.0), ("suspended", 600.0)]
)
def test_what_moves_the_wall_clock_is_told_once_with_its_size_and_is_no_time_of_the_run(
    cause: str, seconds: float
) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.work(10)
    assert clock.look() == []
    MOVES[cause](machine, seconds)
    assert clock.look() == [ClockMoved(t=pytest.approx(10.0), seconds=pytest.approx(seconds, abs=0.002), cause=cause)]
    machine.work(5)
    assert clock.look() == []
    assert clock.now() == pytest.approx(15.0)
    assert clock.wall(clock.now()) == pytest.approx(machine.wall)


def test_a_process_that_is_only_held_up_was_not_suspended() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.starve(30)
    assert clock.look() == []
    assert clock.now() == pytest.approx(30.0)


def test_a_signal_to_go_on_that_ends_no_stop_is_not_kept_for_a_later_one() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.continued = True
    machine.working.settle()
    machine.starve(30)
    assert clock.look() == []


def test_whatever_happens_the_log_knows_the_time_of_day_and_the_run_counts_what_was_worked() -> None:
    """Two hundred runs of chance, each told from the moves alone, as a reader of the log has it."""
    for seed in range(200):
        chance, machine = random.Random(seed), Machine()
        clock, moved, told = machine.clock(), 0.0, dict.fromkeys(MOVES, 0.0)
        done = dict.fromkeys(MOVES, 0.0)
        for _ in range(12):
            machine.work(chance.uniform(0.1, 3))
            cause = chance.choice(["set", "slept", "suspended", "starve", ""])
            seconds = chance.choice([0.2, 0.7, 5.0, 3600.0]) * (chance.choice([-1, 1]) if cause == "set" else 1)
            if cause == "starve":
                machine.starve(seconds)
            elif cause:
                MOVES[cause](machine, seconds)
                done[cause] += seconds
            events = clock.look()
            moved += sum(event.seconds for event in events)
            for event in events:
                told[event.cause] += event.seconds
            assert abs(STARTED_AT + clock.now() + moved - machine.wall) < 3 * TOLD_SECONDS + 0.01, seed
        short = 0.5 * 12 + 0.01  # stops that are too short to be known for one count as work
        assert clock.now() == pytest.approx(machine.worked, abs=short), seed
        for cause in MOVES:
            assert abs(told[cause] - done[cause]) < (short if cause != "slept" else 0.0) + TOLD_SECONDS, (seed, cause)


def test_a_later_worker_goes_on_where_the_wall_clock_says_and_tells_of_one_that_was_set_back() -> None:
    machine = Machine()
    machine.work(100)
    assert machine.clock(last_t=60.0).now() == pytest.approx(100.0)
    machine.set(3600)
    assert machine.clock(last_t=100.0, moved=3600.0).now() == pytest.approx(100.0)
    machine.set(-7200)
    clock = machine.clock(last_t=100.0, moved=3600.0)
    assert clock.now() == pytest.approx(100.0)
    (moved,) = clock.look()
    assert (moved.cause, moved.seconds) == ("set", pytest.approx(-7200.0))


def test_no_thread_sees_the_time_of_a_stop_or_a_time_that_goes_back() -> None:
    """Readers in four threads while the process is stopped again and again, by a clock that jumps between any two."""
    jumps, lock = [0, 0], threading.Lock()
    state = {"ns": 0, "continued": False}

    def monotonic_ns() -> int:
        with lock:
            state["ns"] += 1000
            return int(state["ns"])

    def continued() -> bool:
        with lock:
            taken, state["continued"] = state["continued"], False
            return bool(taken)

    clock, seen, ended = WorkingClock(monotonic_ns, continued), [], threading.Event()

    def read() -> None:
        last = 0
        while not ended.is_set():
            now = clock.now_ns()
            if now < last or now - last > 400_000_000:
                seen.append((last, now))
            last = now

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        with lock:
            state["ns"] += 10**12
            state["continued"] = True
            jumps[0] += 10**12
        while True:
            with lock:
                if not state["continued"]:
                    break
            clock.now_ns()
    ended.set()
    for thread in threads:
        thread.join()
    assert seen == []
    assert clock.stopped_ns == pytest.approx(jumps[0], rel=1e-3)
