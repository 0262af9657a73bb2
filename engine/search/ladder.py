"""The fixed modes: a list of candidates sized by the device's memory."""

from __future__ import annotations

import math
import tomllib
from functools import cache
from importlib import resources

import msgspec

from speedtui.engine.candidate import Candidate
from speedtui.engine.config.batch import divisors
from speedtui.engine.config.settings import Scalar, SearchMode, Settings
from speedtui.engine.hardware.limits import usable_cores
from speedtui.engine.search.candidates import CHECKPOINTING, MICRO_BATCH, RANK, WORKERS, make_candidate
from speedtui.engine.units import GIB

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
