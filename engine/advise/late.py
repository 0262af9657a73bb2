"""A training in progress that will be late: what can still be set, and what each of it gains.

Every figure is of what is still to come: counts by the schedule's own rules, costs as they were measured in this run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from speedtui.engine.advise.costs import CHECKPOINT_EVERY, EVAL_EVERY, FAST_EVERY
from speedtui.engine.config.frequency import Frequency, frequency_text, parse_frequency
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Scalar, ScheduleSettings, Settings
from speedtui.engine.context.order import Alternative
from speedtui.engine.plan_types import Advice
from speedtui.engine.profile.levers import LONGEST_UNSAVED_SECONDS
from speedtui.engine.schedule.count import Prices
from speedtui.engine.schedule.remaining import Remaining
from speedtui.engine.units import format_rest, format_seconds, format_share, format_span

GENERATE, METRIC, BEST_BY = "schedule.generate", "schedule.metric", "schedule.best_by"
MICRO_BATCH, MAX_STEPS = "train.micro_batch_size", "train.max_steps"

FACTORS = (2, 3, 5)
"""Times as far apart."""
LEAST_SECONDS, LEAST_SHARE = 1.0, 0.01
"""What a lever must gain, in seconds and as a share of what is left: less is lost in what is not known."""


class LateCase(msgspec.Struct, frozen=True, kw_only=True):
    """A training that is late, as its estimate of the finish sees it."""

    settings: Settings
    """As they are now."""
    remaining: Remaining
    short_seconds: float
    """From the latest safe finish to the P50 finish."""
    alternatives: list[Alternative] = []
    """What trials measured of other settings with this model and data."""
    trial_step_seconds: float | None = None
    """What they measured of the present ones."""
    changeover_seconds: float = 0.0
    """A checkpoint and a new trainer, which another micro-batch takes."""
    reachable_steps: int | None = None
    """How many more steps fit; None where that is not known."""


class LateLever(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that could be set."""

    words: str
    evidence: str
    changes: dict[str, Scalar]
    gain_seconds: float
    last_resort: bool = False


def late_levers(case: LateCase) -> list[Advice]:
    """What helps, the largest gain first and fewer steps last; of spacings the mildest that is enough alone, else the
    widest. Empty where nothing gains more than a second and a hundredth of what is left."""
    least = max(LEAST_SECONDS, LEAST_SHARE * case.remaining.seconds)
    levers = [lever for lever in _all(case) if lever.gain_seconds > least]
    levers.sort(key=lambda lever: (lever.last_resort, -lever.gain_seconds))
    return [
        Advice(
            kind="too_slow",
            evidence=f"{lever.evidence}; {_outcome(lever.gain_seconds, case.short_seconds)}",
            lever=lever.words,
            changes=lever.changes,
            gain_seconds=lever.gain_seconds,
        )
        for lever in levers
    ]


def _all(case: LateCase) -> Iterator[LateLever]:
    yield from _rarer_evaluations(case)
    yield from _loss_between(case)
    yield from _cheaper_evaluations(case)
    yield from _only_best(case)
    yield from _rarer_checkpoints(case)
    yield from _micro_batch(case)
    yield from _fewer_steps(case)


def _outcome(gain: float, short: float) -> str:
    if gain >= short:
        return f"this saves {format_span(gain)}: it finishes {format_rest(gain, short)} inside the margin"
    return f"this saves {format_span(gain)}: {format_rest(short, gain)} are still missing"


def _enough_or_last(levers: list[LateLever], short: float) -> list[LateLever]:
    """Of ever stronger ones."""
    enough = [lever for lever in levers if lever.gain_seconds >= short]
    return enough[:1] or levers[-1:]


# -- evaluations -----------------------------------------------------------------------------------


