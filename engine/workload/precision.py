"""Whether the weights to be trained are kept precisely enough for it."""

from __future__ import annotations

import torch
from torch import nn

from speedtui.engine.config.precision import ADAM_IN_WEIGHTS_PRECISION, BETTER, refuse_float16
from speedtui.engine.config.settings import Settings
from speedtui.engine.units import format_share

SAMPLED = 1 << 16
"""Elements looked at of a tensor: enough for a share to a per cent."""
TELLING = 0.1
"""Share of the weights that would not move from which on it is told."""


def require_trainable(trained: nn.Module, settings: Settings) -> None:
    """Refuses weights that the optimizer cannot move; of a recipe nothing else knows them before.

    Raises:
        ConfigError: with what can be done.
    """
    for name, weight in trained.named_parameters():
        if weight.requires_grad and weight.dtype == torch.float16:
            python = settings.model.kind == "python"
            hint = "Have the recipe build its model in bfloat16 or float32." if python else BETTER
            refuse_float16(settings.train.optimizer, f"{name} of {weight.dtype} weights", hint)


def precision_warning(trained: nn.Module, settings: Settings) -> str:
    """What the weights' precision costs the training, in a sentence; empty where it costs nothing to speak of."""
    used = {parameter.dtype for parameter in trained.parameters()}
    if torch.float16 in used:
        return (
            "float16 without loss scaling: small gradients become 0 or inexact; "
            'model.dtype = "bfloat16" takes the same memory'
        )
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
