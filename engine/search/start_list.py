"""The list a study starts with: the user's own, the knobs', or the mode's, sized by the device's memory."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec

from speedtui.engine.candidate import Candidate
from speedtui.engine.config.batch import divisors
from speedtui.engine.config.paths import resolve_path
from speedtui.engine.config.settings import Scalar, SearchMode, Settings
from speedtui.engine.errors import UsageError
from speedtui.engine.hardware.limits import too_many_workers, usable_cores
from speedtui.engine.search.candidates import CHECKPOINTING, MICRO_BATCH, RANK, WORKERS, make_candidate
from speedtui.engine.search.sampled import check_knobs
from speedtui.engine.search.user_candidates import knob_candidates, read_configs
from speedtui.engine.trust import require
from speedtui.engine.units import GIB
from speedtui.engine.workload.packages import require_liger_package

COUNTS: dict[SearchMode, int] = {"minimal": 4, "quick": 8, "thorough": 16}


class Rung(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of profiles/candidates.toml."""

    micro_batch: float
    """Multiple of the device's base micro-batch."""
    rank: int = 1
    """Multiple of the configured rank."""
    gradient_checkpointing: bool = False
    loader_workers: int = 0


class Ladder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """profiles/candidates.toml."""

    gib_per_sequence: float
    candidate: list[Rung]


@cache
def load_ladder() -> Ladder:
    """The list that ships with speedtui."""
    text = resources.files("speedtui.profiles").joinpath("candidates.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Ladder)


def base_micro_batch(memory_bytes: int, ladder: Ladder) -> float:
    """Sequences the ladder starts from on a device of this size; below 1 on a small one."""
    return memory_bytes / GIB / ladder.gib_per_sequence


def mode_candidates(mode: SearchMode, settings: Settings, memory_bytes: int) -> list[Candidate]:
    """The mode's list for a device: 4, 8 or 16 different candidates, fewer where the effective batch allows no more."""
    ladder = load_ladder()
    seen: list[dict[str, Scalar]] = []
    for rung in ladder.candidate:
        values = _values(rung, settings, base_micro_batch(memory_bytes, ladder))
        if values is not None and values not in seen:
            seen.append(values)
        if len(seen) == COUNTS[mode]:
            break
    return [make_candidate(number, values, settings, f"mode {mode}") for number, values in enumerate(seen)]


def _values(rung: Rung, settings: Settings, base: float) -> dict[str, Scalar] | None:
    """The rung's settings, or None where it does not apply."""
    train = settings.train
    if rung.rank > 1 and train.method != "lora":
        return None
    if rung.gradient_checkpointing and settings.model.kind == "python":
        return None
    values: dict[str, Scalar] = {
        MICRO_BATCH: nearest_divisor(train.effective_batch_size, rung.micro_batch * max(base, 1.0)),
        CHECKPOINTING: rung.gradient_checkpointing or train.gradient_checkpointing,
        WORKERS: max(min(rung.loader_workers, usable_cores()), train.loader_workers),
    }
    if train.method == "lora":
        values[RANK] = train.lora.r * rung.rank
    return values


def nearest_divisor(number: int, wanted: float) -> int:
    """The divisor of `number` nearest to `wanted` on a logarithmic scale, the smaller one on a tie."""
    return min(divisors(number), key=lambda d: (abs(math.log(d / wanted)), d))


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
