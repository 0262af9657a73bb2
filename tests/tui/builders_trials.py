"""Studies with estimates and predictions, and one of a hundred candidates."""

from __future__ import annotations

from collections.abc import Sequence

import builders as b
import msgspec

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, Estimate, MemoryBreakdown, TrialResult
from speedtui.engine.config.window import Window
from speedtui.engine.units import GIB

STEPS = 18_000
WINDOW = Window(deadline=b.STARTED_AT + 3 * 3600 + 1200, margin_seconds=1200.0)
"""3 h 20 m, of which 20 minutes are to be left."""


def estimate(step_seconds: float) -> Estimate:
    """18000 steps, 15 evaluations of 14.2 s, 7 checkpoints of 3.8 s, 41 s to load; P90 is 6 % later."""
    terms = {"load": 41.0, "steps": STEPS * step_seconds, "evals": 213.0, "saves": 26.6}
    total = sum(terms.values())
    return Estimate(p50_seconds=total, p90_seconds=total * 1.06, terms=terms, total_steps=STEPS, evals=15, saves=7)


def result(step_seconds: float, peak_gib: float) -> TrialResult:
    found = estimate(step_seconds)
    return msgspec.structs.replace(
        b.ok_result(step_seconds, peak_gib), estimate=found, full_run_seconds=found.p50_seconds
    )


def predicted(t: float, trial: int, gib: float) -> e.MemoryPredicted:
    parts = MemoryBreakdown(
        weights_bytes=int(13.5 * GIB), gradients_bytes=int(0.2 * GIB), optimizer_bytes=int(0.4 * GIB),
        activations_bytes=int((gib - 14.6) * GIB), logits_bytes=int(0.5 * GIB),
    )  # fmt: skip
    label = b.CANDIDATES[trial].label
    return e.MemoryPredicted(t=t, label=label, trial=trial, micro_batch_size=8, predicted_bytes=int(gib * GIB),
                             breakdown=parts, limit_bytes=b.GPU.memory_bytes)  # fmt: skip


def study(*, running: bool = True) -> list[e.AnyEvent]:
    """The study of the drawings: 746 ms (too late), 517 ms (tight), 412 and 405 ms, one out of memory, one running
    at 580 ms, two waiting of which one is predicted above the limit."""
    log: list[e.AnyEvent] = [b.run_started(window=WINDOW), b.hardware(1.0), b.model_loaded(), b.study_started()]
    log += [predicted(15.5, trial, gib) for trial, gib in enumerate((30.6, 39.0, 47.9, 65.0, 84.0, 38.0, 44.0, 91.0))]
    measured = [(0, 0.746, 31.2), (1, 0.560, 40.1), (2, 0.412, 48.8), (3, 0.405, 66.2)]
    t = 16.0
    for trial, seconds, peak in measured:
        log += b.trial_events(t, trial, result(seconds, peak), seconds)
        t += 16.0
    log += b.trial_events(t, 4, b.out_of_memory_result(), 0.4)
    t += 16.0
    if running:
        log += [e.TrialStarted(t=t, trial=5), b.step(t + 2, 1, seconds=0.9, trial=5, probe="memory")]
        log += [b.step(t + 3 + i, i + 1, seconds=0.58, trial=5, probe="throughput") for i in range(3)]
    return log


def hundred(count: int = 100) -> list[e.AnyEvent]:
    """Candidates with different speeds and peaks, every tenth out of memory, the last one still waiting."""
    candidates = [
        Candidate(id=i, values={"train.micro_batch_size": 2 ** (i % 5), "train.lora.r": 4 + i},
                  micro_batch_size=2 ** (i % 5), grad_accum_steps=16 // 2 ** (i % 5),
                  label=f"mb{2 ** (i % 5)} ga{16 // 2 ** (i % 5)} r{4 + i}")
        for i in range(count)
    ]  # fmt: skip
    log: list[e.AnyEvent] = [
        b.run_started(window=WINDOW), b.hardware(1.0), b.model_loaded(),
        e.StudyStarted(t=15.0, mode="configs", batches=10, candidates=candidates, queued=True,
                       memory_limit_bytes=b.GPU.memory_bytes, budget_seconds=7200.0),
    ]  # fmt: skip
    for i in range(count - 1):
        fails = i % 10 == 9
        found = b.out_of_memory_result() if fails else result(0.4 + (i * 37 % 100) / 200, 30 + (i * 13 % 45))
        log += [e.TrialStarted(t=16.0 + 10 * i, trial=i), e.TrialFinished(t=25.0 + 10 * i, trial=i, result=found)]
    return log


def numbers(rows: Sequence[str]) -> list[int]:
    """The candidates that a drawn table lists, its heading left out."""
    return [int(line[2:4]) for line in rows[1:] if line[2:4].strip()]
