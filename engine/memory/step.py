"""One optimizer step as the Trainer makes it, on fake tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from accelerate.utils import convert_outputs_to_fp32
from torch import nn

from speedtui.engine.config.settings import TrainSettings
from speedtui.engine.memory.timeline import GRADIENTS, OPTIMIZER, WEIGHTS, Timeline
from speedtui.engine.workload.model import loss_of
from speedtui.engine.workload.precision import autocast_dtype
from speedtui.engine.workload.quantized import held_tensors

Forward = Callable[..., Any]
MICRO_STEPS = 2
"""Of a step that accumulates."""


def run_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, new_batch: Callable[[], Mapping[str, Any]],
    train: TrainSettings, timeline: Timeline, *, foreach: bool | None,
) -> None:  # fmt: skip
    """The last micro-step of a step, clipping, and the optimizer, when it has its state from earlier steps.

    The gradients of an earlier micro-step are there; the timeline is told which they are, so that it can tell the
    story without them too. `foreach`: as in torch.nn.utils.clip_grad_norm_.
    """
    timeline.claim(held_tensors(model), WEIGHTS)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    _make_state(optimizer, trainable, timeline)
    used = _watch_gradients(trainable, timeline)
    dtype = autocast_dtype(train)
    forward = _autocast(model, dtype) if dtype is not None else model
    earlier = new_batch()  # all micro-batches of a step are held until its end
    timeline.earlier(_tensors(earlier))
    timeline.begin("forward")
    inputs = new_batch()
    _micro_step(forward, inputs, timeline)
    timeline.begin("optimizer")
    if train.max_grad_norm > 0:
        torch.nn.utils.clip_grad_norm_(model.parameters(), train.max_grad_norm, foreach=foreach)
    optimizer.step()
    timeline.end()
    for parameter in trainable:
        if id(parameter) not in used and parameter.grad is not None:  # without effect on the loss
            timeline.absent((parameter.grad, *_tensors(optimizer.state[parameter])))


def _make_state(optimizer: torch.optim.Optimizer, trainable: list[nn.Parameter], timeline: Timeline) -> None:
    """State as after a first step, gradients as after a first micro-step."""
    for parameter in trainable:
        parameter.grad = torch.empty_like(parameter)
        timeline.claim((parameter.grad,), GRADIENTS)
        timeline.earlier((parameter.grad,))
    optimizer.step()
    for parameter in trainable:
        timeline.claim(_tensors(optimizer.state[parameter]), OPTIMIZER)


def _tensors(values: Mapping[str, Any]) -> list[torch.Tensor]:
    return [value for value in values.values() if isinstance(value, torch.Tensor)]


def _watch_gradients(trainable: list[nn.Parameter], timeline: Timeline) -> set[int]:
    """Tells the timeline of gradients as they are written; the set has the ids of the parameters that got one."""
    used: set[int] = set()

    def watch(parameter: nn.Parameter) -> None:
        def written(gradient: torch.Tensor) -> None:
            used.add(id(parameter))
            timeline.written(gradient)

        parameter.register_hook(written)  # type: ignore[no-untyped-call]

    for parameter in trainable:
        watch(parameter)
    return used


def _autocast(model: nn.Module, dtype: torch.dtype) -> Forward:
    """As accelerate prepares a model: half precision inside, float32 outputs."""
    inside = torch.autocast("cpu", dtype=dtype)(model.__call__)
    outside: Forward = convert_outputs_to_fp32(inside)
    return outside


def _micro_step(forward: Forward, inputs: Mapping[str, Any], timeline: Timeline) -> None:
    loss = _loss(forward, inputs)
    timeline.begin("backward")
    loss = loss / MICRO_STEPS
    loss.backward()  # type: ignore[no-untyped-call]


def _loss(forward: Forward, inputs: Mapping[str, Any]) -> torch.Tensor:
    """In a function of its own, so that the outputs are freed before the backward pass, as in the Trainer."""
    loss = loss_of(forward(**inputs))
    if loss is None:
        raise ValueError("the model's forward returned no loss")
    return loss