def _rarer_evaluations(case: LateCase) -> list[LateLever]:
    """Full ones; those of the loss alone stay as they are."""
    schedule = case.settings.schedule
    if case.remaining.due(schedule).full < 2:
        return []
    present = schedule.eval_every
    spacings = [(text, f"every {text}") for text in _times(parse_frequency(present), case.remaining)]
    spacings.append((_the_end(case), "only at the end"))
    return _enough_or_last(
        [
            _scheduled(case, {EVAL_EVERY: text}, f"evaluate {words} instead of every {present}", _full_cost(case))
            for text, words in spacings
        ],
        case.short_seconds,
    )


def _loss_between(case: LateCase) -> list[LateLever]:
    schedule, prices = case.settings.schedule, case.remaining.prices
    if case.remaining.due(schedule).full < 2 or prices.full <= prices.loss:
        return []
    changes: dict[str, Scalar] = {EVAL_EVERY: _the_end(case)}
    if schedule.fast_eval_every == "never":
        changes[FAST_EVERY] = schedule.eval_every
    words = "evaluate in full only at the end, the loss alone before"
    evidence = f"{_full_cost(case)}, {format_seconds(prices.loss)} with the loss alone"
    return [_scheduled(case, changes, words, evidence)]


def _cheaper_evaluations(case: LateCase) -> Iterator[LateLever]:
    """Without generation, and without the metric."""
    schedule, remaining, prices = case.settings.schedule, case.remaining, case.remaining.prices
    by_loss: dict[str, Scalar] = {} if schedule.best_by == "loss" else {BEST_BY: "loss"}
    no_metric: dict[str, Scalar] = {METRIC: "", **by_loss} if schedule.metric else {}
    if schedule.generate:
        cheaper = msgspec.structs.replace(prices, full=min(prices.loss, prices.full))
        part = f"generation takes {format_seconds(remaining.generate_seconds)} of each"
        evidence = f"{_full_cost(case)}; {part}"
        yield _scheduled(case, {GENERATE: False, **no_metric}, "generate no answers", evidence, cheaper)
    if schedule.metric:
        cheaper = msgspec.structs.replace(prices, full=max(prices.full - remaining.metric_seconds, 0.0))
        evidence = f"{_full_cost(case)}; the metric takes {format_seconds(remaining.metric_seconds)} of each"
        yield _scheduled(case, no_metric, "leave out the metric", evidence, cheaper)


def _full_cost(case: LateCase) -> str:
    due, prices = case.remaining.due(case.settings.schedule), case.remaining.prices
    return _still("evaluation", due.full, prices.full)


# -- checkpoints -----------------------------------------------------------------------------------


def _only_best(case: LateCase) -> list[LateLever]:
    schedule = case.settings.schedule
    by_steps = parse_frequency(schedule.checkpoint_every).seconds is None
    if schedule.save_only_best or not case.remaining.evaluates or not by_steps or not _saves(case):
        return []
    words = "save a checkpoint only when an evaluation is the best so far"
    return [_scheduled(case, {"schedule.save_only_best": True}, words, _save_cost(case))]


def _rarer_checkpoints(case: LateCase) -> list[LateLever]:
    schedule = case.settings.schedule
    if schedule.save_only_best or _saves(case) < 2:
        return []
    present = schedule.checkpoint_every
    levers = []
    for text in _times(parse_frequency(present), case.remaining):
        lost = _unsaved_seconds(text, case.remaining)
        if lost <= LONGEST_UNSAVED_SECONDS:
            words = f"save a checkpoint every {text} instead of every {present}"
            evidence = f"{_save_cost(case)}; up to {format_span(lost)} of work could then be lost"
            levers.append(_scheduled(case, {CHECKPOINT_EVERY: text}, words, evidence))
    return _enough_or_last(levers, case.short_seconds)


def _saves(case: LateCase) -> float:
    return case.remaining.due(case.settings.schedule).saves


def _save_cost(case: LateCase) -> str:
    return _still("checkpoint", round(_saves(case)), case.remaining.prices.save)


def _unsaved_seconds(every: str, remaining: Remaining) -> float:
    frequency = parse_frequency(every)
    steps = frequency.steps or (frequency.epochs or 0.0) * remaining.epoch_steps
    return frequency.seconds or min(steps, remaining.steps) * remaining.prices.step


