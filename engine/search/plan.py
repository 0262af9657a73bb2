"""The list a study starts with: the user's own, the knobs', or the mode's."""

from __future__ import annotations

from pathlib import Path

import msgspec

from speedtui.engine.candidate import Candidate
from speedtui.engine.config.settings import Settings
from speedtui.engine.search.ladder import COUNTS, mode_candidates
from speedtui.engine.search.own import knob_candidates, read_configs
from speedtui.engine.search.sampled import check_knobs
from speedtui.engine.trust import require


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
        UsageError: mode auto with knobs, and without Optuna.
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
        candidates, total = knob_candidates(search.knobs, settings, count)
        note = ""
        if total > count:
            note = f"the knobs make {total} combinations; mode {search.mode} tries {count} spread over them"
        return StudyPlan(mode="knobs", candidates=candidates, note=note)
    return StudyPlan(mode=search.mode, candidates=mode_candidates(search.mode, settings, memory_bytes))
