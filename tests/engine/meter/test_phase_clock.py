"""The books: every nanosecond in one phase, whoever looks, over all workers of a run."""

from __future__ import annotations

import random
import sys
import threading
import time
import weakref

import pytest
import torch

from speedtui.engine.events import PHASES, Books, StepCompleted
from speedtui.engine.log.clock import RunClock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import INDEX, PhaseClock
from speedtui.engine.workload.base import CountedBatch, token_counts
from tests.engine.workload.small import tokens_of

BATCH = {"input_ids": torch.ones(2, 5, dtype=torch.int64)}


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ns = 5 * 10**9

    def __call__(self) -> int:
        return self.ns

    def move(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


def off_by(books: Books) -> float:
    return abs(books.wall - sum(books.phases.values()))


def test_books_add_up_to_the_microsecond_after_many_boundaries() -> None:
    hands = Hands()
    clock = PhaseClock(3.25, now_ns=hands)
    draws = random.Random(1)
    for _ in range(200_000):
        hands.ns += draws.randrange(1, 10**8)
        clock.switch(draws.randrange(len(PHASES)))
    books = clock.books()
    assert off_by(books) < 1e-6
    assert books.unaccounted == 0.0
    assert books.phases["load"] >= 3.25
    assert books.wall == pytest.approx(3.25 + (hands.ns - 5 * 10**9) / 1e9, abs=1e-9)


def test_a_phase_in_a_phase_is_taken_out_of_it() -> None:
    hands = Hands()
    clock = PhaseClock(now_ns=hands)
    with clock.phase("eval"):
        hands.move(2.0)
        with clock.phase("metric"):
            hands.move(0.5)
        hands.move(1.0)
    hands.move(0.25)
    assert clock.books().phases == {"eval": 3.0, "metric": 0.5, "other": 0.25}


def test_a_later_worker_goes_on_in_the_same_books() -> None:
    hands = Hands()
    books: Books | None = None
    t = 0.0
    for worker in range(5):
        clock = PhaseClock(t, books, hands)
        with clock.phase("forward"):
            hands.move(10.000_000_123)
        hands.move(1.0)
        books = clock.books()
        assert off_by(books) < 1e-6
        assert books.phases["forward"] == pytest.approx((worker + 1) * 10.000_000_123, abs=1e-7)
        t = books.wall + 7.0  # until the next worker is there
    assert books is not None
    assert books.phases["away"] == pytest.approx(4 * 7.0, abs=1e-6)
    assert books.wall == pytest.approx(5 * 11.000_000_123 + 4 * 7.0, abs=1e-6)


def test_what_a_killed_worker_did_after_its_last_entry_is_away() -> None:
    last_entry = Books(wall=100.0, phases={"load": 5.0, "forward": 95.0}, unaccounted=0.0)
    books = PhaseClock(160.0, last_entry, Hands()).books()
    assert books.phases == {"load": 5.0, "forward": 95.0, "away": 60.0}
    assert books.wall == 160.0


def test_books_that_were_closed_after_the_last_event_still_add_up() -> None:
    known = Books(wall=100.000_030, phases={"forward": 100.000_030}, unaccounted=0.0)
    books = PhaseClock(100.0, known, Hands()).books()
    assert (off_by(books), books.unaccounted) == (0.0, 0.0)


def test_a_phase_of_a_later_version_is_kept_as_other() -> None:
    earlier = Books(wall=4.0, phases={"forward": 3.0, "teleport": 1.0}, unaccounted=0.0)
    assert PhaseClock(4.0, earlier, Hands()).books().phases == {"forward": 3.0, "other": 1.0}


def test_another_thread_sees_books_that_add_up_while_boundaries_happen() -> None:
    clock = PhaseClock(1.0)
    over = threading.Event()

    def work() -> None:
        draws = random.Random(2)
        while not over.is_set():
            clock.switch(draws.randrange(len(PHASES)))

    worker = threading.Thread(target=work)
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    worker.start()
    try:
        seen = [clock.peek() for _ in range(20_000)]
    finally:
        sys.setswitchinterval(often)
        over.set()
        worker.join()
    assert max(off_by(books) for books in seen) < 1e-6
    assert max(abs(books.unaccounted) for books in seen) == 0.0
    walls = [books.wall for books in seen]
    assert walls == sorted(walls)


def test_the_phase_in_progress_counts_up_to_now_for_another_thread() -> None:
    hands = Hands()
    clock = PhaseClock(now_ns=hands)
    clock.switch_to("checkpoint")
    hands.move(12.5)
    assert clock.peek().phases == {"checkpoint": 12.5}
    assert clock.totals_ns[INDEX["checkpoint"]] == 0, "looking changes nothing"


def test_device_seconds_can_grow_while_the_books_are_made() -> None:
    clock = PhaseClock()
    over = threading.Event()

    def pump() -> None:
        number = 0
        while not over.is_set():
            number += 1
            clock.device_seconds[f"phase{number}"] = 1.0
            if number % 1000 == 0:
                clock.device_seconds.clear()

    thread = threading.Thread(target=pump)
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            clock.books()
    finally:
        sys.setswitchinterval(often)
        over.set()
        thread.join()
    clock.device_seconds["forward"] = 1.5
    assert (clock.books().device_phases or {})["forward"] == 1.5


def test_the_first_batch_of_each_epoch_is_apart_and_no_part_of_its_step() -> None:
    hands = Hands()
    emitted = []
    meter = Meter(PhaseClock(now_ns=hands), RunClock(now_ns=hands), emitted.append, token_counts=token_counts)
    for epoch in range(2):
        for number in (1, 2):
            meter.data()
            hands.move(3.0 if number == 1 else 0.25)  # loader workers start with the epoch
            meter.data_done()
            meter.micro_step(BATCH)
            meter.forward()
            hands.move(1.0)
            meter.backward()
            meter.micro_step_done(torch.tensor(0.5))
            meter.optimizer()
            meter.step_done(epoch * 2 + number, None)
            meter.pump(True)
        meter.epoch_ended()
        hands.move(5.0)
    books = meter.clock.books()
    assert books.phases == {"first_batch": 6.0, "data": 0.5, "forward": 4.0, "gap": 10.0}
    assert [line.seconds for line in emitted] == [1.0, 1.25, 1.0, 1.25]
    assert [line.phases for line in emitted] == [
        {"forward": 1.0}, {"data": 0.25, "forward": 1.0}, {"forward": 1.0}, {"data": 0.25, "forward": 1.0},
    ]  # fmt: skip


def test_a_probe_has_no_epochs_and_its_first_wait_is_data() -> None:
    hands = Hands()
    emitted = []
    meter = Meter(
        PhaseClock(now_ns=hands), RunClock(now_ns=hands), emitted.append, token_counts=token_counts, trial=1,
        probe="throughput",
    )  # fmt: skip
    meter.data()
    hands.move(3.0)
    meter.data_done()
    meter.step_done(1, None)
    meter.pump(True)
    assert [line.phases for line in emitted] == [{"data": 3.0}]
    assert meter.clock.books().phases == {"data": 3.0}


@pytest.mark.parametrize(
    "batch",
    [
        CountedBatch({"input_ids": torch.ones(2, 5), "pixels": torch.ones(2, 3, 64, 64)}, 9, 1),
        {"pixels": torch.ones(2, 3, 64, 64), "attention_mask": torch.ones(2, 5, dtype=torch.int64)},
        {"pixels": torch.ones(2, 3, 64, 64)},
    ],
    ids=["counted", "masked", "a recipe's"],
)
def test_a_batch_may_be_freed_before_its_step_is_looked_at(batch: dict[str, torch.Tensor]) -> None:
    expected, held = tokens_of(batch), [weakref.ref(tensor) for tensor in batch.values()]
    emitted: list[StepCompleted] = []
    meter = Meter(PhaseClock(), RunClock(), emitted.append, token_counts=token_counts)
    meter.data()
    meter.data_done()
    meter.micro_step(batch)
    meter.micro_step_done(torch.tensor(0.5))
    meter.step_done(1, None)
    batch.clear()
    assert [kept for tensor in held if (kept := tensor()) is not None and kept.ndim > 2] == []
    meter.pump(True)
    assert [(line.samples, line.tokens) for line in emitted] == [(2, expected[0] if expected else None)]


def test_a_memory_probe_keeps_nothing_of_a_batch() -> None:
    batch = {"input_ids": torch.ones(2, 5), "attention_mask": torch.tensor([[1, 1, 0], [1, 0, 0]])}
    held = [weakref.ref(tensor) for tensor in batch.values()]
    meter = Meter(
        PhaseClock(), RunClock(), lambda step: None, token_counts=token_counts, probe="memory", keep_timings=True
    )
    meter.data()
    meter.data_done()
    meter.micro_step(batch)
    batch.clear()
    assert [tensor() for tensor in held] == [None, None]
    meter.micro_step_done(torch.tensor(0.5))
    meter.step_done(1, None)
    meter.pump(True)
    assert meter.timings is not None and [size for size, _ in meter.timings[0].micro_steps] == [6.0]
