"""The learning rate over a training: by its steps, or so that it has run its course when the time is over."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from speedtui.engine.config.settings import LearningRateSchedule

CONFIGURED = ("kind", "warmup_steps", "base_lrs")
"""Fields that come from the settings and not from a checkpoint, as transformers has it; the rate may be another."""
BACK_SHARE = 0.1
"""Of the steps that are left: over so many the rate goes back to where its steps alone would have it. A place that the
deadline had hurried on so moves back at most ten times as fast as the schedule itself moves on."""


class Stretch(NamedTuple):
    """Steps over which the place in the schedule moves evenly from one share of it to another."""

    first: int
    """Steps done where it begins."""
    share: float
    last: int
    """Steps done where it ends."""
    to: float

    def at(self, step: int) -> float:
        """The share after so many steps, no fewer than `first`."""
        if step >= self.last:
            return self.to
        return self.share + (self.to - self.share) * (step - self.first) / (self.last - self.first)


class AnchoredSchedule(LRScheduler):
    """Cosine, linear or constant after a linear warm-up: transformers' schedules, to the last bit.

    The place in the schedule is a share of it, its warm-up included. Left alone, that is the share of the steps that
    are done. `anchor` has the rest of the schedule run in as many steps as there is time for, `release` takes it back
    to its steps, `resize` gives the training another number of them. The place never jumps, and is at its end only
    after the last step: an anchor that has run out while the training goes on stays at the last share before it.
    """

    def __init__(
        self, optimizer: Optimizer, *, kind: LearningRateSchedule, warmup_steps: int, total_steps: int
    ) -> None:
        """`warmup_steps`: from 0 to the optimizer's own rate; `total_steps`: of the whole training."""
        self.kind: LearningRateSchedule = kind
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.until: float | None = None
        """The deadline that it is anchored to, in seconds since the epoch; None where nobody said."""
        self._shape = (warmup_steps, total_steps)
        """(warm-up, all) steps of the schedule that it began with, which the place is a share of."""
        self._stretch: Stretch | None = None
        self._anchored = False
        super().__init__(optimizer)

    # -- the place ---------------------------------------------------------------------------------

    @property
    def anchored(self) -> bool:
        """Whether it ends before the last step."""
        return self._anchored

    @property
    def share(self) -> float:
        """How much of the schedule is behind, in [0, 1]; 1 only after the last step."""
        step, total, stretch = self.last_epoch, self.total_steps, self._stretch
        if step >= total:
            return 1.0
        if stretch is None or (step >= stretch.last and not self._anchored):
            return step / total
        return stretch.at(min(step, stretch.last - self._anchored))

    @property
    def place(self) -> float:
        """Where in the schedule it is, in steps of the schedule."""
        if self._stretch is None and self._shape == (self.warmup_steps, self.total_steps):
            return float(self.last_epoch)
        return self.share * self._shape[1]

    # -- changes -----------------------------------------------------------------------------------

    def anchor(self, remaining_steps: int, until: float | None = None) -> None:
        """The schedule has run its course after so many more steps; where those are all there are, as `release`.

        It can be called again and again as the time that is left becomes clearer: what is left of the schedule, of its
        warm-up too, is spread evenly over the steps there are. `until`: the deadline behind it.
        """
        end = self.last_epoch + max(remaining_steps, 1)
        if end >= self.total_steps:
            self.release()
            return
        share = self.share
        to = 1.0 if 1 - share > 1 / self.total_steps else share  # no nearer than the schedule by its steps ever is
        self._stretch, self._anchored, self.until = Stretch(self.last_epoch, share, end, to), True, until

    def release(self) -> None:
        """It ends with the last step: the place goes back to the share of the steps done, over a tenth of those to
        come and no fewer than its warm-up has. Where it is not beyond that, the rest is spread over them all."""
        if not self._anchored:
            return
        step, total, share = self.last_epoch, self.total_steps, self.share
        steps = max(self.warmup_steps, math.ceil(BACK_SHARE * (total - step))) if share > step / total else total
        last = min(step + steps, total)
        self._stretch, self._anchored, self.until = Stretch(step, share, last, last / total), False, None

    def resize(self, total_steps: int) -> None:
        """The training has another number of steps: what is left of the schedule is spread over those to come."""
        if total_steps == self.total_steps:
            return
        step, share, before = self.last_epoch, self.share, self._stretch
        self.total_steps = total_steps
        if before is not None and self._anchored and before.last < total_steps:
            return
        self._stretch, self._anchored = Stretch(step, share, total_steps, 1.0) if step < total_steps else None, False

    def step(self, epoch: int | None = None) -> None:
        """After an optimizer step."""
        super().step(epoch)
        if self._stretch is not None and self.last_epoch >= self._stretch.last and not self._anchored:
            self._stretch = None  # by its steps again

    def scale(self, factor: float) -> None:
        """Every group's rate is so many times what it was, from the next step on; the place in the schedule stays."""
        self.base_lrs = [base * factor for base in self.base_lrs]
        self._apply()

    def _apply(self) -> None:
        """Gives the optimizer the rates as they are here."""
        self._last_lr = self.get_lr()
        for group, base, rate in zip(self.optimizer.param_groups, self.base_lrs, self._last_lr, strict=True):
            group["initial_lr"], group["lr"] = base, rate

    def get_lr(self) -> list[float | Tensor]:
        """Of each group of parameters, now."""
        factor = schedule_factor(self.kind, self.place, *self._shape)
        return [base * factor for base in self.base_lrs]

    # -- checkpoints -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training goes on with, plain values."""
        state = {name: value for name, value in super().state_dict().items() if name not in CONFIGURED}
        return state | {"_stretch": None if self._stretch is None else tuple(self._stretch)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there, at the rate that the settings have now; where they have another number of steps, at the
        same share of the schedule."""
        state = {name: value for name, value in state_dict.items() if name not in CONFIGURED}
        configured = self.total_steps
        place, left, stretch = state.pop("_place", None), state.pop("_left", 0), state.pop("_stretch", None)
        super().load_state_dict(state)
        self._stretch = Stretch(*stretch) if stretch is not None else None
        if place is not None:
            self._anchored_in_steps(place, left)
        self._shape = (self.warmup_steps, self._shape[1])
        self.resize(configured)
        self._apply()

    def _anchored_in_steps(self, place: float, left: int) -> None:
        """As an earlier version kept an anchor: the place in steps of the training's, how many of them not said."""
        step, share = self.last_epoch, min(place / self.total_steps, 1 - 1 / self.total_steps)
        self._stretch = Stretch(step, share, self.total_steps, 1.0)
        self.anchor(left)


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
