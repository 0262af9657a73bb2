"""Events as a run emits them, for tests that fold them."""

from __future__ import annotations

from typing import Any

import msgspec

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, Measurement, Memory, TrialResult, TrialStatus


def started(job: e.Job = "tune", **changes: Any) -> e.RunStarted:
    base = e.RunStarted(
        t=0.0, run="r1", job=job, started_at=1000.0, host="box", pid=7, devices=[], versions={}, config={}
    )
    return msgspec.structs.replace(base, **changes)


def candidate(number: int, micro: int = 2) -> Candidate:
    return Candidate(
        id=number, values={"train.micro_batch_size": micro}, micro_batch_size=micro, grad_accum_steps=16 // micro,
        label=f"mb{micro} ga{16 // micro}",
    )  # fmt: skip


def study(*numbers: int, queued: bool = True) -> e.StudyStarted:
    return e.StudyStarted(
        t=1.0, mode="quick", batches=10, candidates=[candidate(number) for number in numbers], queued=queued
    )


def ok(samples_per_second: float) -> TrialResult:
    step = 16 / samples_per_second
    return TrialResult(
        status=TrialStatus.OK,
        seconds=2.0,
        memory=Memory(peak_allocated_bytes=1 << 20, limit_bytes=4 << 20),
        measurement=Measurement(
            batches=10, warmup_batches=2, micro_step_seconds=step / 8, optimizer_seconds=0.0, step_seconds=step,
            step_seconds_low=step * 0.98, step_seconds_high=step * 1.02, samples_per_second=samples_per_second,
            tokens_per_second=samples_per_second * 50, padding_fraction=0.1, loss=2.0, phases={"forward": step},
        ),
        full_run_seconds=100 * step,
    )  # fmt: skip


def out_of_memory() -> TrialResult:
    return TrialResult(status=TrialStatus.OUT_OF_MEMORY, reason="no room for another 60.5 MiB", seconds=1.0)


def finished(trial: int, result: TrialResult, t: float = 5.0) -> e.TrialFinished:
    return e.TrialFinished(t=t, trial=trial, result=result)


def training(total: int = 100, **changes: Any) -> e.TrainingStarted:
    base = e.TrainingStarted(
        t=10.0, total_steps=total, epochs=1.0, micro_batch_size=2, grad_accum_steps=8, label="mb2 ga8"
    )
    return msgspec.structs.replace(base, **changes)


def step(number: int, *, seconds: float = 0.4, loss: float | None = 2.0, **changes: Any) -> e.StepCompleted:
    base = e.StepCompleted(
        t=10 + number * seconds, step=number, micro_steps=8, samples=16, tokens=800, padding_tokens=200, loss=loss,
        seconds=seconds, phases={"forward": seconds * 0.3, "backward": seconds * 0.6, "other": seconds * 0.1},
    )  # fmt: skip
    return msgspec.structs.replace(base, **changes)
