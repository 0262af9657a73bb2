"""The meter's device column: right when events resolve late, honest when they never do."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from speedtui.engine.events import PHASES, Probe, StepCompleted
from speedtui.engine.log.clock import RunClock
from speedtui.engine.meter.device import PhaseMark, device_clock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import INDEX, PhaseClock
from speedtui.engine.workload.base import token_counts
from tests.simulated_cuda import SimulatedCuda

BATCH = {"input_ids": torch.ones(2, 5, dtype=torch.int64), "attention_mask": torch.tensor([[1] * 5, [1] * 3 + [0] * 2])}
"""8 tokens and 2 of padding."""


class Moment:
    """An event of the double: when the device comes to it, on the device's own clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class ScriptedDevice:
    """Stands in for a GPU: each phase lasts as long as the script says, and it is done when it is told to be.

    The double has what CUDA events have: they resolve in stream order and give only differences.
    """

    def __init__(self, durations: dict[str, float]) -> None:
        self.durations = durations
        self.reached = 0.0
        """Device time up to which everything has been carried out."""
        self.reads_of_unfinished = 0
        self._now = 0.0
        self._phase: int | None = None
        self._marks: list[tuple[int, Moment]] = []
        self._broken = self._poisoned = False

    def mark(self, phase: int) -> None:
        if self._phase is not None:
            self._now += self.durations.get(PHASES[self._phase], 0.0)
        self._phase = phase
        self._marks.append((phase, Moment(self._now)))

    def cut(self) -> list[PhaseMark]:
        marks = self._marks
        self._marks = marks[-1:]
        return marks  # type: ignore[return-value]  # a Moment does what the meter needs of an event

    def resolve(self, marks: list[PhaseMark]) -> list[tuple[int, float]] | None:
        self._check()
        moments: list[tuple[int, Moment]] = marks  # type: ignore[assignment]
        if self._broken or moments[-1][1].seconds > self.reached:
            return None
        return [(phase, end.seconds - begin.seconds) for (phase, begin), (_, end) in pairwise(moments)]

    def read(self, value: torch.Tensor) -> float:
        self._check()
        self.reads_of_unfinished += self.reached < self._now and not self._broken
        return float(value)

    def synchronize(self) -> None:
        self._check()
        if not self._broken:
            self.reached = self._now

    def poison(self) -> None:
        """Every call fails from now on."""
        self._poisoned = True

    def _check(self) -> None:
        if self._poisoned:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def catch_up(self) -> None:
        """Everything queued so far is done."""
        self.reached = self._now

    def break_down(self) -> None:
        """Nothing resolves any more."""
        self._broken = True


class Bench:
    """A meter on a scripted device, and what it emits."""

    def __init__(self, *, keep_timings: bool = False, probe: Probe | None = None, **durations: float) -> None:
        self.device = ScriptedDevice(durations)
        self.emitted: list[StepCompleted] = []
        self.steps: list[StepCompleted] = []
        """The same before any of them share a line."""
        self.meter = Meter(
            PhaseClock(), RunClock(), self.emitted.append, token_counts=token_counts, device=self.device,
            keep_timings=keep_timings, probe=probe, watch=self.steps.append,
        )  # fmt: skip

    def step(self, number: int, micro_steps: int = 1) -> None:
        """The calls that the trainer makes in one step."""
        meter = self.meter
        meter.data()
        meter.data_done()
        for _ in range(micro_steps):
            meter.micro_step(BATCH)
            meter.forward()
            meter.backward()
            meter.micro_step_done(torch.tensor(0.5))
        meter.optimizer()
        meter.step_done(number, 1e-3)

    def pump(self) -> None:
        """What the log's thread does now and then."""
        self.meter.pump(False)

    def close(self) -> None:
        """The end of a training."""
        self.meter.close(self)  # type: ignore[arg-type]  # all it wants of a log is a flush

    def flush(self) -> None:
        """What the log does when nothing may wait."""
        self.meter.pump(True)


@pytest.fixture(autouse=True)
def allocator_statistics(cuda: SimulatedCuda) -> None:
    """Those of a simulated device."""


def seconds(event: StepCompleted, phase: str) -> float:
    assert event.device_phases is not None
    return event.device_phases.get(phase, 0.0)  # a phase of no time is left out


def test_nothing_is_emitted_before_the_device_has_come_that_far() -> None:
    bench = Bench(forward=0.3)
    bench.step(1)
    bench.pump()
    assert bench.emitted == []
    bench.device.catch_up()
    bench.pump()
    assert [event.step for event in bench.emitted] == [1]


