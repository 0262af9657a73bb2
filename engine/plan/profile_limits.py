"""A profile's settings brought within what the data and the model can do, where the user's file does not set them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from speedtui.engine.config.batch import divisors
from speedtui.engine.config.paths import value_at, with_values
from speedtui.engine.config.settings import Scalar
from speedtui.engine.plan.resolved_profiles import ResolvedProfile
from speedtui.engine.plan_types import Change
from speedtui.engine.profile.profile import EFFECTIVE_BATCH, MAX_LENGTH
from speedtui.engine.schedule.steps import counts_of
from speedtui.engine.search.candidates import MICRO_BATCH
from speedtui.engine.units import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from speedtui.engine.config.settings import Settings
    from speedtui.engine.workload.base import Workload
    from speedtui.engine.workload.positions import Places

WARMUP = "train.lr_warmup_steps"
WARMUP_SHARE = 0.1
"""Of the steps, where the warm-up that was asked for is longer than all of them."""


def within(
    case: ResolvedProfile, data_for: Callable[[Settings], Workload], places: Places, *, made_for: int | None,
    own_length: int,
) -> ResolvedProfile:  # fmt: skip
    """The case as `require_possible` lets it run: rows cut to the model's places, steps that the rows can fill.

    `made_for`: tokens that the model was trained on, which no profile goes beyond where the user does not:
    `own_length` is their `data.max_length`.
    """
    case = _within_places(case, data_for, places)
    if made_for is not None:
        case = _within_training(case, data_for, made_for, max(made_for, own_length))
    rows = data_for(case.settings).facts.train_rows
    if case.settings.train.effective_batch_size > rows:
        micro = max(n for n in divisors(rows) if n <= case.settings.train.micro_batch_size)
        there = f"there {'is' if rows == 1 else 'are'} {plural(rows, 'row')}"
        case = _changed(case, {EFFECTIVE_BATCH: rows, MICRO_BATCH: micro}, f"{there} to train on")
    return within_steps(case, rows)


def within_steps(case: ResolvedProfile, rows: int) -> ResolvedProfile:
    """The case with a warm-up that ends before its last step."""
    steps = counts_of(case.settings, rows).total_steps
    if case.settings.train.lr_warmup_steps > 0 and case.settings.train.lr_warmup_steps >= steps:
        case = _changed(case, {WARMUP: int(WARMUP_SHARE * steps)}, f"the run has {steps} steps")
    return case


def _within_places(case: ResolvedProfile, data_for: Callable[[Settings], Workload], places: Places) -> ResolvedProfile:
    most = places.least
    if most is None or case.settings.data.max_length <= most or _no_longer(case, data_for, *places):
        return case
    return _changed(case, {MAX_LENGTH: most}, f"the model has places for {most} tokens")


def _within_training(
    case: ResolvedProfile, data_for: Callable[[Settings], Workload], made_for: int, most: int
) -> ResolvedProfile:
    """Nothing breaks beyond it, and what is learned there is worse: nobody's profile asks for that by itself."""
    if case.settings.data.max_length <= most or _no_longer(case, data_for, made_for, made_for):
        return case
    return _changed(case, {MAX_LENGTH: most}, f"the model was made for {made_for} tokens")


def _no_longer(
    case: ResolvedProfile, data_for: Callable[[Settings], Workload], source: int | None, target: int | None
) -> bool:  # fmt: skip
    """Whether no row is longer than that once it is cut; None is no bound."""
    facts = data_for(case.settings).facts
    longest = ((facts.longest_tokens, source), (facts.longest_target_tokens, target))
    return all(tokens is None or side is None or tokens <= side for tokens, side in longest)


def _changed(case: ResolvedProfile, values: dict[str, Scalar], reason: str) -> ResolvedProfile:
    different = {path: value for path, value in values.items() if value_at(case.settings, path) != value}
    changes = [
        Change(path=path, before=value_at(case.settings, path), after=value, reason=reason)
        for path, value in different.items()
    ]
    settings = with_values(case.settings, different, case.profile.name)
    return msgspec.structs.replace(case, settings=settings, changes=[*case.changes, *changes])
