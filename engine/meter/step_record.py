"""What the training thread leaves of a step until the pump thread looks at it, and what the device says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from speedtui.engine.events import PHASES, STEP_PHASES
from speedtui.engine.meter.device import PhaseMark
from speedtui.engine.meter.phases import INDEX
from speedtui.engine.meter.profile import Profiled

LossScale = tuple[torch.Tensor, torch.Tensor]
"""(scale of a step's gradients, the next one's relative to it): scalars on the device."""
Pairs = list[tuple[int, float]]
"""(index of a phase, device seconds)."""
BatchTokens = tuple[int, int] | torch.Tensor | None
"""(tokens, padding tokens) of a micro-batch, or its mask, 0 at padding, on the CPU; None where they are unknown."""

_DATA, _FIRST_BATCH = INDEX["data"], INDEX["first_batch"]
_H2D, _OPTIMIZER = INDEX["h2d"], INDEX["optimizer"]


class MicroStep:
    """What is kept of one micro-batch until the pump thread looks at it: of its tensors, often large, the mask."""

    __slots__ = ("_counts", "end_ns", "loss", "rows", "start_ns")

    def __init__(self, rows: int, counts: BatchTokens, start_ns: int) -> None:
        self.rows = rows
        self._counts = counts
        self.start_ns = start_ns
        self.end_ns = start_ns
        self.loss: torch.Tensor | None = None

    def token_counts(self) -> tuple[int, int] | None:
        """(tokens, padding tokens); a mask is counted, and let go, when this is first asked."""
        mask = self._counts
        if isinstance(mask, torch.Tensor):
            tokens = int(mask.sum())
            self._counts = tokens, mask.numel() - tokens
            return self._counts
        return mask


class StepRecord:
    """What the training thread leaves of one optimizer step."""

    __slots__ = (
        "before", "end_ns", "gradient_norm", "loss_scale", "lr", "marks", "micro_steps", "peaks", "profiled",
        "start_ns", "step", "totals",
    )  # fmt: skip

    def __init__(
        self, step: int, start_ns: int, end_ns: int, before: list[int], totals: list[int],
        micro_steps: list[MicroStep], lr: float | None, marks: list[PhaseMark] | None,
        peaks: tuple[int, int, int] | None, gradient_norm: torch.Tensor | None,
        loss_scale: LossScale | None, profiled: Profiled | None,
    ) -> None:  # fmt: skip
        self.step = step
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.before = before
        self.totals = totals
        self.micro_steps = micro_steps
        self.lr = lr
        self.marks = marks
        self.peaks = peaks
        self.gradient_norm = gradient_norm
        self.loss_scale = loss_scale
        self.profiled = profiled


# -- the device ------------------------------------------------------------------------------------


def of_step(pairs: Pairs) -> Pairs:
    """Without what came between the last step and this one, such as an evaluation, or the wait for an epoch's first
    micro-batches, which is no part of its first step."""
    for i, (phase, _) in enumerate(pairs):
        if phase == _DATA:
            return pairs[i:]
        if phase == _FIRST_BATCH:
            return pairs[i + 1 :]
    return pairs


def skipped_step(loss_scale: LossScale | None, read: Callable[[torch.Tensor], float | None]) -> tuple[bool, bool]:
    """(the scaler left the step out, it was for the scale: which is how it finds the largest one that is possible).

    A gradient that is not finite at a scale of 1 or less is not by itself. `read`: None where the device is broken.
    """
    moved = read(loss_scale[1]) if loss_scale is not None else None
    if loss_scale is None or moved is None or moved >= 1:
        return False, False
    return True, (read(loss_scale[0]) or 0.0) > 1


def device_micro_steps(pairs: Pairs) -> list[float]:
    """Device seconds of each micro-step: from its transfer to the next one's, or to the optimizer."""
    seconds: list[float] = []
    counting = False
    for phase, duration in pairs:
        if phase == _H2D:
            seconds.append(0.0)
            counting = True
        elif phase in (_OPTIMIZER, _DATA):
            counting = False
        if counting:
            seconds[-1] += duration
    return seconds


def seconds_by_phase(pairs: Pairs) -> dict[str, float]:
    """Device seconds by phase of a step; those of no phase of a step count as other."""
    totals = dict.fromkeys(STEP_PHASES, 0.0)
    for index, seconds in pairs:
        name = PHASES[index]
        totals[name if name in totals else "other"] += seconds
    return {name: round(seconds, 6) for name, seconds in totals.items()}


# -- sizes -----------------------------------------------------------------------------------------


def batch_rows(batch: object) -> int:
    """Sequences in a batch: the first dimension of its first tensor; of a list without tensors, its length.

    0 where it is of another kind: a program's own collator may make anything.
    """
    values = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, list | tuple) else ()
    none = len(batch) if isinstance(batch, list) else 0
    return next((int(value.shape[0]) for value in values if isinstance(value, torch.Tensor) and value.ndim), none)


def sized_micro_steps(record: StepRecord, pairs: Pairs | None, *, waited: float) -> tuple[tuple[float, float], ...]:
    """(padded tokens, or rows where tokens are unknown; seconds) of each micro-step, by the device where it has told.

    `waited`: for the loader in the whole step, of which each has its share.
    """
    if pairs is None:
        seconds = [(m.end_ns - m.start_ns) / 1e9 for m in record.micro_steps]
    else:
        seconds = device_micro_steps(pairs)
    share = waited / max(len(seconds), 1)
    counts = [(m.token_counts(), m.rows) for m in record.micro_steps]
    sizes = [float(rows if found is None else sum(found)) for found, rows in counts]
    return tuple((size, value + share) for size, value in zip(sizes, seconds, strict=True))
