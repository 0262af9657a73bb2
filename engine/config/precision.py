"""Which weights can be trained in which precision, and what does not go together."""

from __future__ import annotations

from speedtui.engine.config.settings import Optimizer, Settings
from speedtui.engine.errors import ConfigError

ADAM_IN_WEIGHTS_PRECISION: tuple[Optimizer, ...] = ("adamw_torch_fused", "adamw_torch")
"""Optimizers that keep their moments in the weights' precision. In float16 what a gradient below 5e-3 adds to the
second moment, a thousandth of its square, is 0, and so is the epsilon of 1e-8: adamw_torch divides by 0. The fused
kernel computes in float32, but what it keeps is 0 too, so that it steps too far."""
BETTER = 'Set model.dtype = "bfloat16", which takes the same memory, or "float32" with train.bf16 = true.'
UNSCALED = "its loss scaler divides float32 gradients alone"
"""Why train.fp16 does not go with weights in half precision that are trained."""


def check_precision(settings: Settings, where: str) -> None:
    """Refuses weights that cannot be trained as they are; a recipe's are known once it is built.

    Raises:
        ConfigError: with a precision that can.
    """
    model, train = settings.model, settings.train
    _check_quantized(settings, where)
    own = model.kind != "python"
    if train.bf16 and train.fp16:
        raise ConfigError(
            f"{where}: train.bf16 and train.fp16 are both true, and one autocast is possible",
            "Set train.fp16 = false where the device has bfloat16, else train.bf16 = false.",
        )
    if own and train.fp16 and train.method == "full" and model.dtype != "float32":
        raise ConfigError(
            f'{where}: train.fp16 with model.dtype "{model.dtype}" and train.method "full": {UNSCALED}',
            'Set model.dtype = "float32".',
        )
    if own and train.method == "full" and model.dtype == "float16":
        refuse_float16(train.optimizer, f'{where}: model.dtype "float16" with train.method "full"', BETTER)
    if train.liger and not own:
        raise ConfigError(
            f'{where}: train.liger goes with a model of transformers, not with model.kind "python"',
            "Remove train.liger, and apply liger-kernel in the recipe itself.",
        )


def computes_in_half(settings: Settings) -> bool:
    """Whether the products of a model that is no recipe's are of 16 bits: its weights are, or autocast is on."""
    return settings.model.dtype != "float32" or settings.train.bf16 or settings.train.fp16


def _check_quantized(settings: Settings, where: str) -> None:
    """4 and 8 bits are too few to be trained: they carry adapters."""
    quantize = settings.model.quantize
    if quantize == "none":
        return
    if settings.model.kind == "python":
        raise ConfigError(
            f'{where}: model.quantize "{quantize}" does not go with model.kind "python", whose model the recipe builds',
            "Remove model.quantize.",
        )
    if settings.train.method == "full":
        raise ConfigError(
            f'{where}: model.quantize "{quantize}" does not go with train.method "full": too few bits to train',
            'Set train.method = "lora", or model.quantize = "none".',
        )


def refuse_float16(optimizer: Optimizer, what: str, hint: str) -> None:
    """Where the optimizer is one that cannot move float16 weights.

    Raises:
        ConfigError: it is; `what` opens the message.
    """
    if optimizer in ADAM_IN_WEIGHTS_PRECISION:
        raise ConfigError(f"{what} cannot train: {optimizer} keeps its moments in float16, where most are 0", hint)
