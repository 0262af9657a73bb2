"""How float32 is multiplied on a GPU: set for the length of a trial or a training, and put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

TF32 = "tf32"


class Float32(NamedTuple):
    """torch's settings, which are the process's."""

    everything: str | None
    """What the other two follow where they are not set; None before torch 2.9."""
    matrices: bool
    """TF32 in products of matrices."""
    convolutions: bool


def float32_now() -> Float32:
    """As it is."""
    backends: Any = torch.backends
    if not hasattr(backends, "fp32_precision"):
        return Float32(None, backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32)
    # the older names raise where somebody has used the newer ones
    matrices, convolutions = backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision
    return Float32(backends.fp32_precision, matrices == TF32, convolutions == TF32)


def _set(wanted: Float32) -> None:
    """Only what is different; by the older names, which set the newer ones too, so that both can be read."""
    backends: Any = torch.backends
    if wanted.everything is not None and backends.fp32_precision != wanted.everything:
        backends.fp32_precision = wanted.everything
    now = float32_now()
    if now.matrices != wanted.matrices:
        backends.cuda.matmul.allow_tf32 = wanted.matrices
    if now.convolutions != wanted.convolutions:
        backends.cudnn.allow_tf32 = wanted.convolutions


@contextmanager
def kept_float32() -> Iterator[None]:
    """Whatever is set inside, as transformers and accelerate do by themselves for torch.compile, is put back."""
    before = float32_now()
    try:
        yield
    finally:
        _set(before)


@contextmanager
def float32_precision(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """The precision that `train.tf32` asks for, whoever has set what before; afterwards it is as it was.

    Without it matrices are multiplied in float32, and convolutions as the process has them, which is torch's default.
    """
    if device.type != "cuda":
        yield
        return
    with kept_float32():
        backends: Any = torch.backends
        backends.cuda.matmul.allow_tf32 = tf32  # in any case: torch's compiler reads both names, and they must agree
        _set(Float32(None, tf32, tf32 or float32_now().convolutions))
        yield


def set_elsewhere(device: torch.device, *, tf32: bool) -> bool:
    """Whether somebody, such as a recipe, has turned TF32 on for the process though the settings do not."""
    return device.type == "cuda" and not tf32 and float32_now().matrices