# -- steps -----------------------------------------------------------------------------------------


def _micro_batch(case: LateCase) -> list[LateLever]:
    """The fastest that a trial measured at the same effective batch; nothing else can be set while it goes on."""
    own, remaining = case.trial_step_seconds, case.remaining
    now = own if own is not None else remaining.prices.step
    known = [other for other in case.alternatives if other.values.keys() == {MICRO_BATCH}]
    best = min(known, key=lambda other: other.step_seconds, default=None)
    if best is None or best.step_seconds >= now or now <= 0:
        return []
    train, size = case.settings.train, best.values[MICRO_BATCH]
    gain = remaining.steps_seconds * (1 - best.step_seconds / now) - case.changeover_seconds
    measured = "a trial measured" if own is not None else "this run takes"
    evidence = (
        f"a step took {format_seconds(best.step_seconds)} with it in a trial, and {measured} {format_seconds(now)} "
        f"with the present one; {remaining.steps} steps are left"
    )
    words = (
        f"{MICRO_BATCH} {train.micro_batch_size} → {size}, the effective batch stays {train.effective_batch_size}; "
        f"the changeover takes about {format_span(case.changeover_seconds)}"
    )
    return [LateLever(words=words, evidence=evidence, changes={MICRO_BATCH: size}, gain_seconds=gain)]


def _fewer_steps(case: LateCase) -> list[LateLever]:
    remaining, reachable = case.remaining, case.reachable_steps
    if reachable is None or not 0 < reachable < remaining.steps:
        return []
    last = remaining.at.step + reachable
    lost = remaining.total_steps - last
    before, after = remaining.cost(case.settings.schedule), remaining.cost(case.settings.schedule, total_steps=last)
    gain = remaining.steps_seconds * lost / remaining.steps + before - after
    return [
        LateLever(
            words=f"end after {last} steps instead of {remaining.total_steps}",
            evidence=f"gives up {lost} steps, {format_share(lost / remaining.total_steps)} of the training",
            changes={MAX_STEPS: last}, gain_seconds=gain, last_resort=True,
        )
    ]  # fmt: skip


# -- sums ------------------------------------------------------------------------------------------


def _scheduled(
    case: LateCase, changes: Mapping[str, Scalar], words: str, evidence: str, prices: Prices | None = None
) -> LateLever:
    """What another schedule makes of the evaluations and checkpoints to come; `prices`: where it changes them."""
    remaining = case.remaining
    gain = remaining.cost(case.settings.schedule) - remaining.cost(_changed(case.settings, changes), prices)
    return LateLever(words=words, evidence=evidence, changes=dict(changes), gain_seconds=gain)


def _changed(settings: Settings, changes: Mapping[str, Scalar]) -> ScheduleSettings:
    return with_values(settings, changes, "late").schedule


def _times(present: Frequency, remaining: Remaining) -> list[str]:
    """As the configuration writes it, each wider than the last and none wider than what is left."""
    widest = remaining.total_steps * remaining.prices.step
    found = []
    for factor in FACTORS:
        if present.steps is not None and present.steps * factor < remaining.total_steps:
            found.append(Frequency(steps=present.steps * factor))
        if present.epochs is not None and present.epochs * factor * remaining.epoch_steps < remaining.total_steps:
            found.append(Frequency(epochs=present.epochs * factor))
        if present.seconds is not None and present.seconds * factor < widest:
            found.append(Frequency(seconds=present.seconds * factor))
    return [frequency_text(frequency) for frequency in found]


def _the_end(case: LateCase) -> str:
    return frequency_text(Frequency(steps=case.remaining.total_steps))


def _still(noun: str, count: float, seconds: float) -> str:
    """`5 evaluations still to come take 48m 00s at 9m 36s each`."""
    nouns = noun if count == 1 else f"{noun}s"
    takes = "takes" if count == 1 else "take"
    return f"{count:g} {nouns} still to come {takes} {format_span(count * seconds)} at {format_seconds(seconds)} each"
