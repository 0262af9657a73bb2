"""Proof that a trial left the model as it found it, and the means to put it back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import nn

from speedtui.engine.workload.quantized import is_quantized, reading_facts, scale_tensors

FULL_BYTES = 16 * 1024**2
"""A tensor up to this size is hashed whole (about 10 ms); of a larger one, a sample of its elements."""

SAMPLED_ELEMENTS = 1_000_003
"""About how many elements of a large tensor are hashed; an odd stride meets every row."""


class Fingerprint:
    """Hashes of a few of a model's tensors: the first, the middle and the last by name.

    Of quantized weights, which nothing should ever write, the first, the middle and the last with their scales besides.
    """

    def __init__(self, model: nn.Module) -> None:
        self._hashes = {name: hash_tensor(tensor) for name, tensor in _chosen(model)}

    def changed(self, model: nn.Module) -> list[str]:
        """Names of the hashed tensors that differ by now, or are gone; empty where all are the same."""
        now = dict(_named(model))
        return [
            name for name, digest in self._hashes.items() if name not in now or hash_tensor(now[name]) != digest
        ]  # fmt: skip


def hash_tensor(tensor: torch.Tensor) -> str:
    """SHA-256 of shape, dtype and elements; for more than 16 MiB, of an even sample of the elements."""
    digest = hashlib.sha256(f"{tuple(tensor.shape)} {tensor.dtype}{reading_facts(tensor)}".encode())
    flat = tensor.detach().reshape(-1)
    if flat.numel() * flat.element_size() > FULL_BYTES:
        flat = flat[:: (flat.numel() // SAMPLED_ELEMENTS) | 1]
    if flat.numel():
        digest.update(flat.cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _named(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()
    yield from scale_tensors(model)


def _chosen(model: nn.Module) -> list[tuple[str, torch.Tensor]]:
    named = dict(_named(model))
    weights = _spread(sorted(name for name, tensor in named.items() if is_quantized(tensor)))
    with_scales = tuple(f"{name}." for name in weights)
    chosen = {*_spread(sorted(named)), *weights, *(name for name in named if name.startswith(with_scales))}
    return [(name, named[name]) for name in sorted(chosen)]


def _spread(names: list[str]) -> list[str]:
    return [names[place] for place in sorted({0, len(names) // 2, len(names) - 1})] if names else []


class Snapshot:
    """Copies, on the CPU, of all that a full fine-tuning changes: trainable weights and buffers."""

    def __init__(self, model: nn.Module) -> None:
        self._kept = {name: tensor.detach().to("cpu", copy=True) for name, tensor in _changeable(model)}

    def restore(self, model: nn.Module) -> None:
        """Writes the copies back in place and drops the gradients.

        Raises:
            KeyError: the model has lost a tensor.
        """
        now = dict(_named(model))
        with torch.no_grad():
            for name, tensor in self._kept.items():
                now[name].copy_(tensor)
        for parameter in model.parameters():
            parameter.grad = None


def _changeable(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            yield name, parameter
    yield from model.named_buffers()
