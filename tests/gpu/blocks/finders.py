"""Other people's ways to find the largest micro-batch under a cap, beside predicting and confirming it."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from finders import Attempts, accelerate_finder, confirm, lightning_binsearch, lightning_power

from speedtui.engine.jobs.predicting import device_of
from speedtui.engine.memory.peak_model import Calibration, MemorySurface
from speedtui.engine.memory.predict import predict
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.search.space import memory_request
from speedtui.engine.units import GIB, MIB
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_workload
from tests.gpu.material import SMALL, settings_for
from tests.gpu.onsite import Site

CAP_BYTES, REHEARSED_CAP_BYTES = 24 * GIB, 48 * MIB
MOST = 256
"""No finder goes beyond."""


def run(site: Site) -> None:
    """Ours first, while nothing is predicted yet."""
    settings = settings_for(site, SMALL, method="full", micro_batch_size=1, effective_batch_size=1)
    workload = load_workload(settings, device=torch.device("cpu"), report=silent)
    folder = site.folder / "finders-model"
    workload.model.save_pretrained(str(folder))  # type: ignore[operator]
    longest, cap = workload.facts.longest_tokens, site.pick(CAP_BYTES, REHEARSED_CAP_BYTES)
    assert longest is not None
    began = time.perf_counter()
    request = memory_request(settings, workload.facts, workload.vocabulary, *device_of(site.device))
    assert request is not None
    surface = predict([request], silent)[0].outcome
    assert isinstance(surface, MemorySurface), surface
    fitting = (n for n in range(1, MOST + 1) if Calibration().fits(surface.peak_bytes(n, accumulates=False), cap))
    size = max(fitting)
    predicting = time.perf_counter() - began
    ours = found(site, folder, longest, cap, lambda attempts: confirm(attempts, size))
    ours["seconds"] += predicting
    site.figures(ours=ours, predicting_seconds=predicting, predicted=size)
    others: dict[str, Callable[[Attempts], int]] = {"accelerate": accelerate_finder}
    if find_spec("lightning") is not None and not site.rehearsal:
        others |= {"lightning power": lightning_power, "lightning binsearch": lightning_binsearch}
    burst = {}
    for name, finder in others.items():
        row = found(site, folder, longest, cap, finder)
        burst[name] = row["out_of_memory"]
        site.figures(**{name: row})
    site.claim("out_of_memory", ours["out_of_memory"] < burst["accelerate"],
               f"{ours['out_of_memory']} out of memory at {ours['found']} rows; "
               + ", ".join(f"{name} {count}" for name, count in burst.items()))  # fmt: skip


def found(site: Site, folder: Path, longest: int, cap: int, finder: Callable[[Attempts], int]) -> dict[str, Any]:
    """What a finder came to, with the model in memory when it begins."""
    release_memory(site.device)
    attempts = Attempts(str(folder), longest, cap, site.device)
    began = time.perf_counter()
    size = finder(attempts)
    burst = sum(not fitted for _, fitted in attempts.tried)
    return {
        "found": size, "attempts": len(attempts.tried), "out_of_memory": burst,
        "seconds": round(time.perf_counter() - began, 2), "tried": attempts.tried,
    }  # fmt: skip
