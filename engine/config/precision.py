"""Which weights can be trained in which precision."""

from __future__ import annotations

from speedtui.engine.config.settings import Optimizer, Settings
from speedtui.engine.errors import ConfigError

ADAM_IN_WEIGHTS_PRECISION: tuple[Optimizer, ...] = ("adamw_torch_fused", "adamw_torch")
"""Optimizers that keep their moments in the weights' precision. In float16 what a gradient below 5e-3 adds to the
second moment, a thousandth of its square, is 0, and so is the epsilon of 1e-8: adamw_torch divides by 0. The fused
kernel computes in float32, but what it keeps is 0 too, so that it steps too far."""
BETTER = 'Set model.dtype = "bfloat16", which takes the same memory, or "float32" with train.bf16 = true.'


def check_precision(settings: Settings, where: str) -> None:
    """Refuses weights that cannot be trained as they are; a recipe's are known once it is built.

    Raises:
        ConfigError: with a precision that can.
    """
    model, train = settings.model, settings.train
    if model.kind != "python" and train.method == "full" and model.dtype == "float16":
        refuse_float16(train.optimizer, f'{where}: model.dtype "float16" with train.method "full"', BETTER)


def refuse_float16(optimizer: Optimizer, what: str, hint: str) -> None:
    """Where the optimizer is one that cannot move float16 weights.

    Raises:
        ConfigError: it is; `what` opens the message.
    """
    if optimizer in ADAM_IN_WEIGHTS_PRECISION:
        raise ConfigError(f"{what} cannot train: {optimizer} keeps its moments in float16, where most are 0", hint)
