"""The optimizers of `train.optimizer`, as the Trainer makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn
from transformers import Trainer
from transformers.optimization import Adafactor

from speedtui.engine.config.settings import TrainSettings

BLOCK = 256
"""Elements that share a float32 scale in an 8-bit state (bitsandbytes, block-wise quantization: arXiv:2110.02861)."""
LEAST_8_BIT = 4096
"""Elements of the smallest tensor whose state has 8 bits (bitsandbytes, `min_8bit_size`)."""
LEAST_PAGED = 100_000
"""Elements of the smallest tensor whose state is paged (bitsandbytes, `get_state_buffer`)."""


def make_optimizer(model: nn.Module, train: TrainSettings, foreach: bool | None) -> torch.optim.Optimizer:
    """Over the model's trainable parameters; the 8-bit ones are `EightBitAdamW`, bitsandbytes or not."""
    groups = _groups(model, train.weight_decay)
    lr = train.learning_rate
    match train.optimizer:
        case "adamw_torch_fused":
            return torch.optim.AdamW(groups, lr=lr, fused=True)
        case "adamw_torch":
            return torch.optim.AdamW(groups, lr=lr, foreach=foreach)
        case "sgd":
            return torch.optim.SGD(groups, lr=lr, foreach=foreach)
        case "adafactor":
            return Adafactor(groups, lr=lr, scale_parameter=False, relative_step=False)  # type: ignore[no-untyped-call]
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return EightBitAdamW(groups, embeddings, paged=train.optimizer == "paged_adamw_8bit")


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """With and without decay, as in `Trainer.create_optimizer`.

    The order counts: an optimizer that goes from one parameter to the next still holds what it made for the last.
    """
    decayed = set(Trainer.get_decay_parameter_names(cast(Any, None), model))  # it looks at the model only
    trainable = [(name in decayed, p) for name, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [p for decays, p in trainable if decays is wanted], "weight_decay": decay if wanted else 0.0}
        for wanted in (True, False)
    ]


class EightBitAdamW(torch.optim.Optimizer):
    """The state that bitsandbytes' AdamW8bit allocates; its step works in place and allocates nothing.

    Two states of one byte an element with a float32 scale a block each; float32 states for small tensors and, as the
    Trainer asks for it, for embeddings. A paged state is in the host's memory as long as the device's is short, so
    none of it is counted. From bitsandbytes' sources; not compared with a run of it.
    """

    def __init__(self, groups: list[dict[str, Any]], embeddings: set[int], *, paged: bool) -> None:
        super().__init__(groups, {})
        self._embeddings = embeddings
        self._paged = paged

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Makes the state where there is none yet."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and not self.state[parameter]:
                    self.state[parameter] = self._new_state(parameter)

    def _new_state(self, parameter: torch.Tensor) -> dict[str, Any]:
        count = parameter.numel()
        small = count < LEAST_8_BIT or id(parameter) in self._embeddings
        sizes: dict[str, tuple[int, torch.dtype]] = {}
        if not (self._paged and count >= LEAST_PAGED):
            dtype = torch.float32 if small else torch.uint8
            sizes |= {"state1": (count, dtype), "state2": (count, dtype)}
        if not small:
            blocks = -(-count // BLOCK)
            sizes |= {"absmax1": (blocks, torch.float32), "absmax2": (blocks, torch.float32)}
        return {name: torch.empty(size, dtype=dtype) for name, (size, dtype) in sizes.items()}
