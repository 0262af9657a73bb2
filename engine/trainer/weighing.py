"""What the loss of a micro-batch is a mean of, found by measuring, and what each one so counts in its step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import torch
from torch import nn

from speedtui.engine.meter.step_record import batch_rows
from speedtui.engine.workload.base import Batch
from speedtui.engine.workload.collate import IGNORED

Unit = Literal["next_tokens", "tokens", "rows", "next_attended", "attended", "whole"]
"""Of a mean over label tokens, those that are the next one of another only or all; over rows; over the tokens of the
attention mask; `whole`: of no mean, the loss is a sum."""
WORDS: dict[Unit, str] = {
    "next_tokens": "a mean over label tokens", "tokens": "a mean over label tokens", "rows": "a mean over rows",
    "next_attended": "a mean over tokens", "attended": "a mean over tokens", "whole": "a sum over rows",
}  # fmt: skip


class Weighing(msgspec.Struct, frozen=True, kw_only=True):
    """How the losses of micro-batches make the loss of their step, and those of batches that of an evaluation.

    A step's loss is what the model itself computes for all of its rows at once: for a mean, each micro-batch's loss
    times its share of what the mean is over; for a sum, their sum.
    """

    unit: Unit
    doubt: str = ""
    """Why a step still depends on how it is cut, or might; empty where measuring has shown that it does not."""
    passing: bool = False
    """The reason may be gone the next time it is asked for, such as a device that was full."""

    @property
    def words(self) -> str:
        """For people: `a mean over label tokens`."""
        return WORDS[self.unit]

    def shares(self, batches: Sequence[Batch]) -> list[float]:
        """What to multiply each micro-batch's loss by before they are added up; `batches`: one step's, on the CPU.

        0 where there is nothing to learn from: the mean over nothing is no number.
        """
        if self.unit == "whole":
            return [1.0] * len(batches)
        amounts = [amount(self.unit, batch) for batch in batches]
        total = sum(amounts)
        return [number / total if total else 0.0 for number in amounts]

    def counted(self, batch: Batch) -> tuple[float, float]:
        """(what to multiply a batch's loss by, what to divide their sum by) in an evaluation; `batch`: on the CPU.

        An evaluation's loss is a mean in any case: the one over rows, where the model's own is a sum.
        """
        if self.unit == "whole":
            return 1.0, amount("rows", batch)
        number = amount(self.unit, batch)
        return number, number


class LossSum:
    """The loss of an evaluation, batch by batch, without waiting for the device."""

    def __init__(self, weighing: Weighing) -> None:
        self._weighing = weighing
        self._total: torch.Tensor | None = None
        self._count = 0.0

    def weigh(self, batch: Batch) -> tuple[float, float]:
        """See `Weighing.counted`."""
        return self._weighing.counted(batch)

    def add(self, loss: torch.Tensor, weighed: tuple[float, float]) -> None:
        """One more batch: its loss, with one element, and what `weigh` said of it."""
        part = loss.detach().double() * weighed[0]
        self._total = part if self._total is None else self._total + part
        self._count += weighed[1]

    def mean(self) -> float | None:
        """None where nothing was added."""
        return float(self._total) / self._count if self._total is not None else None


def amount(unit: Unit, batch: Batch) -> float:
    """How much of it a collated batch has, on whatever device.

    `labels`: any shape with rows first, -100 where nothing is learned; `attention_mask`: (rows, tokens), 0 at padding.
    Rows count where the batch has no such tensor.
    """
    if unit.endswith("attended"):
        mask = batch.get("attention_mask")
        if isinstance(mask, torch.Tensor) and mask.ndim > 1:
            return float((mask[..., 1:] if unit == "next_attended" else mask).sum())
    elif unit.endswith("tokens"):
        labels = batch.get("labels")
        if isinstance(labels, torch.Tensor) and labels.ndim:
            return float((labels[..., 1:] if unit == "next_tokens" else labels).ne(IGNORED).sum())
    return float(batch_rows(batch))


def likely_units(batch: Batch, *, encoder_decoder: bool) -> list[Unit]:
    """What a loss of such batches can be a mean of, the likeliest first."""
    labels, mask, ids = (batch.get(name) for name in ("labels", "attention_mask", "input_ids"))
    found: list[Unit] = []
    if isinstance(labels, torch.Tensor) and not labels.is_floating_point():
        found += ["tokens"]  # of one label a row: the rows that have one
        if labels.ndim > 1:
            found += ["next_tokens"]
            if isinstance(ids, torch.Tensor) and ids.shape == labels.shape and not encoder_decoder:
                found.reverse()
    found += ["rows"]
    if isinstance(mask, torch.Tensor) and mask.ndim > 1:
        found += ["attended", "next_attended"]
    return [*found, "whole"]


Measure = Callable[[], Weighing]
_KEPT = "speedtui_weighing"
"""Attribute of a model's base: what was measured, so that it is measured once and not by each trial's trainer."""


def kept_weighing(base: nn.Module, measure: Measure) -> Weighing:
    """What is known of a model's loss, measured now where nothing is; a doubt for a passing reason is not kept."""
    known = vars(base).get(_KEPT)
    if known is None:
        known = measure()
        if not known.passing:
            setattr(base, _KEPT, known)
    return known
