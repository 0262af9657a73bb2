"""What is given up so that a run fits the memory and the window: what costs least quality first (requirement B4).

Memory: gradient checkpointing, then a smaller micro-batch at the same effective batch, then shorter samples. The
adapter's rank and the effective batch are never touched.

Window: first what costs no quality, a larger micro-batch and micro-batches of one length; then fewer evaluations,
fewer checkpoints, shorter samples down to the 95th percentile, fewer epochs, and at last a number of steps.

Once it fits, what has turned out not to be needed is given back, the costliest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Settings
from speedtui.engine.plan_types import Change
from speedtui.engine.profile.levers import (
    MEMORY_SHARES,
    TIME_SHARES,
    EstimateOf,
    Facts,
    MemoryOf,
    Rungs,
    SizeOf,
    checkpointing,
    fewer_checkpoints,
    fewer_epochs,
    fewer_evaluations,
    fewer_steps,
    grouping,
    larger_micro_batches,
    shorter_samples,
    smaller_micro_batches,
    with_change,
)
from speedtui.engine.units import format_size, format_span

Number = TypeVar("Number", int, float)

FREE_GAIN = 0.01
"""What a lever without a cost must save to be taken, relative; less is within an estimate's own error."""
COSTLY_GAIN = 0.001
"""What one with a cost must save to be worth naming."""
NOTHING_KNOWN = Facts()


