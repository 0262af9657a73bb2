"""Profiles resolved against the data and the device, before anything is measured."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from speedtui.engine.candidate import MemoryBreakdown
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.plan_types import Change, Choice
from speedtui.engine.profile.apply import apply_profile, values_of
from speedtui.engine.profile.fit import fit_to_memory
from speedtui.engine.profile.levers import Facts, MemoryOf
from speedtui.engine.profile.profile import Profile
from speedtui.engine.profile.select import chosen_profile, fit_to_lengths


class PredictedPeak(msgspec.Struct, frozen=True, kw_only=True):
    """The predicted peak of one configuration."""

    peak_bytes: int
    """As expected on the device, calibrated where probes have been made."""
    breakdown: MemoryBreakdown
    fits: bool | None
    """With the margin; None where there is no limit."""


ExpectedOf = Callable[[Settings], PredictedPeak | None]
"""None where the peak cannot be predicted."""


class ResolvedProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as it would run here."""

    profile: Profile
    settings: Settings
    changes: list[Change] = []
    """What was given up, in order."""
    expected: PredictedPeak | None = None
    note: str = ""

    @property
    def step_key(self) -> bytes:
        """Equal for cases whose steps are the same, so that one measurement serves both."""
        train = msgspec.structs.replace(self.settings.train, epochs=1.0, max_steps=None, lr_warmup_steps=0)
        return msgspec.json.encode((self.settings.model, self.settings.data, train, self.settings.recipe))

    def values(self, settings: Settings) -> dict[str, Scalar]:
        """By path, what makes the run's settings into this case's."""
        return values_of(self.settings, settings)


def lay_over(
    profile: Profile, settings: Settings, choice: Choice, *, mean_tokens: float | None, uncut_tokens: int | None,
    written: Collection[str],
) -> ResolvedProfile:  # fmt: skip
    """The profile laid over the settings, fitted to the lengths of the data.

    `uncut_tokens`: of the longest sample where no maximum length cuts it; `written`: what the user's file names.
    """
    if profile.name == choice.profile:
        profile = chosen_profile(choice, profile, mean_tokens)
    else:
        profile = fit_to_lengths(profile, mean_tokens)
    return ResolvedProfile(profile=profile, settings=apply_profile(settings, profile, written, uncut_tokens).settings)


def resolve(case: ResolvedProfile, expected: ExpectedOf, memory: MemoryOf, facts: Facts) -> ResolvedProfile:
    """The same, changed as little as it takes to fit in memory."""
    fitted = fit_to_memory(case.settings, memory, facts)
    return msgspec.structs.replace(
        case,
        settings=fitted.settings,
        changes=[*case.changes, *fitted.changes],
        expected=expected(fitted.settings),
        note=fitted.note,
    )
