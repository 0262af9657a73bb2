"""What a trial leaves on the device."""

from __future__ import annotations

from typing import Any

import torch

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.units import GIB, MIB
from tests.gpu.material import CHECKPOINTING, MICRO, SMALL, attempt, settings_for, told
from tests.gpu.onsite import Site

LEFT_BYTES = 1 * MIB
LIMIT_BYTES, REHEARSED_LIMIT_BYTES = 6 * GIB, 16 * MIB
TOO_LARGE, REHEARSED_TOO_LARGE = 32, 128
"""32 rows of 1024 tokens have logits of 4 GiB in float32 alone, and as much again for their gradient."""

KINDS: dict[str, dict[str, Any]] = {
    "fp32": {MICRO: 2},
    "bf16": {MICRO: 2, "train.bf16": True},
    "full, fused": {MICRO: 2, "train.method": "full", "train.optimizer": "adamw_torch_fused"},
    "checkpointing": {MICRO: 2, CHECKPOINTING: True},
    "compile": {MICRO: 2, "train.compile": True},
}


def run(site: Site) -> None:
    """Trials of every kind in one worker, and one without enough memory in another."""
    settings = settings_for(site, SMALL, dtype="float32", rows=400, effective_batch_size=site.pick(32, 128), batches=4)
    left = {}
    with site.runner(settings) as runner:
        for number, (kind, values) in enumerate(KINDS.items()):
            left[kind] = bytes_left(site, runner, number, kind, values, TrialStatus.OK)
    told_left(site, "bytes", left)
    with site.runner(settings, site.pick(LIMIT_BYTES, REHEARSED_LIMIT_BYTES)) as runner:
        kind, values = "out of memory", {MICRO: site.pick(TOO_LARGE, REHEARSED_TOO_LARGE)}
        burst = {kind: bytes_left(site, runner, 0, kind, values, TrialStatus.OUT_OF_MEMORY)}
    told_left(site, "after_out_of_memory", burst)


def bytes_left(
    site: Site, runner: TrialRunner, number: int, kind: str, values: dict[str, Any], expected: TrialStatus
) -> int:
    """Beyond what was there before it; what the engine makes of it is a figure.

    Raises:
        RuntimeError: it did not end as expected.
    """
    release_memory(site.device)
    before = torch.cuda.memory_allocated(site.device)
    result = attempt(runner, number, values)
    release_memory(site.device)
    left = torch.cuda.memory_allocated(site.device) - before
    site.figures(**{kind: {**told(result), "left_bytes": left, "worker_spent": runner.poisoned}})
    if result.status is not expected:
        raise RuntimeError(f"{kind}: {result.status.value} {result.reason}")
    runner.poisoned = ""  # so that the others are seen too
    return left


def told_left(site: Site, key: str, left: dict[str, int]) -> None:
    """The claim that it is next to nothing."""
    most = max(left, key=lambda kind: left[kind])
    site.claim(key, left[most] < LEFT_BYTES, f"at most {left[most]:,} bytes, {most}")
