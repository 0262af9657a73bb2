"""The learning rate over a training: by its steps, or so that it has run its course when the time is over."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from speedtui.engine.config.settings import LearningRateSchedule

CONFIGURED = ("kind", "warmup_steps", "total_steps")
"""Fields that come from the settings and not from a checkpoint, as transformers has it: a resumed training may have
another number of steps."""


class AnchoredSchedule(LRScheduler):
    """Cosine, linear or constant after a linear warm-up: transformers' schedules, to the last bit.

    `anchor` makes the rest of it as long as there is time for: the place in the schedule then moves on by an equal
    share of what is left with every step. It can be called again and again as the time that is left becomes clearer.
    """

    def __init__(
        self, optimizer: Optimizer, *, kind: LearningRateSchedule, warmup_steps: int, total_steps: int
    ) -> None:
        """`warmup_steps`: from 0 to the optimizer's own rate; `total_steps`: of the whole training."""
        self.kind: LearningRateSchedule = kind
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self._place: float | None = None
        self._left = 0
        super().__init__(optimizer)

    @property
    def anchored(self) -> bool:
        """Whether it ends with the time instead of the steps."""
        return self._place is not None

    @property
    def place(self) -> float:
        """Where in the schedule it is, in steps from its beginning, of `total_steps`."""
        return float(self.last_epoch) if self._place is None else self._place

    def anchor(self, remaining_steps: int) -> None:
        """The schedule has ended after so many more steps; never later than after the last one of the training.

        With p the share of it that is behind and n the steps that remain, each step adds (1 - p) / n to p, which is
        the same share every time. A warm-up that is not over is shortened likewise.
        """
        self._place = self.place
        self._left = max(min(remaining_steps, self.total_steps - self.last_epoch), 1)

    def step(self, epoch: int | None = None) -> None:
        """After an optimizer step."""
        if self._place is not None:
            done = self._left <= 1
            self._place = (
                float(self.total_steps) if done else self._place + (self.total_steps - self._place) / self._left
            )
            self._left -= not done
        super().step(epoch)

    def get_lr(self) -> list[float | Tensor]:
        """Of each group of parameters, now."""
        factor = schedule_factor(self.kind, self.place, self.warmup_steps, self.total_steps)
        return [base * factor for base in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training goes on with, plain values."""
        return {name: value for name, value in super().state_dict().items() if name not in CONFIGURED}


def schedule_factor(kind: LearningRateSchedule, place: float, warmup_steps: int, total_steps: int) -> float:
    """Share of the optimizer's own rate at a place in the schedule, in [0, 1].

    The arithmetic of transformers.optimization, in its order: a cosine of half a wave, a line to 0, or 1. Its
    "constant" knows no warm-up; with one this is its "constant_with_warmup".
    """
    if place < warmup_steps:
        return place / float(max(1, warmup_steps))
    if kind == "constant":
        return 1.0
    length = float(max(1, total_steps - warmup_steps))
    if kind == "linear":
        return max(0.0, (total_steps - place) / length)
    progress = (place - warmup_steps) / length
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * 0.5 * 2.0 * progress)))