def test_phases_are_those_of_the_device_and_not_of_the_launches() -> None:
    bench = Bench(probe="throughput", data=0.01, h2d=0.02, forward=0.3, backward=0.6, optimizer=0.1, other=0.005)
    bench.step(1, micro_steps=2)
    bench.device.catch_up()
    bench.close()
    (event,) = bench.emitted
    assert seconds(event, "forward") == pytest.approx(0.6)
    assert seconds(event, "backward") == pytest.approx(1.2)
    assert seconds(event, "h2d") == pytest.approx(0.04)
    assert seconds(event, "optimizer") == pytest.approx(0.1)
    assert seconds(event, "data") == pytest.approx(0.01)
    assert seconds(event, "other") == pytest.approx(0.015)  # after the fetch and after each micro-step
    assert event.phases.get("forward", 0.0) < 0.1  # the CPU only launched it


def test_what_the_device_does_between_two_steps_belongs_to_neither() -> None:
    bench = Bench(forward=0.2, other=0.0)
    bench.step(1)
    bench.device.durations["other"] = 50.0  # an evaluation runs from the end of step 1 to the data of step 2
    bench.meter.data()
    bench.device.durations["other"] = 0.0
    bench.meter.data_done()
    bench.meter.micro_step(BATCH)
    bench.meter.forward()
    bench.meter.backward()
    bench.meter.micro_step_done(torch.tensor(0.5))
    bench.meter.optimizer()
    bench.meter.step_done(2, None)
    bench.device.catch_up()
    bench.close()
    assert [event.step for event in bench.emitted] == [1, 2]
    assert [seconds(event, "other") for event in bench.emitted] == pytest.approx([0.0, 0.0])
    assert [seconds(event, "forward") for event in bench.emitted] == pytest.approx([0.2, 0.2])


def test_the_wait_for_an_epochs_first_batch_is_in_the_first_step_of_neither_clock() -> None:
    bench = Bench(data=0.01, first_batch=30.0, forward=0.2, other=0.005)
    bench.step(1)
    bench.step(2)
    bench.meter.epoch_ended()
    bench.step(3)
    bench.device.catch_up()
    bench.close()
    assert [event.step for event in bench.steps] == [1, 2, 3]
    assert [seconds(event, "data") for event in bench.steps] == pytest.approx([0.0, 0.01, 0.0])
    assert [seconds(event, "other") for event in bench.steps] == pytest.approx([0.01, 0.01, 0.01])
    assert [event.phases.get("data", 0.0) > 0 for event in bench.steps] == [False, True, False]
    books = bench.meter.clock.books()
    assert books.device_phases is not None and sum(books.device_phases.values()) < 1.0


def test_steps_of_a_device_that_breaks_are_told_without_its_figures() -> None:
    bench = Bench(keep_timings=True, forward=0.25)
    bench.step(1)
    bench.device.catch_up()
    bench.pump()
    bench.device.poison()
    bench.step(2)
    bench.step(3)
    bench.pump()
    assert sum(event.steps for event in bench.steps) == 3
    assert [event.loss is None for event in bench.steps] == [False, True, True]
    assert not any(event.nonfinite or event.nonfinite_gradients for event in bench.steps)
    with pytest.raises(RuntimeError, match="CUDA error"):
        bench.close()
    assert bench.meter.timings is not None and len(bench.meter.timings) == 1


def test_micro_steps_reach_from_one_transfer_to_the_next_or_to_the_optimizer() -> None:
    bench = Bench(
        probe="throughput",
        keep_timings=True,
        data=0.08,
        h2d=0.01,
        forward=0.2,
        backward=0.4,
        other=0.001,
        optimizer=9.0,
    )
    bench.step(1, micro_steps=4)
    bench.step(2, micro_steps=4)
    bench.device.catch_up()
    bench.pump()
    timings = bench.meter.timings
    assert timings is not None
    for timing in timings:
        assert [size for size, _ in timing.micro_steps] == [10.0] * 4
        waited = 0.08 / 4
        assert [value for _, value in timing.micro_steps] == pytest.approx([0.611 + waited] * 4)
        assert timing.optimizer_seconds == pytest.approx(9.0)


def test_steps_resolve_in_order_however_far_the_cpu_runs_ahead() -> None:
    bench = Bench(keep_timings=True, forward=1.0)
    for number in range(1, 31):
        bench.step(number)
    bench.device.reached = 10.5
    bench.pump()
    assert bench.meter.timings is not None
    assert len(bench.meter.timings) == 10
    bench.device.catch_up()
    bench.close()
    assert sum(event.steps for event in bench.emitted) == 30
    assert [event.step for event in bench.emitted] == sorted(event.step for event in bench.emitted)
    assert sum(seconds(event, "forward") for event in bench.emitted) == pytest.approx(30.0)


