"""Runs for the Advisor: a search with measurements in turns, and a training with its study, in round numbers."""

from __future__ import annotations

import builders as b
import msgspec

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, TrialResult
from speedtui.engine.config.settings import Scalar
from speedtui.engine.units import GIB


def moved(number: int, micro: int, **more: Scalar) -> Candidate:
    """A candidate of settings below [train]."""
    values: dict[str, Scalar] = {"train.micro_batch_size": micro, **{f"train.{k}": v for k, v in more.items()}}
    names = "".join(f" {name}" for name in more)
    return Candidate(id=number, values=values, micro_batch_size=micro, grad_accum_steps=16 // micro,
                     label=f"mb{micro} ga{16 // micro}{names}")  # fmt: skip


def result(seconds: float, peak_gib: float, *, width: float = 0.02) -> TrialResult:
    """A trial whose step time is known within `width` of itself to both sides."""
    ok = b.ok_result(seconds, peak_gib)
    assert ok.measurement is not None
    measured = msgspec.structs.replace(
        ok.measurement, step_seconds_low=seconds * (1 - width), step_seconds_high=seconds * (1 + width)
    )
    return msgspec.structs.replace(ok, measurement=measured)


def study(*tried: tuple[Candidate, TrialResult | None], mode: str = "configs", best: int | None = None,
          decisions: tuple[e.DecisionMade, ...] = (), over: bool = False) -> list[e.AnyEvent]:  # fmt: skip
    """A study of these candidates; those without a result wait."""
    candidates = [candidate for candidate, _ in tried]
    log: list[e.AnyEvent] = [b.run_started(), b.hardware(1.0), b.model_loaded()]
    log.append(e.StudyStarted(t=15.0, mode=mode, batches=10, candidates=candidates, queued=False,
                              memory_limit_bytes=int(79.6 * GIB)))  # fmt: skip
    for number, (candidate, outcome) in enumerate(tried):
        if outcome is not None:
            t = 20.0 + 20 * number
            log += [e.TrialStarted(t=t, trial=candidate.id)]
            log += [e.TrialFinished(t=t + 14, trial=candidate.id, result=outcome)]
    log += decisions
    if best is not None:
        log.append(e.StudyFinished(t=400.0, best=best))
    if over:
        log.append(e.RunFinished(t=401.0, outcome="ok", exit_code=0))
    return log


def kept(trial: int, against: int, ratio: float, low: float, high: float) -> e.DecisionMade:
    """A search kept a configuration that it had measured in turns with another one."""
    return e.DecisionMade(t=300.0 + trial, kind="keep", what=f"#{trial}", reason=f"{ratio:.2f}x [{low:.2f} {high:.2f}]",
                          trial=trial, against=against, ratio=ratio, ratio_low=low, ratio_high=high)  # fmt: skip


def stacked_study() -> list[e.AnyEvent]:
    """A search that kept a larger micro-batch, then loader workers, and rejected compiling."""
    rejected = msgspec.structs.replace(kept(3, 2, 0.998, 0.97, 1.02), kind="reject")
    return study(
        (moved(0, 1), result(0.746, 31.2)),
        (moved(1, 4), result(0.517, 40.1)),
        (moved(2, 4, loader_workers=2), result(0.470, 40.1)),
        (moved(3, 4, loader_workers=2, compile=True), result(0.471, 41.3)),
        mode="auto",
        best=2,
        decisions=(kept(1, 0, 1.45, 1.41, 1.49), kept(2, 1, 1.12, 1.08, 1.16), rejected),
    )


def compared_study() -> list[e.AnyEvent]:
    """Beside the study's own settings (micro-batch 1): one that gains, one that is open, one that loses, one that
    does not fit and one that waits."""
    return study(
        (moved(0, 1), result(0.600, 31.0)),
        (moved(1, 2), result(0.500, 37.0)),
        (moved(2, 1, compile=True), result(0.590, 32.2, width=0.05)),
        (moved(3, 1, gradient_checkpointing=True), result(0.800, 22.0)),
        (moved(4, 1, bf16=True), b.out_of_memory_result()),
        (moved(5, 1, loader_workers=2), None),
    )
