"""What can be given up, each in steps from the mildest to the strongest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.batch import divisors
from speedtui.engine.config.frequency import Frequency, frequency_text, parse_frequency
from speedtui.engine.config.paths import value_at
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.plan_types import Change
from speedtui.engine.profile.profile import EPOCHS, MAX_LENGTH, MAX_STEPS, MICRO_BATCH
from speedtui.engine.units import format_share, plural

EVAL_EVERY, CHECKPOINT_EVERY = "schedule.eval_every", "schedule.checkpoint_every"
CHECKPOINTING, GROUPED = "train.gradient_checkpointing", "train.group_by_length"

LONGEST_UNSAVED_SECONDS = 2 * 3600
"""Checkpoints are never spaced wider: what a killed run may lose."""
TIME_SHARES = (1.0, 0.99, 0.98, 0.97, 0.96, 0.95)
"""Shares of the rows that stay whole while time is sought; below the 95th percentile, epochs cost less."""
MEMORY_SHARES = (*TIME_SHARES, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""While memory is sought. A run that cuts more than half of its rows would train on other data."""

EstimateOf = Callable[[Settings], Estimate | None]
"""The whole run with these settings; None where it is not known. It takes longer with more steps."""
MemoryOf = Callable[[Settings], tuple[int, int] | None]
"""(peak, limit) in bytes, what is to be kept free already in the peak; None where the peak is not known."""
SizeOf = Callable[[Settings], float | None]
"""What has to become smaller, in the unit of its limit."""
Rungs = Callable[[Settings], list[Change]]
"""A lever: its possible changes to these settings, one at a time, the mildest first."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the data; None where it is not, and then nothing is done that would need it."""

    rows: int | None = None
    tokens_at: Callable[[float], int] | None = None
    """The length, before any cutting, up to which a share of the rows is whole: 0.95 for the 95th percentile."""
    rows_cut: Callable[[int], int] | None = None
    """How many rows a maximum length would cut."""


def larger_micro_batches(settings: Settings, memory: MemoryOf) -> list[Change]:
    """At the same effective batch, those that are known to fit."""
    train = settings.train
    changes = []
    for size in divisors(train.effective_batch_size):
        if size > train.micro_batch_size:
            change = _change(settings, MICRO_BATCH, size, "fewer, larger micro-batches for the same effective batch")
            known = memory(with_change(settings, change))
            if known is None or known[0] > known[1]:
                break
            changes.append(change)
    return changes


def smaller_micro_batches(settings: Settings) -> list[Change]:
    """At the same effective batch; they cost time only."""
    train = settings.train
    smaller = [n for n in divisors(train.effective_batch_size) if n < train.micro_batch_size]
    reason = "less is held at once; the effective batch stays"
    return [_change(settings, MICRO_BATCH, size, reason) for size in reversed(smaller)]


def checkpointing(settings: Settings) -> list[Change]:
    """A second forward pass instead of kept activations; a recipe's model may not know of it."""
    if settings.train.gradient_checkpointing or settings.model.kind == "python":
        return []
    return [_change(settings, CHECKPOINTING, True, "activations are computed again instead of kept")]


def grouping(settings: Settings) -> list[Change]:
    """Micro-batches of about one length; it has no use in packs and no lengths in a recipe."""
    if settings.train.group_by_length or settings.data.packing or settings.model.kind == "python":
        return []
    gives_up = "an order of the samples that is less random"
    return [_change(settings, GROUPED, True, "micro-batches of about one length have less padding", gives_up)]


def fewer_evaluations(settings: Settings, estimate: EstimateOf) -> list[Change]:
    """The spacing doubled until only the evaluation at the end is left."""
    now = estimate(settings)
    if now is None or now.evals < 2:
        return []
    every = settings.schedule.eval_every
    present, changes = parse_frequency(every), []
    for k in range(1, math.ceil(math.log2(now.evals)) + 1):
        text = frequency_text(_times(present, 2**k, now.total_steps, settings.train.epochs))
        reason = f"an evaluation every {text} instead of every {every}"
        changes.append(_change(settings, EVAL_EVERY, text, reason, "a closer watch on the evaluation loss"))
    return changes


def fewer_checkpoints(settings: Settings, estimate: EstimateOf) -> list[Change]:
    """The spacing doubled up to two hours; the model at the end is always saved."""
    now = estimate(settings)
    if now is None or now.saves < 1:
        return []
    every = settings.schedule.checkpoint_every
    pace = now.running_seconds / max(now.total_steps, 1)
    changes = []
    for frequency in _wider(parse_frequency(every), pace, now.total_steps, settings):
        text = frequency_text(frequency)
        reason = f"a checkpoint every {text} instead of every {every}"
        changes.append(_change(settings, CHECKPOINT_EVERY, text, reason, f"work since the last one: up to {text}"))
    return changes


