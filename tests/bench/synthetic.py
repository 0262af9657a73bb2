"""Recordings of a training on two GPUs, as its log would read; for replays of a known length.

The figures in them are made up: they exercise the screen and measure nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine import events as e
from speedtui.engine.config.settings import Settings
from speedtui.engine.config.window import Window
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder
from tests.engine.log.simulated_run import TWELVE_HOURS, SimulatedRun, Simulation, allocator_of_a_gpu

STARTED_AT = 1_767_225_600.0
GIB = 1 << 30
LINES_PER_SECOND = 20
"""As many as the meter writes at most."""
STEPS_PER_LINE = 2
TOTAL_STEPS = 40_000
EVAL_SECONDS = 10
LONG_STEP_SECONDS = 0.412
"""Of the twelve hours' training, as the screens are drawn in their design."""


def write_recording(runs: Path, seconds: int) -> RunFolder:
    """A run of so many seconds that then ends."""
    folder = RunFolder(runs / "20260101-000000-train-0000")
    folder.path.mkdir(parents=True)
    with folder.events.open("wb") as file:
        for event in _events(seconds):
            file.write(e.encode(event))
    return folder


def write_twelve_hours(runs: Path) -> RunFolder:
    """Twelve hours as the real meter and log would have written them on a device's clock; some 60 MB.

    What the simulation holds constant is laid over: a loss that falls, a window, two devices.
    """
    folder = RunFolder(runs / "20260101-000000-train-1200")
    folder.path.mkdir(parents=True)
    raw = folder.path / "simulated.jsonl"
    with allocator_of_a_gpu():
        SimulatedRun(raw, Simulation(steps_per_second=1 / LONG_STEP_SECONDS, seconds=TWELVE_HOURS, devices=2)).run()
    with folder.events.open("wb") as file:
        for event in read_events(raw):
            file.write(e.encode(_laid_over(event)))
    raw.unlink()
    return folder


def _laid_over(event: e.AnyEvent) -> e.AnyEvent:
    replace = msgspec.structs.replace
    if isinstance(event, e.RunStarted):
        window = Window(deadline=STARTED_AT + TWELVE_HOURS + 3600, margin_seconds=600.0)
        return replace(event, started_at=STARTED_AT, window=window, devices=_devices(), config=_config())
    if isinstance(event, e.StepCompleted):
        return replace(event, loss=_loss(event.step // 100))
    if isinstance(event, e.EvaluationCompleted):
        return replace(event, loss=_loss(event.step // 100) + 0.03)
    return event


def _devices() -> list[e.Device]:
    return [e.Device(index=i, kind="cuda", name="GPU", memory_bytes=80 * GIB) for i in range(2)]


def _config() -> dict[str, Any]:
    return dict(msgspec.to_builtins(Settings()))


def _events(seconds: int) -> Iterator[e.AnyEvent]:
    window = Window(deadline=STARTED_AT + 3600, margin_seconds=60.0)
    yield e.RunStarted(
        t=0.0, run="20260101-000000-train-0000", job="train", started_at=STARTED_AT, host="host", pid=1,
        devices=_devices(), versions={}, config=_config(), window=window,
    )  # fmt: skip
    yield e.ModelLoaded(t=0.1, model="model", parameters=5 * 10**8, trainable_parameters=10**7, seconds=0.1,
                        train_rows=80_000, eval_rows=500, longest_tokens=1024, mean_tokens=200.0)  # fmt: skip
    yield e.TrainingStarted(t=0.2, total_steps=TOTAL_STEPS, epochs=3.0, micro_batch_size=4, grad_accum_steps=2,
                            label="mb4 ga2")  # fmt: skip
    for line in range(1, seconds * LINES_PER_SECOND):
        t = line / LINES_PER_SECOND
        yield _step(t, line)
        if line % LINES_PER_SECOND == 0:
            yield _hardware(t)
            yield _eta(t, line)
        if line % (EVAL_SECONDS * LINES_PER_SECOND) == 0:
            yield e.EvaluationCompleted(t=t, step=line * STEPS_PER_LINE, loss=_loss(line), seconds=0.4, rows=500)
    yield e.TrainingFinished(t=seconds, steps=seconds * LINES_PER_SECOND * STEPS_PER_LINE, seconds=float(seconds),
                             first_loss=_loss(1), last_loss=_loss(seconds * LINES_PER_SECOND),
                             model_path=None)  # fmt: skip
    yield e.RunFinished(t=seconds, outcome="ok", exit_code=0)


def _loss(line: int) -> float:
    return 1.0 + 3.0 / (1 + line / 60) + 0.05 * math.sin(line * 12.9898)


def _step(t: float, line: int) -> e.StepCompleted:
    seconds = STEPS_PER_LINE / LINES_PER_SECOND / STEPS_PER_LINE * (1 + 0.1 * math.sin(line * 78.233))
    shares = {
        "data": 0.03,
        "h2d": 0.01,
        "forward": 0.34,
        "backward": 0.52,
        "optimizer": 0.08,
        "log": 0.0,
        "other": 0.02,
    }
    return e.StepCompleted(
        t=t, step=line * STEPS_PER_LINE, steps=STEPS_PER_LINE, micro_steps=2 * STEPS_PER_LINE,
        samples=8 * STEPS_PER_LINE, tokens=int(1600 * STEPS_PER_LINE * (1 + 0.2 * math.sin(line * 37.719))),
        padding_tokens=200, loss=_loss(line), lr=2e-4 * (1 - line / TOTAL_STEPS), seconds=seconds,
        phases={name: share * seconds for name, share in shares.items()},
        peak_allocated_bytes=45 * GIB, peak_reserved_bytes=48 * GIB,
    )  # fmt: skip


def _hardware(t: float) -> e.HardwareSampled:
    devices = [
        e.DeviceSample(
            index=i, name="GPU", utilization=0.9 + 0.09 * math.sin(t * 3 + i), memory_used_bytes=48 * GIB,
            memory_total_bytes=80 * GIB, power_watts=600 + 40 * math.sin(t * 2 + i), power_limit_watts=700.0,
            temperature_celsius=60 + 3 * math.sin(t / 5 + i), sm_clock_mhz=1900 + int(60 * math.sin(t + i)),
            memory_clock_mhz=2600, throttled=False,
        )
        for i in range(2)
    ]  # fmt: skip
    host = e.HostSample(
        cpu_fraction=0.3 + 0.1 * math.sin(t), load_1m=5 + math.sin(t / 9), cores=16, rss_bytes=11 * GIB,
        memory_available_bytes=90 * GIB, disk_read_bytes_per_second=0.0,
        disk_write_bytes_per_second=2e6 * (1 + math.sin(t)), disk_free_bytes=400 * GIB,
    )  # fmt: skip
    return e.HardwareSampled(t=t, devices=devices, host=host)


def _eta(t: float, line: int) -> e.EtaUpdated:
    left = (TOTAL_STEPS - line * STEPS_PER_LINE) / (LINES_PER_SECOND * STEPS_PER_LINE) * (1 + 0.01 * math.sin(line))
    return e.EtaUpdated(
        t=t, p50_seconds=left, p90_seconds=left * 1.05, verdict="on_track", spare_seconds=3540 - t - left,
        terms={"steps": left * 0.9, "evals": left * 0.06, "saves": left * 0.03, "final": left * 0.01},
    )  # fmt: skip
