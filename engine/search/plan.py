"""The list a study starts with: the user's own, the knobs', or the mode's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from speedtui.engine.candidate import Candidate
from speedtui.engine.config.paths import resolve_path
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.errors import UsageError
from speedtui.engine.hardware.limits import too_many_workers
from speedtui.engine.search.candidates import WORKERS
from speedtui.engine.search.ladder import COUNTS, mode_candidates
from speedtui.engine.search.sampled import check_knobs
from speedtui.engine.search.user_candidates import knob_candidates, read_configs
from speedtui.engine.trust import require
from speedtui.engine.workload.packages import require_liger_package

LIGER = "train.liger"


class StudyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is going to be tried."""

    mode: str
    """minimal, quick, thorough, auto, configs or knobs."""
    candidates: list[Candidate]
    note: str = ""
    """Something the user should know of the list; empty when there is nothing."""


def plan_study(settings: Settings, memory_bytes: int) -> StudyPlan:
    """The study's candidates, of which mode auto makes its own; `memory_bytes` is what a trial may use.

    Raises:
        ConfigError: a file of candidates or a knob that cannot be used.
        UsageError: mode auto with knobs, and without Optuna; a knob none of whose values can be had here.
    """
    search = settings.search
    if search.configs:
        require(Path(search.configs), "search.configs")
        return StudyPlan(mode="configs", candidates=read_configs(Path(search.configs), settings))
    if search.mode == "auto":
        if search.knobs:
            check_knobs(settings)
        return StudyPlan(mode="auto", candidates=[])
    count = COUNTS[search.mode]
    if search.knobs:
        knobs, note = _usable(search.knobs)
        candidates, total = knob_candidates(knobs, settings, count)
        if total > count:
            spread = f"the knobs make {total} combinations; mode {search.mode} tries {count} spread over them"
            note = f"{spread}; {note}" if note else spread
        return StudyPlan(mode="knobs", candidates=candidates, note=note)
    return StudyPlan(mode=search.mode, candidates=mode_candidates(search.mode, settings, memory_bytes))


def _usable(knobs: Mapping[str, list[Scalar]]) -> tuple[dict[str, list[Scalar]], str]:
    """The knobs without values that cannot be had here, and what to say of them.

    Raises:
        UsageError: there is no other value.
    """
    usable, notes = dict(knobs), []
    for name, values in knobs.items():
        unusable = _UNUSABLE.get(resolve_path(name, "search.knobs"))
        wrong = {value: error for value in values if unusable is not None and (error := unusable(value)) is not None}
        usable[name] = [value for value in values if value not in wrong]
        if wrong and not usable[name]:
            error = next(iter(wrong.values()))
            raise UsageError(f"search.knobs: {error.message}", error.hint)
        notes += [f"{error.message}, and is not tried: {error.hint}" for error in wrong.values()]
    return usable, "; ".join(notes)


def _without_liger(value: Scalar) -> UsageError | None:
    if value is True:
        try:
            require_liger_package()
        except UsageError as error:
            return error
    return None


def _without_cores(value: Scalar) -> UsageError | None:
    why = too_many_workers(value) if isinstance(value, int) else ""
    return UsageError(why, "More processes than cores take turns, and each takes memory.") if why else None


_UNUSABLE: dict[str, Callable[[Scalar], UsageError | None]] = {LIGER: _without_liger, WORKERS: _without_cores}
"""Why a value cannot be had on this machine, by the knob's path."""
