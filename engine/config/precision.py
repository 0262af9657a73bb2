"""Which weights can be trained in which precision."""

from __future__ import annotations

from speedtui.engine.config.settings import Optimizer, Settings
from speedtui.engine.errors import ConfigError

ADAM_IN_WEIGHTS_PRECISION: tuple[Optimizer, ...] = ("adamw_torch_fused", "adamw_torch")
"""Optimizers that keep their moments in the weights' precision. In float16 Adam's epsilon of 1e-8 is 0, and so is the
square of a gradient below 2.4e-4: steps become infinite. Sixty steps of a small Llama ended in NaN, or at a loss of
144 from 5.7; the same steps in bfloat16 and float32 agreed to 0.06."""
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
        raise ConfigError(f"{what} cannot train: {optimizer}'s epsilon and squares are 0 in float16", hint)
