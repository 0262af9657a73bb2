"""Two studies and a training in real workers: what a person would do first on a GPU."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import to_builtins
from studies import Finished, run_study, with_candidates

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, Measurement, TrialStatus
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Settings
from speedtui.engine.log.tail import read_events
from speedtui.engine.session.start import StartOptions, start_training
from tests.gpu.material import CHECKPOINTING, MICRO, RANK, SMALL, changed, settings_for, told
from tests.gpu.onsite import Site

BOOKS_OPEN, STEP_OFF = 0.01, 0.05
TRAINING_STEPS, FIRST_LEFT_OUT = 40, 10
LIMIT, REHEARSED_LIMIT = "6GiB", "96MiB"
"""Of the full study: 32 rows of 1024 tokens have logits of 4 GiB in float32 alone, and as much again for their
gradient; 4 rows have all they need."""
LORA = [{MICRO: 1}, {MICRO: 4}, {MICRO: 16}, {MICRO: 32}, {MICRO: 32, CHECKPOINTING: True}, {MICRO: 16, RANK: 64}]
FULL = [{MICRO: 1}, {MICRO: 32}, {MICRO: 4}]
REHEARSED_LORA = [{MICRO: 4}]
REHEARSED_FULL = [{MICRO: 1}, {MICRO: 256}, {MICRO: 2}]


def run(site: Site) -> None:
    """LoRA, then all weights under a limit, then the winner for 40 steps."""
    settings = settings_for(site, SMALL, batches=site.pick(10, 4))
    settings = changed(settings, "train", max_steps=site.pick(TRAINING_STEPS, 12))
    lora = study(site, settings, site.pick(LORA, REHEARSED_LORA), "lora")
    bad = [row.candidate.label for row in rows(lora) if not sound(row.result)]
    site.claim("all_ok", not bad, f"not so: {', '.join(bad)}" if bad else f"{len(rows(lora))} of them")
    limited = changed(settings, "train", method="full", effective_batch_size=site.pick(32, 256))
    limited = changed(limited, "search", memory_limit=site.pick(LIMIT, REHEARSED_LIMIT))
    full = study(site, limited, site.pick(FULL, REHEARSED_FULL), "full")
    seen = [row.status.value for row in rows(full)]
    site.claim("one_out_of_memory", seen == ["ok", TrialStatus.OUT_OF_MEMORY.value, "ok"], ", ".join(seen))
    restarts = lora.state.restarts + full.state.restarts
    site.claim("same_worker", restarts == 0, f"started again {restarts} times")
    open_books = max(left_open(lora), left_open(full))
    site.claim("books", open_books <= BOOKS_OPEN, f"open by {open_books:.2%}")
    train(site, settings, *fastest(lora))


def study(site: Site, settings: Settings, candidates: list[dict[str, Any]], name: str) -> Finished:
    """Run to its end, with its figures."""
    own = with_candidates(settings, site.folder / f"{name}.json", candidates)
    finished = run_study(own, site.folder / "runs" / name)
    site.figures(**{name: {
        "trials": {row.candidate.label: told(row.result) for row in rows(finished) if row.result is not None},
        "books": to_builtins(finished.state.books), "load_seconds": finished.load_seconds,
        "wall_seconds": finished.wall_seconds, "restarts": finished.state.restarts,
    }})  # fmt: skip
    return finished


def rows(finished: Finished) -> list[Any]:
    """Of the study's table."""
    assert finished.state.study is not None
    return list(finished.state.study.rows)


def sound(result: Any) -> bool:
    """Ok, and the base weights are what they were."""
    return result is not None and result.status is TrialStatus.OK and result.base_weights_unchanged is not False


def left_open(finished: Finished) -> float:
    """Share of the wall time that no phase accounts for; 1 without books."""
    books = finished.state.books
    return abs(books.unaccounted) / books.wall if books is not None else 1.0


def fastest(finished: Finished) -> tuple[Candidate, Measurement]:
    """Of the trials that were measured."""
    measured = [(row.candidate, row.result.measurement) for row in rows(finished)
                if row.result is not None and row.result.measurement is not None]  # fmt: skip
    return max(measured, key=lambda pair: pair[1].samples_per_second)


def train(site: Site, settings: Settings, winner: Candidate, expected: Measurement) -> None:
    """A training with the winner, against what its trial expected of a step."""
    runs: Path = site.folder / "runs" / "train"
    options = StartOptions(runs=runs, where="gpu-check", train_command=["speedtui", "train"])
    session = start_training(with_values(settings, winner.values, "gpu-check"), options)
    code = session.run()
    steps = [event for event in read_events(session.folder.events) if isinstance(event, e.StepCompleted)]
    kept = [(late.t - early.t, late.steps) for early, late in pairwise(steps) if early.step >= FIRST_LEFT_OUT]
    if code or not kept:
        raise RuntimeError(f"the training ended with {code!r} after {len(steps)} lines of steps")
    took = sum(seconds for seconds, _ in kept) / sum(count for _, count in kept)
    off = took / expected.step_seconds - 1
    site.figures(training={
        "label": winner.label, "step_seconds": took, "expected_step_seconds": expected.step_seconds,
        "phases": summed([step.phases for step in steps]),
        "device_phases": summed([step.device_phases for step in steps if step.device_phases is not None]),
    })  # fmt: skip
    site.claim(
        "expected_step", abs(off) <= STEP_OFF, f"{took:.4f} s instead of {expected.step_seconds:.4f} s, {off:+.1%}"
    )


def summed(parts: list[dict[str, float]]) -> dict[str, float]:
    """Seconds by phase over all lines; a line leaves out a phase that rounds to zero."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: sum(part.get(name, 0.0) for part in parts) for name in names}
