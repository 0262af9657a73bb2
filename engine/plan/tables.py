"""What evaluations and checkpoints cost by how often they happen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.frequency import Frequency, frequency_text, parse_frequency
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.config.window import Window
from speedtui.engine.plan_types import FrequencyRow
from speedtui.engine.schedule.rules import frequency_steps
from speedtui.engine.timing.verdict import judge_finish
from speedtui.engine.units import duration_text, parse_duration

Estimator = Callable[[Settings], Estimate | None]
"""The whole run with these settings, which differ in their schedule, epochs or steps; None where it is not known."""

EVAL_EVERY, CHECKPOINT_EVERY = "schedule.eval_every", "schedule.checkpoint_every"
WAY_BACK = "30m"
"""Between checkpoints by the clock where otherwise only the best is saved (requirement B8)."""
MULTIPLES = (0.25, 0.5, 2.0, 4.0)
"""Of the present spacing."""
CHECKPOINT_SHARE = 0.035
"""Of the run: what checkpoints may take at most (CheckFreq, FAST 2021)."""


def eval_cost(found: Estimate) -> float:
    """Seconds of all evaluations, with generation and metric."""
    return math.fsum(found.terms.get(term, 0.0) for term in ("evals", "generate", "metric"))


class Spacing(msgspec.Struct, frozen=True, kw_only=True):
    """One way to space something."""

    every: str
    """As it is written in the configuration."""
    steps: int | None
    """None: never. A stretch of time is turned into steps by their pace."""
    current: bool = False


def eval_frequencies(
    settings: Settings, estimate: Estimator, window: Window | None, now: float, steps_per_epoch: int
) -> list[FrequencyRow]:
    """Evaluations around the present spacing, by the epoch, only at the end and never; the most frequent first.

    Empty where nothing is known of the run, or there is nothing to evaluate on.
    """
    base = estimate(settings)
    if base is None:
        return []
    present = parse_frequency(settings.schedule.eval_every)
    pace = base.running_seconds / max(base.total_steps, 1)
    spacings = _spacings(settings.schedule.eval_every, present, steps_per_epoch, base.total_steps, pace)
    spacings.insert(1, Spacing(every=the_end(base.total_steps, steps_per_epoch), steps=base.total_steps))
    rows = []
    for spacing in _distinct(spacings, base.total_steps):
        found = estimate(_set(settings, {EVAL_EVERY: spacing.every}))
        if found is not None:
            rows.append(_row("eval", spacing, found, found.evals, eval_cost(found), window, now))
    return rows if any(row.count for row in rows) else []


def checkpoint_frequencies(
    settings: Settings, estimate: Estimator, window: Window | None, now: float, steps_per_epoch: int
) -> list[FrequencyRow]:
    """Checkpoints around the present spacing, by the epoch and never, with the work that a kill may cost.

    Where they take more than `CHECKPOINT_SHARE`, the spacing at which they take that is among them. Where only the
    best evaluations are saved, spacings are by the clock, the only ones that are kept beside those. Empty where
    nothing is known of the run.
    """
    base = estimate(settings)
    if base is None:
        return []
    text = settings.schedule.checkpoint_every
    present = parse_frequency(text)
    pace = base.running_seconds / max(base.total_steps, 1)
    best_only = settings.schedule.save_only_best and base.evals > 0
    if best_only:
        spacings = _clock_spacings(text, present, pace)
    else:
        spacings = _spacings(text, present, steps_per_epoch, base.total_steps, pace)
        if base.terms.get("saves", 0.0) > CHECKPOINT_SHARE * base.p50_seconds:
            spacings.append(_at_the_bound(base, present, pace))
    rows = []
    for spacing in _distinct(spacings, base.total_steps):
        found = estimate(_set(settings, {CHECKPOINT_EVERY: spacing.every}))
        if found is not None:
            row = _row("checkpoint", spacing, found, found.saves, found.terms.get("saves", 0.0), window, now)
            lost = _lost_seconds(spacing, found)
            rows.append(msgspec.structs.replace(row, lost_seconds=lost, best_only=best_only and spacing.steps is None))
    return _without_twins(rows)


def recommended_checkpoint(rows: Iterable[FrequencyRow]) -> FrequencyRow | None:
    """The most frequent checkpoint within `CHECKPOINT_SHARE`; None where none is, or a save was not measured."""
    within = [row for row in rows if row.what == "checkpoint" and row.count and 0 < row.share <= CHECKPOINT_SHARE]
    return max(within, key=lambda row: row.count, default=None)


def _spacings(text: str, present: Frequency, epoch_steps: int, total: int, pace: float | None) -> list[Spacing]:
    """The present one first, which wins over one that is the same; `pace`: seconds a step, where time is allowed."""
    steps = frequency_steps(present, epoch_steps)
    if present.seconds is not None and pace:
        steps = max(round(present.seconds / pace), 1)
    spacings = [Spacing(every=text, steps=steps, current=True)]
    spacings += [Spacing(every=frequency_text(Frequency(epochs=n)), steps=n * epoch_steps) for n in (1, 2)]
    around = present if steps is not None else Frequency(epochs=1.0)
    for factor in MULTIPLES:
        if around.seconds is not None and pace:
            seconds = max(round(around.seconds * factor), 1)
            spacings.append(Spacing(every=duration_text(seconds), steps=max(round(seconds / pace), 1)))
        elif around.epochs is not None:
            epochs = around.epochs * factor
            spacings.append(
                Spacing(every=frequency_text(Frequency(epochs=epochs)), steps=max(round(epochs * epoch_steps), 1))
            )
        elif around.steps is not None:
            count = max(round(around.steps * factor), 1)
            spacings.append(Spacing(every=frequency_text(Frequency(steps=count)), steps=count))
    return [*spacings, Spacing(every="never", steps=None)]


def _clock_spacings(text: str, present: Frequency, pace: float) -> list[Spacing]:
    """By the clock around the present one, and none; a present one that is not by the clock is none."""
    around = present.seconds or parse_duration(WAY_BACK)
    spacings = [
        Spacing(every=text, steps=max(round(around / pace), 1) if present.seconds and pace else None, current=True)
    ]
    for factor in (*MULTIPLES[:2], 1.0, *MULTIPLES[2:]):
        seconds = max(round(around * factor), 1)
        spacings.append(Spacing(every=duration_text(seconds), steps=max(round(seconds / pace), 1) if pace else 1))
    return [*spacings, Spacing(every="never", steps=None)]


def _distinct(spacings: Iterable[Spacing], total: int) -> list[Spacing]:
    """Each once, the most frequent first; whatever is longer than the run is the run's length."""
    found: dict[int | None, Spacing] = {}
    for spacing in spacings:
        steps = min(spacing.steps, total) if spacing.steps is not None else None
        found.setdefault(steps, msgspec.structs.replace(spacing, steps=steps))
    return sorted(found.values(), key=lambda spacing: math.inf if spacing.steps is None else spacing.steps)


