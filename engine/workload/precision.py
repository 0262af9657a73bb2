"""Whether the weights to be trained are kept precisely enough for it, and what the device can compute in."""

from __future__ import annotations

import torch
from torch import nn

from speedtui.engine.config.capability import BFLOAT16, PRODUCTS_OF_8_BITS, TF32, Capability, words
from speedtui.engine.config.precision import (
    ADAM_IN_WEIGHTS_PRECISION,
    BETTER,
    UNSCALED,
    computes_in_half,
    refuse_float16,
)
from speedtui.engine.config.settings import Settings, TrainSettings
from speedtui.engine.errors import ConfigError
from speedtui.engine.units import format_share
from speedtui.engine.workload.liger import require_liger

SAMPLED = 1 << 16
"""Elements looked at of a tensor: enough for a share to a per cent."""
TELLING = 0.1
"""Share of the weights that would not move from which on it is told."""


def autocast_dtype(train: TrainSettings) -> torch.dtype | None:
    """What the forward pass is autocast to; None where it is computed in the weights' own precision."""
    return torch.bfloat16 if train.bf16 else torch.float16 if train.fp16 else None


def require_device(settings: Settings, device: torch.device) -> None:
    """Refuses a precision that the device would pass over without a word, before a model is loaded for it.

    Raises:
        ConfigError: with what the device can do.
    """
    train, attention = settings.train, settings.model.attention
    own = settings.model.kind != "python"
    if own and attention.startswith("flash") and not computes_in_half(settings):
        raise ConfigError(
            f"model.attention {attention} takes bfloat16 or float16, and the model would be computed in float32",
            'Set train.bf16 = true, model.dtype = "bfloat16", or model.attention = "auto".',
        )
    if train.fp16 and device.type != "cuda":
        raise ConfigError(
            "train.fp16 needs a GPU: on the CPU all would be computed in float32",
            "Set train.fp16 = false; train.bf16 = true works on the CPU too.",
        )
    if train.tf32 and not has_tf32(device):
        here = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
        raise ConfigError(
            f"train.tf32 needs an NVIDIA GPU from Ampere on: {here} multiplies float32 in float32",
            "Set train.tf32 = false.",
        )
    if settings.model.quantize == "int8" and not _has_products_of_8_bits(device):
        found = words(torch.cuda.get_device_capability(device))
        raise ConfigError(
            f'model.quantize "int8" needs a GPU of compute capability {words(PRODUCTS_OF_8_BITS)} or newer: '
            f"{torch.cuda.get_device_name(device)} has {found}",
            'Set model.quantize = "nf4".',
        )
    if train.liger:
        require_liger(device)


def has_bf16(device: torch.device) -> bool:
    """Whether it computes in bfloat16 by itself: older GPUs do it by way of float32, which gains nothing."""
    return device.type != "cuda" or torch.version.hip is not None or _since(BFLOAT16, device)


def has_tf32(device: torch.device) -> bool:
    """Whether it multiplies float32 by TF32 where it is asked to."""
    return device.type == "cuda" and torch.version.hip is None and _since(TF32, device)


def _has_products_of_8_bits(device: torch.device) -> bool:
    return device.type != "cuda" or torch.version.hip is not None or _since(PRODUCTS_OF_8_BITS, device)


def _since(least: Capability, device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= least


def require_trainable(trained: nn.Module, settings: Settings) -> None:
    """Refuses weights that the optimizer cannot move; of a recipe nothing else knows them before.

    Raises:
        ConfigError: with what can be done.
    """
    python = settings.model.kind == "python"
    for name, weight in trained.named_parameters():
        if weight.requires_grad and weight.dtype in (torch.float16, torch.bfloat16) and settings.train.fp16:
            hint = "Have the recipe build its model in float32." if python else 'Set model.dtype = "float32".'
            raise ConfigError(f"train.fp16 with {name} of {weight.dtype} weights: {UNSCALED}", hint)
        if weight.requires_grad and weight.dtype == torch.float16:
            hint = "Have the recipe build its model in bfloat16 or float32." if python else BETTER
            refuse_float16(settings.train.optimizer, f"{name} of {weight.dtype} weights", hint)


def precision_warning(trained: nn.Module, settings: Settings) -> str:
    """What the weights' precision costs the training, in a sentence; empty where it costs nothing to speak of."""
    used = {parameter.dtype for parameter in trained.parameters()}
    model = settings.model
    in_float16 = model.quantize == "nf4" and model.dtype == "float16" and not settings.train.bf16  # it computes in it
    if (torch.float16 in used or in_float16) and not settings.train.fp16:
        return (
            "float16 without loss scaling: small gradients become 0 or inexact; "
            'model.dtype = "bfloat16" takes the same memory'
        )
    whole = autocast_dtype(settings.train) is None
    if model.quantize != "none" and whole and any(p.is_cuda for p in trained.parameters()):
        return "activations of a quantized model are float32 without train.bf16, which takes memory and time"
    share = unmoved_share(trained, settings.train.learning_rate)
    if settings.train.optimizer not in ADAM_IN_WEIGHTS_PRECISION or share < TELLING:
        return ""
    return (
        f"bfloat16 weights: {format_share(share)} of them do not move at a learning rate of "
        f"{settings.train.learning_rate:g}, which is less than half the distance to their next number; "
        'model.dtype = "float32" with train.bf16 = true moves them all'
    )


def unmoved_share(trained: nn.Module, learning_rate: float) -> float:
    """Share of the trained weights, in [0, 1], that a step of the learning rate's size rounds back to where they were.

    Adam's step is about the learning rate, whatever the gradient. A bfloat16 number in [2^e, 2^(e+1)) is 2^(e-7) from
    the next one: what moves it by less than half of that, and not below it, leaves it as it is. By a sample of each
    tensor's elements.
    """
    total = unmoved = 0.0
    for weight in trained.parameters():
        if weight.requires_grad:
            total += weight.numel()
            if weight.dtype == torch.bfloat16 and weight.numel():
                flat = weight.detach().reshape(-1)
                sample = flat[:: max(flat.numel() // SAMPLED, 1)]
                unmoved += weight.numel() * float(((sample + learning_rate) == sample).float().mean())
    return unmoved / total if total else 0.0
