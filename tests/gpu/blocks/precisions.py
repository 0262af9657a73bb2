"""Precisions and kernels that only some devices have: float16 with its scaler, bases in few bits, liger's kernels."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from speedtui.engine.candidate import TrialResult, TrialStatus
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Settings
from speedtui.engine.trainer.loaders import to_device
from speedtui.engine.trainer.measure_loss import unchanged
from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.model import loss_of
from tests.gpu.material import LLAMA, MICRO, SMALL, attempt, settings_for, told
from tests.gpu.onsite import REPOSITORY, Site

STAND_IN = REPOSITORY / "tests" / "engine" / "workload" / "liger_stand_in"
"""Of liger-kernel in a rehearsal: its own are written in Triton."""
SAME_LOSS = 0.01
ROWS = 4
QUANTIZED = {
    "nf4": {"model.quantize": "nf4", "train.bf16": True},
    "int8": {"model.quantize": "int8", "train.bf16": True},
}


def run(site: Site) -> None:
    """Each beside the float32 that it takes the place of."""
    settings = settings_for(site, SMALL, dtype="float32", rows=400, batches=6)
    with site.runner(settings) as runner:
        plain = tried(site, runner, 0, "float32", {})
        half = tried(site, runner, 1, "fp16", {"train.fp16": True})
        faster = speed(half) / speed(plain)
        site.claim("fp16", sound(half) and faster > 1, f"{faster:.2f} times as fast as float32, {ending(half)}")
        quantized(site, runner, plain)
    liger(site)


def quantized(site: Site, runner: TrialRunner, plain: TrialResult) -> None:
    """A base in fewer bits, with its adapter: trained, unchanged to the bit, and smaller."""
    if find_spec("bitsandbytes") is None:
        site.cannot(*QUANTIZED, why="bitsandbytes is not installed")
        return
    for number, (name, values) in enumerate(QUANTIZED.items(), start=2):
        result = tried(site, runner, number, name, values)
        smaller = peak(plain) - peak(result)
        well = sound(result) and result.base_weights_unchanged is True and smaller > 0
        site.claim(name, well, f"{smaller / 2**20:,.0f} MiB less than in float32, {ending(result)}")


def liger(site: Site) -> None:
    """The same loss with the kernels and without, and what a trial with them needs."""
    if site.rehearsal:
        sys.path.append(str(STAND_IN))
    if find_spec("liger_kernel") is None:
        site.cannot("liger", why="liger-kernel is not installed")
        return
    settings = settings_for(site, LLAMA, rows=400, batches=6)
    with_it = with_values(settings, {"train.liger": True}, "gpu-check")
    with site.runner(settings) as runner:
        losses = [loss(runner, one) for one in (settings, with_it)]
        plain = None if site.rehearsal else tried(site, runner, 0, "no liger", {})
        result = tried(site, runner, 1, "liger", {"train.liger": True})
    off = losses[1] / losses[0] - 1
    gain = ""
    if plain is not None:
        less, faster = (peak(plain) - peak(result)) / 2**20, speed(result) / speed(plain)
        gain = f"; {less:,.0f} MiB less, {faster:.2f} times as fast"
    site.figures(losses=losses)
    site.claim("liger", abs(off) <= SAME_LOSS and sound(result), f"its loss is off by {off:+.2%}{gain}")


def loss(runner: TrialRunner, settings: Settings) -> float:
    """Of the first rows, by the model as a trial has it before its first step: an adapter adds nothing yet."""
    with runner.trial(settings) as (workload, model), unchanged(model):
        return _loss(workload, model, runner.device)


def _loss(workload: Workload, model: nn.Module, device: torch.device) -> float:
    batch = workload.collator([workload.train_dataset[index] for index in range(ROWS)])
    found = loss_of(model(**{name: to_device(value, device) for name, value in batch.items()}))
    assert found is not None
    return float(found)


def tried(site: Site, runner: TrialRunner, number: int, name: str, values: dict[str, Any]) -> TrialResult:
    """One trial, with its figures.

    Raises:
        RuntimeError: it has no measurement.
    """
    result = attempt(runner, number, {MICRO: site.pick(8, 4), **values})
    site.figures(**{name: told(result)})
    if result.measurement is None or result.memory is None:
        raise RuntimeError(f"{name}: {result.status.value} {result.reason}")
    return result


def speed(result: TrialResult) -> float:
    """Tokens a second."""
    assert result.measurement is not None
    return result.measurement.tokens_per_second


def peak(result: TrialResult) -> int:
    """Bytes."""
    assert result.memory is not None and result.memory.peak_allocated_bytes is not None
    return result.memory.peak_allocated_bytes


def sound(result: TrialResult) -> bool:
    """It has trained to its end: a trial whose losses are not finite is none that is ok."""
    return result.status is TrialStatus.OK


def ending(result: TrialResult) -> str:
    """How, and at which loss."""
    found = result.measurement.loss if result.measurement is not None else None
    return f"{result.status.value} at a loss of {found:.3f}" if found is not None else result.status.value
