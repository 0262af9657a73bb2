"""Whether ten batches tell of a candidate what fifty do, with every order of attention kernels."""

from __future__ import annotations

import contextlib
from typing import Any

from figures import pearson

from speedtui.engine.trial.runner import TrialRunner
from tests.gpu.blocks.attention import cudnn_last
from tests.gpu.material import CHECKPOINTING, MICRO, RANK, SMALL, attempt, settings_for, told
from tests.gpu.onsite import Site

FEW, MANY = 10, 50
CANDIDATES: list[dict[str, Any]] = [
    {MICRO: 1}, {MICRO: 2}, {MICRO: 4}, {MICRO: 8}, {MICRO: 16}, {MICRO: 16, CHECKPOINTING: True},
    {MICRO: 32, CHECKPOINTING: True}, {MICRO: 8, RANK: 64},
]  # fmt: skip
LEAST, LEAST_CUDNN_LAST = 0.99, 0.999


def run(site: Site) -> None:
    """Each candidate with few batches and with many, next to each other, in one worker."""
    with site.runner(settings_for(site, SMALL)) as runner:
        few = {order: speeds(site, runner, order) for order in ("default", "cudnn_last")}
    correlations, same = {}, {}
    for order, (short, long) in few.items():
        correlations[order] = pearson(short, long)
        same[order] = short.index(max(short)) == long.index(max(long))
        site.figures(**{f"{order} speeds": {"few": short, "many": long, "correlation": correlations[order]}})
    site.claim("correlation", correlations["default"] >= LEAST, f"r = {correlations['default']:.4f}")
    last = correlations["cudnn_last"]
    site.claim("cudnn_last", last >= LEAST_CUDNN_LAST, f"r = {last:.4f}")
    site.claim("same_winner", all(same.values()), ", ".join(f"{order}: {found}" for order, found in same.items()))


def speeds(site: Site, runner: TrialRunner, order: str) -> tuple[list[float], list[float]]:
    """Samples a second of each candidate by few and by many batches."""
    short: list[float] = []
    long: list[float] = []
    candidates = site.pick(CANDIDATES, [{MICRO: 1}, {MICRO: 4}])
    with cudnn_last() if order == "cudnn_last" else contextlib.nullcontext():
        for number, values in enumerate(candidates):
            for kept, batches in [(short, site.pick(FEW, 4)), (long, site.pick(MANY, 6))][:: 1 - 2 * (number % 2)]:
                result = attempt(runner, 2 * number + (kept is long), {**values, "search.batches": batches})
                site.figures(**{f"{order} {number} {batches}": told(result)})
                if result.measurement is None:
                    raise RuntimeError(f"{values}: {result.reason}")
                kept.append(result.measurement.samples_per_second)
    return short, long