def test_fast_steps_share_a_line_with_sums_of_device_time() -> None:
    bench = Bench(forward=0.25)
    for number in range(1, 6):
        bench.step(number)
    bench.device.catch_up()
    bench.meter._lines._last_ns = bench.meter.clock.boundary_ns + int(60e9)  # a line was just written
    bench.pump()
    assert bench.emitted == []
    bench.close()
    (event,) = bench.emitted
    assert (event.steps, event.step, event.micro_steps, event.samples, event.tokens) == (5, 5, 5, 10, 40)
    assert seconds(event, "forward") == pytest.approx(1.25)
    assert event.loss == pytest.approx(0.5)


def test_steps_that_never_resolve_are_told_without_device_times() -> None:
    bench = Bench(keep_timings=True, forward=0.25)
    bench.step(1)
    bench.device.catch_up()
    bench.pump()
    bench.device.break_down()
    bench.step(2)
    bench.step(3)
    bench.close()
    assert sum(event.steps for event in bench.emitted) == 3
    assert bench.emitted[0].device_phases is not None
    assert all(event.device_phases is None for event in bench.emitted[1:])
    assert all(sum(event.phases.values()) > 0 for event in bench.emitted)
    assert bench.meter.timings is not None
    assert len(bench.meter.timings) == 1  # launch times would pass for the device's


def test_a_loss_is_read_only_when_its_step_is_done() -> None:
    bench = Bench(forward=1.0)
    bench.step(1)
    bench.pump()
    assert bench.device.reads_of_unfinished == 0
    bench.device.catch_up()
    bench.close()
    assert bench.device.reads_of_unfinished == 0
    assert bench.emitted[0].loss == pytest.approx(0.5)


def test_the_epoch_gap_is_the_cpu_clocks_own() -> None:
    bench = Bench(forward=0.1)
    bench.step(1)
    bench.meter.epoch_ended()
    bench.step(2)
    bench.device.catch_up()
    bench.close()
    assert bench.meter.clock.totals_ns[INDEX["gap"]] > 0


def test_the_books_hold_the_devices_seconds_of_all_steps_and_of_earlier_workers() -> None:
    bench = Bench(forward=0.25, backward=0.5)
    for number in range(1, 5):
        bench.step(number)
    bench.device.catch_up()
    bench.close()
    books = bench.meter.clock.books()
    assert books.device_phases is not None
    assert books.device_phases["forward"] == pytest.approx(1.0)
    assert books.device_phases["backward"] == pytest.approx(2.0)
    later = PhaseClock(books.wall + 1.0, books).books()
    assert later.device_phases == books.device_phases


def test_steps_that_never_resolve_add_nothing_to_the_devices_seconds() -> None:
    bench = Bench(forward=0.25)
    bench.step(1)
    bench.device.catch_up()
    bench.pump()
    bench.device.break_down()
    bench.step(2)
    bench.close()
    books = bench.meter.clock.books()
    assert books.device_phases is not None
    assert books.device_phases["forward"] == pytest.approx(0.25)


def test_peaks_and_retries_are_those_of_the_training_and_not_of_what_ran_before(cuda: SimulatedCuda) -> None:
    cuda.peak_allocated_bytes = cuda.peak_reserved_bytes = 7 << 30
    cuda.retries = 5
    clock = device_clock(torch.device("cuda", 0))
    emitted: list[StepCompleted] = []
    meter = Meter(PhaseClock(), RunClock(), emitted.append, token_counts=token_counts, device=clock)
    kept = torch.ones(1 << 20, device="cuda")
    meter.data()
    meter.data_done()
    meter.micro_step(BATCH)
    meter.forward()
    meter.backward()
    meter.micro_step_done(kept.sum())
    meter.optimizer()
    meter.step_done(1, None)
    torch.cuda.synchronize()
    meter.pump(urgent=True)
    (event,) = emitted
    assert event.loss == float(1 << 20)
    assert event.peak_allocated_bytes is not None and 4 << 20 <= event.peak_allocated_bytes < 5 << 20
    assert event.peak_reserved_bytes is not None and event.peak_reserved_bytes < 8 << 20
    assert event.alloc_retries == 0
    assert event.device_phases is not None


def test_steps_wait_for_a_device_that_is_behind(cuda: SimulatedCuda) -> None:
    cuda.lag_seconds = 1e6
    clock = device_clock(torch.device("cuda", 0))
    assert clock is not None
    for phase in (INDEX["data"], INDEX["h2d"], INDEX["forward"]):
        clock.mark(phase)
    marks = clock.cut()
    assert clock.resolve(marks) is None
    clock.synchronize()
    resolved = clock.resolve(marks)
    assert resolved is not None and [phase for phase, _ in resolved] == [INDEX["data"], INDEX["h2d"]]
    assert all(duration >= 0 for _, duration in resolved)
