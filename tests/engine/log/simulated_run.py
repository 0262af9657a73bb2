"""A training whose hours pass in seconds: the real meter and log on a clock that is set by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import torch

from speedtui.engine import events as e
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import PUMP_SECONDS, EventLog
from speedtui.engine.meter import meter as meter_module
from speedtui.engine.meter.device import PhaseMark
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.workload.base import token_counts

GIB = 1 << 30
TWELVE_HOURS = 12 * 3600.0
SHARES = {"data": 0.003, "h2d": 0.001, "forward": 0.33, "backward": 0.56, "optimizer": 0.08, "other": 0.026}
"""Of a step; they add up to 1."""
BOOKS_SECONDS = 10.0
EVAL_SECONDS = 600.0
SAVE_SECONDS = 1800.0
BATCH = {"input_ids": torch.ones(16, 512, dtype=torch.int64), "attention_mask": torch.ones(16, 512, dtype=torch.int64)}
LOSS = torch.tensor(1.234567)


class SimulatedClock:
    """Nanoseconds that pass when told to."""

    def __init__(self) -> None:
        self.ns = 10**9

    def __call__(self) -> int:
        return self.ns

    def pass_seconds(self, seconds: float) -> None:
        """Time goes by."""
        self.ns += round(seconds * 1e9)


class SimulatedDevice:
    """A GPU that keeps up with the CPU: what is marked on it happened when it was marked."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._marks: list[tuple[int, int]] = []

    def mark(self, phase: int) -> None:
        self._marks.append((phase, self._clock.ns))

    def cut(self) -> list[PhaseMark]:
        marks, self._marks = self._marks, self._marks[-1:]
        return marks  # type: ignore[return-value]  # `resolve` takes what this gives

    def resolve(self, marks: list[PhaseMark]) -> list[tuple[int, float]] | None:
        moments: Sequence[tuple[int, int]] = marks  # type: ignore[assignment]
        return [(phase, (end - begin) / 1e9) for (phase, begin), (_, end) in pairwise(moments)]

    def read(self, value: torch.Tensor) -> float:
        return float(value)

    def synchronize(self) -> None:
        """It never lags."""


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated."""

    steps_per_second: float
    seconds: float
    devices: int = 1
    """GPUs that are sampled; 0 is a run on the CPU."""
    shows: Callable[[float], None] | None = None
    """Called once a simulated minute with the share that is done."""

    @property
    def steps(self) -> int:
        return int(self.seconds * self.steps_per_second)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulated run left."""

    steps: int
    seconds: float
    first_minute_bytes: int
    bytes: int
    step_lines: int
    step_bytes: int
    longest_step_line: int
    by_type: dict[str, int]
    """Bytes by type of event."""

    @property
    def bytes_per_step(self) -> float:
        """Of the whole log."""
        return self.bytes / self.steps

    @property
    def megabytes_in_12_hours(self) -> float:
        """As the run would go on after its first minute; a megabyte is 10^6 bytes."""
        later = (self.bytes - self.first_minute_bytes) / (self.seconds - 60.0)
        return (self.first_minute_bytes + later * (TWELVE_HOURS - 60.0)) / 1e6


class SimulatedRun:
    """Drives meter and log through a training's events as fast as they go."""

    def __init__(self, path: Path, simulation: Simulation) -> None:
        self.simulation = simulation
        self.clock = SimulatedClock()
        self.log = EventLog(path, RunClock(now_ns=self.clock))
        self.phases = PhaseClock(now_ns=self.clock)
        self.meter = Meter(
            self.phases, self.log.clock, self.log.emit, token_counts=token_counts,
            device=SimulatedDevice(self.clock) if simulation.devices else None,
        )  # fmt: skip
        self.log.add_source(self.meter.pump)
        self._step = 0
        self._due = {"pump": 0.0, "reading": 0.0, "books": 0.0, "eval": EVAL_SECONDS, "save": SAVE_SECONDS, "show": 0.0}

    def run(self) -> None:
        """The whole training."""
        t = self.log.clock.now
        self.log.emit(e.RunStarted(t=0.0, run="simulated", job="train", started_at=0.0, host="host", pid=1, devices=[],
                                   versions={}, config={}))  # fmt: skip
        self.log.emit(e.TrainingStarted(t=0.0, total_steps=self.simulation.steps, epochs=1.0, micro_batch_size=16,
                                        grad_accum_steps=1, label="mb16 ga1"))  # fmt: skip
        while self._step < self.simulation.steps:
            self.one_step()
            self._beside()
        self.meter.close(self.log)
        self.log.emit(e.TrainingFinished(t=t(), steps=self._step, seconds=t(), first_loss=2.0, last_loss=1.0,
                                         model_path="model"))  # fmt: skip
        self.log.emit(e.RunFinished(t=t(), outcome="ok", exit_code=0, books=self.phases.books()))
        self.log.close()

    def one_step(self) -> None:
        """The calls that the trainer makes, with time between them."""
        self._step += 1
        jitter = 1 + 0.1 * math.sin(self._step * 12.9898)
        seconds = {name: share * jitter / self.simulation.steps_per_second for name, share in SHARES.items()}
        meter, passes = self.meter, self.clock.pass_seconds
        meter.data()
        passes(seconds["data"])
        meter.data_done()
        meter.micro_step(BATCH)
        passes(seconds["h2d"])
        meter.forward()
        passes(seconds["forward"])
        meter.backward()
        passes(seconds["backward"])
        meter.micro_step_done(LOSS)
        passes(seconds["other"])
        meter.optimizer()
        passes(seconds["optimizer"])
        meter.step_done(self._step, 2e-4 * (1 - self._step / (self.simulation.steps + 1)))

    def _beside(self) -> None:
        """What threads of their own do by the clock."""
        while self._is_due("reading", 1.0):
            self.log.emit(_hardware(self._due["reading"], self.simulation.devices))
            self.log.emit(_eta(self._due["reading"]))
        if self._is_due("books", BOOKS_SECONDS):
            self.log.emit(e.BooksUpdated(t=self.log.clock.now(), books=self.phases.peek()))
        if self._is_due("eval", EVAL_SECONDS):
            self._evaluate()
        if self._is_due("save", SAVE_SECONDS):
            self.log.emit(e.CheckpointSaved(t=self.log.clock.now(), step=self._step, seconds=4.2, bytes=9 * GIB,
                                            path="runs/simulated/checkpoints/checkpoint-1"))  # fmt: skip
        if self._is_due("pump", PUMP_SECONDS):
            self.log.pump()
        if self.simulation.shows is not None and self._is_due("show", 60.0):
            self.simulation.shows(self._step / self.simulation.steps)

    def _evaluate(self) -> None:
        self.log.emit(e.EvaluationCompleted(t=self.log.clock.now(), step=self._step, loss=1.1, seconds=20.123456,
                                            rows=500, metrics={"accuracy": 0.5}, phases={"eval": 20.1}))  # fmt: skip
        self.log.emit(e.SpanCompleted(t=self.log.clock.now(), phase="gap", seconds=21.5, step=self._step))

    def _is_due(self, what: str, period: float) -> bool:
        now = self.log.clock.now()
        if now < self._due[what]:
            return False
        # a pump that comes late is not made up for, a reading is
        self._due[what] = self._due[what] + period if what == "reading" else now + period
        return True


