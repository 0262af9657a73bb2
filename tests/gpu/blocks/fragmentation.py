"""Steps of random lengths under a cap, with the micro-batch that the prediction chose: whether the memory holds out."""

from __future__ import annotations

import random
from typing import Any

import torch

from speedtui.engine.config.settings import Settings
from speedtui.engine.jobs.predicting import device_of
from speedtui.engine.memory.peak_model import Calibration, MemorySurface
from speedtui.engine.memory.predict import predict
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.search.space import memory_request
from speedtui.engine.trial.batches import RowSubset
from speedtui.engine.trial.probe import run_steps
from speedtui.engine.trial.probe_setup import ProbeSetup
from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.units import GIB, MIB
from speedtui.engine.workload.base import silent
from tests.gpu.material import MICRO, SMALL, attempt, changed, settings_for, told
from tests.gpu.onsite import Site

CAP_BYTES, REHEARSED_CAP_BYTES = 24 * GIB, 256 * MIB
STEPS, MOST_RESERVED = 150, 1.03


def run(site: Site) -> None:
    """The same rows twice: in segments that grow, as workers have them, and in such of a fixed size."""
    cap = site.pick(CAP_BYTES, REHEARSED_CAP_BYTES)
    settings = settings_for(site, SMALL, effective_batch_size=site.pick(64, 8), rows=4000)
    with site.runner(settings, cap) as runner:
        micro = chosen(runner, settings, cap)
        result = attempt(runner, 0, {MICRO: micro})
        site.figures(micro_batch_size=micro, probe=told(result))
        if result.memory is None or result.memory.peak_reserved_bytes is None:
            raise RuntimeError(f"the chosen micro-batch {micro}: {result.status.value} {result.reason}")
        probe_bytes = result.memory.peak_reserved_bytes
        sized = changed(settings, "train", micro_batch_size=micro)
        found = {}
        for growing in (True, False):
            if not site.rehearsal:
                torch.cuda.memory._set_allocator_settings(f"expandable_segments:{growing}")
            found["growing" if growing else "fixed"] = taken(site, runner, sized, cap)
    growing, fixed = found["growing"], found["fixed"]
    site.figures(**found)
    site.claim("retries", growing["retries"] == 0, f"{growing['retries']}")
    site.claim("reserved", growing["reserved_bytes"] <= MOST_RESERVED * probe_bytes, of_probe(growing, probe_bytes))
    site.claim("fixed", fixed["retries"] == 0 and fixed["reserved_bytes"] <= MOST_RESERVED * probe_bytes,
               f"{fixed['retries']} retries, {of_probe(fixed, probe_bytes)}")  # fmt: skip


def chosen(runner: TrialRunner, settings: Settings, cap: int) -> int:
    """The largest micro-batch that is predicted to fit."""
    workload = runner.load(settings)
    masked = not runner.without_mask(settings)
    request = memory_request(settings, workload.facts, workload.vocabulary, *device_of(runner.device), masked=masked)
    assert request is not None
    surface = predict([request], silent)[0].outcome
    assert isinstance(surface, MemorySurface), surface
    largest = surface.largest(settings.train.effective_batch_size, cap, Calibration())
    assert largest is not None
    return largest


def taken(site: Site, runner: TrialRunner, settings: Settings, cap: int) -> dict[str, Any]:
    """Peaks and retries of so many steps."""
    release_memory(site.device)
    count = site.pick(STEPS, 2)
    with runner.trial(settings) as (workload, model):
        setup = ProbeSetup(context=runner.context, workload=workload, model=model, settings=settings,
                           device=site.device, trial=1, check=lambda: None)  # fmt: skip
        rows = range(len(workload.train_dataset))
        wanted = count * setup.probe_accumulation * settings.train.micro_batch_size
        order = random.Random(3).choices(rows, k=wanted)
        total = torch.cuda.get_device_properties(site.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, cap / total), site.device)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_stats()["num_alloc_retries"]
        try:
            run_steps(setup, "throughput", RowSubset(workload.train_dataset, order), count)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, site.device)
        stats = torch.cuda.memory_stats()
    return {"retries": stats["num_alloc_retries"] - before, "reserved_bytes": stats["reserved_bytes.all.peak"],
            "allocated_bytes": stats["allocated_bytes.all.peak"]}  # fmt: skip


def of_probe(found: dict[str, Any], probe_bytes: int) -> str:
    """As times what the probe reserved."""
    return f"{found['reserved_bytes'] / probe_bytes:.3f} times the probe's {probe_bytes / 2**30:.2f} GiB"
