"""The estimate is fed and asked by two threads at once, as often as the interpreter can switch between them."""

from __future__ import annotations

import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import numpy as np
import pytest

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.config.window import Window
from speedtui.engine.timing.eta import Eta
from speedtui.engine.timing.guarded import one_thread_at_a_time
from tests.engine.timing.walked_training import Run, lengths, line

TOTAL = 2000
SCHEDULE = ScheduleSettings(eval_every="50 steps", fast_eval_every="10 steps", checkpoint_every="40s")


@pytest.fixture
def restless() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_two_threads_find_it_whole(restless: None) -> None:
    run = Run(total_steps=TOTAL, epoch_steps=100, schedule=SCHEDULE, step_seconds=lambda step: 1.0, start=0.0)
    sizes = lengths(TOTAL)
    eta = run.eta(sizes=sizes, window=Window(deadline=5000.0, margin_seconds=60.0))
    failed: list[BaseException] = []
    told, wrong = [0], [0]

    def pump() -> None:
        for step in range(1, 1201):
            told[0] = step
            eta.observe(line(step, float(step), 1.0, loss=1.0))
            update = eta.update(float(step))
            assert update.terms is not None
            whole = sum(update.terms.values())
            wrong[0] += update.p50_seconds is not None and abs(whole - update.p50_seconds) > 0.01
            found = eta.remaining(float(step))
            assert found is not None and found.seconds >= 0

    def train() -> None:
        for number in range(1, 301):
            t = float(told[0])
            kind = "full" if number % 3 else "loss"
            eta.began(kind, t)
            eta.evaluated(kind, 0.01, {"eval": 0.004, "generate": 0.006})
            eta.began("checkpoint", t)
            eta.saved(0.002)
            eta.change(SCHEDULE, told[0])
            reachable = eta.reachable_steps(t, told[0])
            assert reachable is None or 0 <= reachable <= TOTAL
            assert (eta.step_seconds(0.95) or 0.0) >= 0.0 and eta.end_seconds() >= 0.0
            eta.costs()
            if number % 50 == 0:
                eta.rebuilt(np.asarray(sizes), 1.0)

    def watched(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=watched, args=(work,)) for work in (pump, train)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert wrong == [0]
    made = eta.made()
    assert (made.full, made.loss, made.saves, made.steps) == (200, 100, 300, 1200)


def test_what_another_thread_tells_waits_until_an_answer_is_whole() -> None:
    run = Run(total_steps=TOTAL, epoch_steps=100, schedule=SCHEDULE, step_seconds=lambda step: 1.0, start=0.0)
    eta = run.eta()
    for step in range(1, 101):
        eta.observe(line(step, float(step), 1.0))
    amid, go_on = threading.Event(), threading.Event()
    found = []

    def stop_amid(frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code is inspect.unwrap(Eta.update).__code__ and not amid.is_set():
            amid.set()
            go_on.wait()

    def ask() -> None:
        sys.settrace(stop_amid)
        found.append(eta.update(100.0))

    asks = threading.Thread(target=ask)
    tells = threading.Thread(target=lambda: eta.evaluated("full", 500.0, {"eval": 500.0}))
    asks.start()
    amid.wait()
    tells.start()
    tells.join(0.2)
    waited = tells.is_alive()
    go_on.set()
    asks.join()
    tells.join()
    assert waited
    before, after = found[0].p50_seconds, eta.update(100.0).p50_seconds
    assert before is not None and after is not None and after > before + 500.0


def test_steps_that_fit_are_counted_after_the_step_that_asks_and_not_after_the_last_one_told() -> None:
    run = Run(total_steps=TOTAL, epoch_steps=100, schedule=SCHEDULE, step_seconds=lambda step: 1.0, start=0.0)
    eta = run.eta(window=Window(deadline=600.0, margin_seconds=0.0))
    for step in range(1, 101):
        eta.observe(line(step, float(step), 1.0))
    told = eta.reachable_steps(100.0)
    assert told is not None
    assert eta.reachable_steps(100.0, 107) == told - 7
    assert eta.reachable_steps(100.0, TOTAL) == 0


def test_whatever_the_estimate_can_be_asked_or_told_waits_for_the_other_thread() -> None:
    public = {name: member for name, member in vars(Eta).items() if not name.startswith("_")}
    getters = [member.fget if isinstance(member, property) else member for member in public.values()]
    assert len(getters) > 15
    assert all(inspect.unwrap(getter) is not getter for getter in getters)


def test_what_is_guarded_is_never_seen_half_done(restless: None) -> None:
    @one_thread_at_a_time
    class Pair:
        def __init__(self) -> None:
            self.left = self.right = 0

        def add(self) -> None:
            left = self.left
            time.sleep(0)  # another thread may go on here
            self.left = left + 1
            self.right = self.left

        @property
        def equal(self) -> bool:
            return self.left == self.right

    pair = Pair()
    seen: list[bool] = []
    threads = [threading.Thread(target=lambda: [pair.add() or seen.append(pair.equal) for _ in range(300)])]
    threads.append(threading.Thread(target=lambda: [pair.add() or seen.append(pair.equal) for _ in range(300)]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(seen)
    assert pair.left == 600