@contextmanager
def allocator_of_a_gpu() -> Iterator[None]:
    """The statistics of an allocator that is not here."""
    real = meter_module.allocator_peaks, meter_module.reset_peaks
    meter_module.allocator_peaks = lambda: (45 * GIB + 123_456_789, 48 * GIB, 0)
    meter_module.reset_peaks = lambda: 0
    try:
        yield
    finally:
        meter_module.allocator_peaks, meter_module.reset_peaks = real


def simulate(path: Path, simulation: Simulation) -> Written:
    """Runs it and reads what it left."""
    with allocator_of_a_gpu():
        SimulatedRun(path, simulation).run()
    return measure(path, simulation)


def measure(path: Path, simulation: Simulation) -> Written:
    """The sizes of a log's lines."""
    by_type: dict[str, int] = {}
    step_sizes: list[int] = []
    first_minute = 0
    with path.open("rb") as file:
        for line in file:
            head = msgspec.json.decode(line, type=_Head)
            by_type[head.type] = by_type.get(head.type, 0) + len(line)
            first_minute += len(line) if head.t < 60.0 else 0
            if head.type == "step_completed":
                step_sizes.append(len(line))
    return Written(
        steps=simulation.steps, seconds=simulation.seconds, first_minute_bytes=first_minute,
        bytes=sum(by_type.values()), step_lines=len(step_sizes), step_bytes=sum(step_sizes),
        longest_step_line=max(step_sizes), by_type=by_type,
    )  # fmt: skip


class _Head(msgspec.Struct):
    type: str
    t: float


def _hardware(t: float, devices: int) -> e.HardwareSampled:
    samples = [
        e.DeviceSample(
            index=i, name="NVIDIA H100 80GB HBM3", utilization=0.9 + 0.09 * math.sin(t * 3 + i),
            memory_used_bytes=48 * GIB + int(t), memory_total_bytes=85_520_809_984,
            power_watts=600 + 40 * math.sin(t * 2 + i), power_limit_watts=700.0,
            temperature_celsius=60 + 3 * math.sin(t / 5 + i), sm_clock_mhz=1900, memory_clock_mhz=2619, throttled=False,
        )
        for i in range(devices)
    ]  # fmt: skip
    host = e.HostSample(
        cpu_fraction=0.3 + 0.1 * math.sin(t), load_1m=5 + math.sin(t / 9), cores=16, rss_bytes=11 * GIB + int(t),
        memory_available_bytes=90 * GIB + int(t), disk_read_bytes_per_second=1e5 * (1 + math.sin(t * 3)),
        disk_write_bytes_per_second=2e6 * (1 + math.sin(t)), disk_free_bytes=400 * GIB + int(t),
    )  # fmt: skip
    return e.HardwareSampled(t=t + 0.000_123, devices=samples, host=host)


def _eta(t: float) -> e.EtaUpdated:
    left = max(TWELVE_HOURS - t, 0.0) * (1 + 0.01 * math.sin(t))
    terms = {name: round(left * share, 3) for name, share in
             {"steps": 0.9, "evals": 0.06, "saves": 0.03, "final": 0.01}.items()}  # fmt: skip
    return e.EtaUpdated(
        t=round(t, 6), p50_seconds=round(left, 3), p90_seconds=round(left * 1.05, 3), verdict="on_track",
        spare_seconds=round(1800 - left * 0.01, 3), terms=terms, steps_per_hour=round(3600 + math.sin(t), 3),
    )  # fmt: skip
