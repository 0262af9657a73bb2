"""The surface of one request; loads torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from speedtui.engine.errors import ConfigError
from speedtui.engine.memory.assemble import LARGE, SINGLE, SMALL, Both, assemble
from speedtui.engine.memory.batch import NewBatch, batches_of, recipe_of
from speedtui.engine.memory.build import build_model, config_of
from speedtui.engine.memory.depth import DepthPlan, plan_depths
from speedtui.engine.memory.extend import DifferentSteps, as_points, extend, places
from speedtui.engine.memory.peak_model import MemoryRequest, MemorySurface
from speedtui.engine.memory.trace import trace_step


def surface(request: MemoryRequest, *, whole: bool = False) -> MemorySurface:
    """`whole`: all layers are computed, however many.

    Raises:
        SpeedtuiError: the model cannot be built, or cannot have the adapter or checkpointing.
        Exception: whatever the model raises on fake tensors.
    """
    model = request.settings.model
    if request.settings.train.liger:
        raise ConfigError("what the kernels of liger-kernel keep for the backward pass is not known without a GPU")
    if model.kind == "python":
        return from_whole(request, *recipe_of(request.settings))
    config = config_of(request)

    def build(config: Any) -> nn.Module:
        return build_model(config, model)

    built = build(config)
    batch = batches_of(request, int(config.get_text_config().vocab_size))
    plan = None if whole or _names_layers(request) else plan_depths(config, built, build)
    if plan is not None:
        try:
            return _from_depths(request, config, build, plan, batch)
        except DifferentSteps:
            pass  # the whole model takes longer and needs no such likeness
    return from_whole(request, lambda: build(config), batch)


def _names_layers(request: MemoryRequest) -> bool:
    """Whether the adapter is for some layers only: then they are not equal."""
    targets = request.settings.train.lora.target_modules
    return targets != "all-linear" and any(part.isdigit() for name in targets for part in name.split("."))


def from_whole(request: MemoryRequest, build: Callable[[], nn.Module], batch: NewBatch) -> MemorySurface:
    """With all layers, from a model built anew for each micro-batch."""

    def run(micro_batch: Any) -> tuple[Both, bool]:
        trace = trace_step(build(), micro_batch, request.settings, request.device, capability=request.capability)
        both = Both(accumulating=as_points(trace.accumulating), at_once=as_points(trace.at_once))
        return both, trace.keeps_scores

    return _assembled(request, run, batch, layers=())


def _from_depths(
    request: MemoryRequest, config: Any, build: Callable[[Any], nn.Module], plan: DepthPlan, batch: NewBatch
) -> MemorySurface:
    def run(micro_batch: Any) -> tuple[Both, bool]:
        runs = [
            trace_step(
                build(plan.config(config, counts)), micro_batch, request.settings, request.device,
                {name: places(count) for name, count in zip(plan.stacks, counts, strict=True)},
                capability=request.capability,
            )
            for counts in plan.runs
        ]  # fmt: skip
        both = Both(
            accumulating=extend([one.accumulating for one in runs], plan),
            at_once=extend([one.at_once for one in runs], plan),
        )
        return both, any(one.keeps_scores for one in runs)

    return _assembled(request, run, batch, layers=tuple(sorted({*plan.shallow, *plan.deep})))


def _assembled(
    request: MemoryRequest, run: Callable[[Any], tuple[Both, bool]], batch: NewBatch, layers: tuple[int, ...]
) -> MemorySurface:
    """`run`: (what a micro-batch holds, whether attention keeps all of its scores).

    Padding needs a mask and more memory for it; but where attention without a mask is left without a kernel of its own
    it may need more yet, so that both are computed.
    """
    single = [run(batch(SINGLE))]
    if request.device == "cuda" and request.settings.data.packing:  # else one row has no padding
        single.append(run(batch(SINGLE, bare=True)))
    kinds = (False, True) if single[-1][1] else (False,)
    several = [(run(batch(SMALL, bare=kind))[0], run(batch(LARGE, bare=kind))[0]) for kind in kinds]
    return assemble([one for one, _ in single], several, layers)
