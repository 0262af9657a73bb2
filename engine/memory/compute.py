"""The surface of one request; loads torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from speedtui.engine.memory.assemble import LARGE, SINGLE, SMALL, Both, assemble
from speedtui.engine.memory.batch import NewBatch, batches_of
from speedtui.engine.memory.build import build_model, config_of
from speedtui.engine.memory.depth import DepthPlan, plan_depths
from speedtui.engine.memory.extend import DifferentSteps, as_points, extend, places
from speedtui.engine.memory.recipes import recipe_of
from speedtui.engine.memory.surface import MemoryRequest, MemorySurface
from speedtui.engine.memory.trace import trace_step

SIZES = (SINGLE, SMALL, LARGE)


def surface(request: MemoryRequest, *, whole: bool = False) -> MemorySurface:
    """`whole`: all layers are computed, however many.

    Raises:
        SpeedtuiError: the model cannot be built, or cannot have the adapter or checkpointing.
        Exception: whatever the model raises on fake tensors.
    """
    model = request.settings.model
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
    traces = {size: trace_step(build(), batch(size), request.settings, request.device) for size in SIZES}
    at = {
        size: Both(accumulating=as_points(trace.accumulating), at_once=as_points(trace.at_once))
        for size, trace in traces.items()
    }
    return assemble(at, layers=())


def _from_depths(
    request: MemoryRequest, config: Any, build: Callable[[Any], nn.Module], plan: DepthPlan, batch: NewBatch
) -> MemorySurface:
    at = {}
    for size in SIZES:
        runs = [
            trace_step(
                build(plan.config(config, counts)), batch(size), request.settings, request.device,
                {name: places(count) for name, count in zip(plan.stacks, counts, strict=True)},
            )
            for counts in plan.runs
        ]  # fmt: skip
        at[size] = Both(
            accumulating=extend([run.accumulating for run in runs], plan),
            at_once=extend([run.at_once for run in runs], plan),
        )
    return assemble(at, layers=tuple(sorted({*plan.shallow, *plan.deep})))
