"""One model, one micro-batch: what is held at every moment of an optimizer step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import msgspec
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from speedtui.engine.config.capability import FLASH, Capability
from speedtui.engine.config.settings import Settings
from speedtui.engine.memory.attention import CudaAttention
from speedtui.engine.memory.build import make_trainable
from speedtui.engine.memory.fake_values import fake_batch, masks_by_value, replace_tensors
from speedtui.engine.memory.optimizers import make_optimizer
from speedtui.engine.memory.peak_model import DeviceKind
from speedtui.engine.memory.step import run_step
from speedtui.engine.memory.timeline import Segments, Timeline
from speedtui.engine.meter.memory import collected
from speedtui.engine.workload.quantized import is_quantized

CUDA_UNIT = 512
"""Bytes to which CUDA's caching allocator rounds sizes up (kMinBlockSize in c10/cuda/CUDACachingAllocator.cpp)."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What is held at the local maxima of a micro-step and the optimizer's step after it, by where that is."""

    accumulating: Segments
    """With gradients of an earlier micro-step."""
    at_once: Segments
    """Without."""
    keeps_scores: bool = False
    """Attention without a kernel of its own: each layer keeps (rows, heads, sequence, sequence)."""


class HiddenMemory(Exception):
    """A kernel takes memory whose size nobody but its library knows."""


def trace_step(
    built: nn.Module, batch: Mapping[str, Any], settings: Settings, device: DeviceKind,
    places: Mapping[str, Sequence[int]] | None = None, *, capability: Capability | None = None,
) -> Trace:  # fmt: skip
    """Runs it on fake tensors.

    `built`: on the meta device, without an adapter; it is used up. `places`: for each stack of layers, by its name,
    how each of its layers is called in the labels (phase, stack, place, side); without, labels are phases alone.
    `capability`: of a GPU, where it is known.

    Raises:
        ConfigError: the model cannot have the adapter or checkpointing.
        HiddenMemory: the model has a recurrent layer of a library.
        Exception: whatever the model raises on fake tensors.
    """
    _refuse_hidden(built, device)
    timeline = Timeline(vocabulary=_vocabulary(built), unit=CUDA_UNIT if device == "cuda" else 1)
    for name, calls in (places or {}).items():
        _mark_layers(built.get_submodule(name), name, calls, timeline)
    _mark_logits(built, timeline)
    trained = make_trainable(built, settings)
    foreach = True if device == "cuda" else None  # torch's own default there, which a fake CPU tensor does not show
    attention = CudaAttention(capability or FLASH) if device == "cuda" else None
    with collected(), FakeTensorMode(allow_non_fake_inputs=True), masks_by_value(), attention or nullcontext():
        replace_tensors(trained)
        optimizer = make_optimizer(trained, settings.train, foreach)
        with timeline:
            run_step(trained, optimizer, lambda: fake_batch(batch), settings.train, timeline, foreach=foreach)
    return Trace(
        accumulating=timeline.segments(accumulates=True), at_once=timeline.segments(accumulates=False),
        keeps_scores=attention is not None and attention.keeps_scores,
    )  # fmt: skip


def _refuse_hidden(model: nn.Module, device: DeviceKind) -> None:
    """oneDNN's LSTM and cuDNN's recurrent layers keep a workspace for the backward pass; fake ones have none.

    On a GPU bitsandbytes multiplies 8 bits in another way than here, and what is larger than six in 16 bits besides.
    """
    if device == "cuda" and any(is_quantized(p) and p.dtype == torch.int8 for p in model.parameters()):
        raise HiddenMemory("how much 8-bit layers take on a GPU depends on the outliers among what they multiply")
    hiding = nn.RNNBase if device == "cuda" else nn.LSTM
    for name, module in model.named_modules():
        if isinstance(module, hiding):
            library = "cuDNN" if device == "cuda" else "oneDNN"
            raise HiddenMemory(
                f"{name or 'the model'} is a {type(module).__name__}, whose workspace only {library} knows the size of"
            )


def _vocabulary(model: nn.Module) -> int | None:
    head = _head(model)
    return None if head is None else int(head.weight.shape[0])


def _head(model: Any) -> Any:
    """The last layer over the vocabulary; None where there is none, as in most recipes."""
    get = getattr(model, "get_output_embeddings", None)
    return None if get is None else get()


def _mark_logits(model: nn.Module, timeline: Timeline) -> None:
    """From the last layer over the vocabulary on, until its gradient has passed it."""
    head = _head(model)

    def into(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        timeline.at_logits = True
        if args[0].requires_grad:
            args[0].register_hook(out_of)  # type: ignore[no-untyped-call]

    def out_of(gradient: torch.Tensor) -> None:
        timeline.at_logits = False

    if head is not None:
        head.register_forward_pre_hook(into)


def _mark_layers(stack: nn.Module, name: str, calls: Sequence[int], timeline: Timeline) -> None:
    for layer, call in zip(stack.children(), calls, strict=True):
        layer.register_forward_pre_hook(_marking(timeline, name, call, "in"))
        layer.register_forward_hook(_leaving(timeline, name, call))


def _marking(timeline: Timeline, name: str, call: int, side: str) -> Callable[..., None]:
    return lambda *_: timeline.enter(name, call, side)


def _leaving(timeline: Timeline, name: str, call: int) -> Callable[..., None]:
    def leave(module: nn.Module, args: Any, output: Any) -> None:
        timeline.enter(name, call, "out")
        first = output if isinstance(output, torch.Tensor) else output[0]
        if first.requires_grad:  # its gradient is there when the backward pass comes to this layer
            first.register_hook(_marking(timeline, name, call, "back"))

    return leave