def shorter_samples(settings: Settings, facts: Facts, shares: tuple[float, ...]) -> list[Change]:
    """The maximum length at which these shares of the rows stay whole; with packs it would mean something else."""
    if facts.tokens_at is None or settings.data.packing or settings.model.kind == "python":
        return []
    changes: list[Change] = []
    present = settings.data.max_length
    for share in shares:
        length = max(facts.tokens_at(share), 2)
        if length < present and (not changes or length != changes[-1].after):
            cut = _cut_text(facts, length, share)
            changes.append(_change(settings, MAX_LENGTH, length, f"samples of up to {length:,} tokens", cut))
    return changes


def fewer_epochs(settings: Settings) -> list[Change]:
    """Whole ones, down to one; `train.max_steps` would override them."""
    if settings.train.max_steps is not None:
        return []
    epochs = settings.train.epochs
    return [
        _change(
            settings, EPOCHS, float(count), f"{plural(count, 'epoch')} instead of {epochs:g}",
            f"{epochs - count:g} of {epochs:g} epochs",
        )
        for count in range(math.ceil(epochs) - 1, 0, -1)
    ]  # fmt: skip


def fewer_steps(settings: Settings, size: SizeOf, limit: float, total_steps: int, asked_steps: int) -> list[Change]:
    """The most optimizer steps below `total_steps` with which the size stays within the limit; empty where none do.

    `asked_steps` is what the run had before anything was given up. It asks log2(total_steps) times.
    """

    def at(steps: int) -> Change:
        share = f"{format_share(1 - steps / max(asked_steps, 1))} of the {asked_steps:,} steps asked for"
        return _change(settings, MAX_STEPS, steps, f"{steps:,} optimizer steps, the most that fit", share)

    low, high = 0, total_steps
    while high - low > 1:
        middle = (low + high) // 2
        found = size(with_change(settings, at(middle)))
        low, high = (middle, high) if found is not None and found <= limit else (low, middle)
    return [at(low)] if low else []


def with_change(settings: Settings, change: Change) -> Settings:
    """The settings with the change in them."""
    *tables, last = change.path.split(".")
    changed: Settings = _replaced(settings, tables, last, change.after)
    return changed


def _replaced(section: Any, tables: list[str], last: str, value: Scalar | None) -> Any:
    """Structs replaced from the inside out; levers change known settings of the right type, so nothing is checked."""
    if not tables:
        return msgspec.structs.replace(section, **{last: value})
    inner = _replaced(getattr(section, tables[0]), tables[1:], last, value)
    return msgspec.structs.replace(section, **{tables[0]: inner})


def _change(settings: Settings, path: str, after: Scalar, reason: str, gives_up: str = "") -> Change:
    return Change(path=path, before=value_at(settings, path), after=after, reason=reason, gives_up=gives_up)


def _cut_text(facts: Facts, length: int, share: float) -> str:
    if facts.rows_cut is None:
        return "" if share >= 1 else f"the ends of {format_share(1 - share)} of the rows"
    cut = facts.rows_cut(length)
    of = f" of {facts.rows:,}" if facts.rows is not None else ""
    return f"the ends of {cut:,}{of} rows" if cut else ""


def _wider(present: Frequency, pace: float, total_steps: int, settings: Settings) -> Iterator[Frequency]:
    """Spacings 2, 4, 8 ... times as wide, the last of them the widest that is allowed; `pace`: seconds a step."""
    if present.seconds is not None:
        widest = float(LONGEST_UNSAVED_SECONDS)
        value = present.seconds
    else:
        widest = float(int(LONGEST_UNSAVED_SECONDS / pace)) if pace > 0 else 0.0
        value = float(present.steps or _epochs_in_steps(present, total_steps, settings))
    while 0 < value < widest:
        value = min(2 * value, widest)
        yield Frequency(seconds=value) if present.seconds is not None else Frequency(steps=int(value))


def _epochs_in_steps(present: Frequency, total_steps: int, settings: Settings) -> int:
    """0 for never, and where the steps of an epoch do not follow from the total."""
    if present.epochs is None or settings.train.max_steps is not None:
        return 0
    return round(present.epochs * total_steps / settings.train.epochs)


def _times(frequency: Frequency, factor: int, total_steps: int, epochs: float) -> Frequency:
    """So many times as wide; in steps and epochs up to the whole run, whose time is what is sought."""
    return Frequency(
        steps=min(frequency.steps * factor, total_steps) if frequency.steps is not None else None,
        epochs=min(frequency.epochs * factor, max(epochs, frequency.epochs)) if frequency.epochs is not None else None,
        seconds=frequency.seconds * factor if frequency.seconds is not None else None,
    )