def _without_twins(rows: list[FrequencyRow]) -> list[FrequencyRow]:
    """What never saves is there once: the present one, else the one that is called never."""
    never = [row for row in rows if not row.count]
    kept = next((row for row in never if row.current), never[-1] if never else None)
    rows = [row for row in rows if row.count]
    return [*rows, msgspec.structs.replace(kept, every_steps=None)] if kept is not None else rows


def _at_the_bound(base: Estimate, present: Frequency, pace: float) -> Spacing:
    """How far apart checkpoints must be to take no more than `CHECKPOINT_SHARE` of the time between them."""
    seconds = base.terms["saves"] / base.saves / CHECKPOINT_SHARE
    steps = max(math.ceil(seconds / pace), 1)
    return Spacing(every=duration_text(math.ceil(seconds)) if present.seconds else f"{steps} steps", steps=steps)


def _row(
    what: Literal["eval", "checkpoint"], spacing: Spacing, found: Estimate, count: int, cost: float,
    window: Window | None, now: float,
) -> FrequencyRow:  # fmt: skip
    return FrequencyRow(
        what=what,
        every_steps=spacing.steps,
        every=spacing.every,
        count=count,
        cost_seconds=cost,
        share=cost / found.p50_seconds if found.p50_seconds > 0 else 0.0,
        total_seconds=found.p50_seconds,
        finish=now + found.p50_seconds,
        fit=judge_finish(now, found, window),
        current=spacing.current,
    )


def _lost_seconds(spacing: Spacing, found: Estimate) -> float:
    """From one checkpoint to the next; the whole run where there is none, or only those of the best evaluations: no
    evaluation need be the best so far after the first."""
    running = found.running_seconds
    if spacing.steps is None or not found.saves:
        return running
    seconds = parse_frequency(spacing.every).seconds
    return min(seconds or running * spacing.steps / max(found.total_steps, 1), running)


def _set(settings: Settings, values: dict[str, Scalar]) -> Settings:
    return with_values(settings, values, "the plan")


def the_end(total: int, epoch_steps: int) -> str:
    """A spacing as long as the run, in epochs where those are whole."""
    return f"{total} steps" if total % epoch_steps else frequency_text(Frequency(epochs=total // epoch_steps))