class Adjusted(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that fit, and what was given up for it."""

    settings: Settings
    """As asked for where they fit at once, and where nothing helps."""
    changes: list[Change]
    """In the order in which they were made, each with what it saved; a negative saving is a cost."""
    estimate: Estimate | None
    """Of `settings`."""
    fits: bool | None
    """None: not known, and nothing was changed."""
    note: str = ""
    """Why nothing helps, where nothing does."""


class FittingLever(NamedTuple):
    """One thing to try."""

    rungs: Rungs
    free: bool = False
    """It costs no quality, or next to none: the rung that saves most is taken."""


class Taken(NamedTuple):
    """A change that was made, and those that could have been made instead, the mildest first."""

    change: Change
    rungs: list[Change]
    free: bool


def fit_to_window(
    settings: Settings, estimate: EstimateOf, safe_seconds: float, facts: Facts = NOTHING_KNOWN,
    memory: MemoryOf | None = None,
) -> Adjusted:  # fmt: skip
    """Makes the run's P90 end within `safe_seconds`, the window less its margin.

    `memory` tells which larger micro-batches may be taken; without it none is. `estimate` is called a few dozen
    times, with one setting changed each time.
    """
    asked = estimate(settings)
    if asked is None:
        return Adjusted(settings=settings, changes=[], estimate=None, fits=None)

    def size(changed: Settings) -> float | None:
        run = estimate(changed)
        return run.p90_seconds if run is not None else None

    levers = [
        FittingLever(partial(larger_micro_batches, memory=memory), free=True) if memory is not None else None,
        FittingLever(grouping, free=True),
        FittingLever(partial(fewer_evaluations, estimate=estimate)),
        FittingLever(partial(fewer_checkpoints, estimate=estimate)),
        FittingLever(partial(shorter_samples, facts=facts, shares=TIME_SHARES)),
        FittingLever(fewer_epochs),
    ]
    found = _descend(settings, size, safe_seconds, [lever for lever in levers if lever is not None])
    taken: list[Taken] | None = found
    if not _within(size(_with(settings, found)), safe_seconds):
        taken = _with_fewer_steps(settings, found, estimate, size, safe_seconds, asked.total_steps)
    if taken is None:
        return _nothing_helps(settings, asked, estimate, safe_seconds)
    return _adjusted(settings, _given_back(settings, taken, size, safe_seconds), estimate, memory)


def fit_to_memory(
    settings: Settings, memory: MemoryOf, facts: Facts = NOTHING_KNOWN, estimate: EstimateOf | None = None
) -> Adjusted:
    """Makes the peak stay within its limit.

    With an estimate, a smaller micro-batch is preferred to gradient checkpointing where that takes less time; both
    cost no quality.
    """

    def size(changed: Settings) -> float | None:
        known = memory(changed)
        return known[0] / known[1] if known is not None and known[1] > 0 else None

    if size(settings) is None:
        return Adjusted(settings=settings, changes=[], estimate=estimate(settings) if estimate else None, fits=None)
    shorter = FittingLever(partial(shorter_samples, facts=facts, shares=MEMORY_SHARES))
    orders = [[FittingLever(checkpointing), FittingLever(smaller_micro_batches), shorter]]
    if estimate is not None:
        orders.append([FittingLever(smaller_micro_batches), FittingLever(checkpointing), shorter])
    found = []
    for order in orders:
        taken = _descend(settings, size, 1.0, order)
        if _within(size(_with(settings, taken)), 1.0):
            found.append(_adjusted(settings, _given_back(settings, taken, size, 1.0), estimate, memory))
    if found:
        return min(found, key=_seconds)
    return Adjusted(
        settings=settings, changes=[], estimate=estimate(settings) if estimate else None, fits=False,
        note=_least_memory(_with(settings, taken), memory),
    )  # fmt: skip


def _descend(settings: Settings, size: SizeOf, limit: float, levers: Sequence[FittingLever]) -> list[Taken]:
    """Lever by lever until the size is within the limit; of each the mildest rung that does, or the strongest."""
    taken: list[Taken] = []
    for lever in levers:
        now = _with(settings, taken)
        current = size(now)
        if current is None or current <= limit:
            break
        rungs = lever.rungs(now)
        best = _best(now, rungs, size, limit, current, free=lever.free)
        if best is not None:
            taken.append(Taken(best, rungs, lever.free))
    return taken


def _best(
    now: Settings, rungs: Sequence[Change], size: SizeOf, limit: float, current: float, *, free: bool
) -> Change | None:  # fmt: skip
    """The rung to take; None where none saves enough to be worth it."""
    least, best = current * (1 - (FREE_GAIN if free else COSTLY_GAIN)), None
    for rung in rungs:
        found = size(with_change(now, rung))
        if found is not None and found < least:
            least, best = found, rung
            if found <= limit and not free:
                break
    return best


def _with_fewer_steps(
    settings: Settings, taken: list[Taken], estimate: EstimateOf, size: SizeOf, limit: float, asked_steps: int
) -> list[Taken] | None:  # fmt: skip
    """And the most steps that fit; None where not one does. They override epochs, which are then given back."""
    now = _with(settings, taken)
    whole = estimate(now)
    rungs = fewer_steps(now, size, limit, whole.total_steps, asked_steps) if whole is not None else []
    return [*taken, Taken(rungs[0], rungs, False)] if rungs else None


def _given_back(settings: Settings, taken: list[Taken], size: SizeOf, limit: float) -> list[Taken]:
    """Without what the later changes have made needless; of the rest, the mildest rung that is enough."""
    kept = list(taken)
    for one in reversed(taken[:-1]):
        if one.free and not one.change.gives_up:
            continue
        place = kept.index(one)
        others = [*kept[:place], *kept[place + 1 :]]
        if _within(size(_with(settings, others)), limit):
            kept = others
            continue
        for rung in one.rungs[: one.rungs.index(one.change)]:
            milder = one._replace(change=rung)
            if _within(size(_with(settings, [*others, milder])), limit):
                kept[place] = milder
                break
    return kept


def _adjusted(
    settings: Settings, taken: Sequence[Taken], estimate: EstimateOf | None, memory: MemoryOf | None
) -> Adjusted:  # fmt: skip
    """The changes with what each saved after those before it."""
    now, changes = settings, []
    before = _figures(now, estimate, memory)
    for one in taken:
        now = with_change(now, one.change)
        after = _figures(now, estimate, memory)
        saved = msgspec.structs.replace(
            one.change, saves_seconds=_less(before[0], after[0]), saves_bytes=_less(before[1], after[1])
        )
        changes.append(saved)
        before = after
    return Adjusted(settings=now, changes=changes, estimate=estimate(now) if estimate else None, fits=True)


def _figures(
    settings: Settings, estimate: EstimateOf | None, memory: MemoryOf | None
) -> tuple[float | None, int | None]:  # fmt: skip
    """(P50 seconds, peak bytes)."""
    found = estimate(settings) if estimate is not None else None
    known = memory(settings) if memory is not None else None
    return (found.p50_seconds if found is not None else None), (known[0] if known is not None else None)


def _less(before: Number | None, after: Number | None) -> Number | None:
    return before - after if before is not None and after is not None else None


def _seconds(adjusted: Adjusted) -> float:
    """P50; 0 for all of them where nothing tells, and then the first stands."""
    return adjusted.estimate.p50_seconds if adjusted.estimate is not None else 0.0


def _nothing_helps(settings: Settings, asked: Estimate, estimate: EstimateOf, safe_seconds: float) -> Adjusted:
    train = msgspec.structs.replace(settings.train, max_steps=1)
    shortest = estimate(msgspec.structs.replace(settings, train=train))
    note = "not even one optimizer step fits"
    if shortest is not None:
        over = format_span(shortest.p90_seconds - safe_seconds)
        note += f": it would end {over} past the latest safe finish"
    return Adjusted(settings=settings, changes=[], estimate=asked, fits=False, note=note)


def _least_memory(strongest: Settings, memory: MemoryOf) -> str:
    known = memory(strongest)
    if known is None:
        return "nothing is known to fit"
    return f"the least it takes, what is kept free included, is {format_size(known[0])} of {format_size(known[1])}"


def _with(settings: Settings, taken: Sequence[Taken]) -> Settings:
    for one in taken:
        settings = with_change(settings, one.change)
    return settings


def _within(size: float | None, limit: float) -> bool:
    return size is not None and size <= limit
