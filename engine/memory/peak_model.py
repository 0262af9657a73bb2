"""The peak memory of one kind of configuration, for every micro-batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from speedtui.engine.candidate import MemoryBreakdown
from speedtui.engine.config.batch import divisors
from speedtui.engine.config.capability import Capability
from speedtui.engine.config.settings import Settings

MARGIN = 0.03
"""Of the expected peak, kept free: what the prediction may be off by."""


DeviceKind = Literal["cpu", "cuda"]
"""How sizes are rounded and whether optimizers work on all tensors at once; nothing runs on it."""


class MemoryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a peak depends on, besides the micro-batch."""

    settings: Settings
    """With the candidate's settings in them; the micro-batch in them is not looked at."""
    longest_tokens: int
    """Of the longest sample after cutting: its input, for an encoder-decoder.

    Not looked at for packs, which are as long as data.max_length allows, and for recipes, whose data is read.
    """
    longest_target_tokens: int | None = None
    """Of the longest target, for an encoder-decoder."""
    vocabulary: int | None = None
    """Tokens of the tokenizer, which an architecture without vocab_size takes."""
    device: DeviceKind = "cpu"
    """What the training runs on."""
    capability: Capability | None = None
    """Of that GPU: older ones lack kernels. None where it is not known; then it is taken for one that has them."""
    masked: bool = True
    """Whether attention gets the mask of the padding, see `trainer.needless_mask`."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How real peaks compare with predicted ones: measured = ratio x predicted + gap."""

    ratio: float = 1.0
    gap_bytes: int = 0
    probes: int = 0
    """How many real peaks it rests on; with none it only assumes."""

    def expected_bytes(self, predicted_bytes: int) -> int:
        """The peak to be expected on this device."""
        return round(self.ratio * predicted_bytes) + self.gap_bytes

    def fits(self, predicted_bytes: int, free_bytes: int) -> bool:
        """Whether the expected peak and the margin stay within what is free."""
        return self.expected_bytes(predicted_bytes) * (1 + MARGIN) <= free_bytes


class LinearBytes(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that grow with the micro-batch: fixed + per_row x micro-batch."""

    fixed: float
    per_row: float

    def at(self, micro_batch_size: int) -> float:
        """Bytes at a micro-batch."""
        return self.fixed + self.per_row * micro_batch_size


class PeakMoment(msgspec.Struct, frozen=True, kw_only=True):
    """One moment that may be the peak: the lines of what is held then; the sum of them is what is held in all."""

    name: str
    """Such as `backward` or `optimizer`."""
    weights: LinearBytes
    gradients: LinearBytes
    optimizer: LinearBytes
    activations: LinearBytes
    logits: LinearBytes

    @property
    def total(self) -> LinearBytes:
        """All that is held."""
        lines = (self.weights, self.gradients, self.optimizer, self.activations, self.logits)
        return LinearBytes(fixed=sum(line.fixed for line in lines), per_row=sum(line.per_row for line in lines))

    def breakdown(self, micro_batch_size: int) -> MemoryBreakdown:
        """What is held then."""
        return MemoryBreakdown(
            weights_bytes=round(self.weights.at(micro_batch_size)),
            gradients_bytes=round(self.gradients.at(micro_batch_size)),
            optimizer_bytes=round(self.optimizer.at(micro_batch_size)),
            activations_bytes=round(self.activations.at(micro_batch_size)),
            logits_bytes=round(self.logits.at(micro_batch_size)),
        )


class MemorySurface(msgspec.Struct, frozen=True, kw_only=True, tag="surface"):
    """Peaks for any micro-batch; the peak is the largest of its moments."""

    accumulating: tuple[PeakMoment, ...]
    """Two rows or more with padding, and gradients of an earlier micro-batch held during the forward pass."""
    at_once: tuple[PeakMoment, ...]
    """The same where a step has one micro-batch only."""
    single: tuple[PeakMoment, ...]
    """One row, which has no padding, with earlier gradients held; constant lines."""
    single_at_once: tuple[PeakMoment, ...]
    layers: tuple[int, ...] = ()
    """Depths it was computed at where not all layers were; empty: the whole model."""

    def breakdown(self, micro_batch_size: int, *, accumulates: bool) -> MemoryBreakdown:
        """What the peak consists of."""
        if micro_batch_size == 1:
            moments = self.single if accumulates else self.single_at_once
        else:
            moments = self.accumulating if accumulates else self.at_once
        return max((moment.breakdown(micro_batch_size) for moment in moments), key=lambda b: b.total_bytes)

    def peak_bytes(self, micro_batch_size: int, *, accumulates: bool) -> int:
        """Bytes of live tensor storages at the peak."""
        return self.breakdown(micro_batch_size, accumulates=accumulates).total_bytes

    def largest(self, effective_batch_size: int, free_bytes: int, calibration: Calibration) -> int | None:
        """The largest micro-batch that divides the effective batch and fits; None where none does."""
        fitting = (
            n for n in divisors(effective_batch_size)
            if calibration.fits(self.peak_bytes(n, accumulates=n < effective_batch_size), free_bytes)
        )  # fmt: skip
        return max(fitting, default=None)


class Unpredictable(msgspec.Struct, frozen=True, kw_only=True, tag="unpredictable"):
    """The peak cannot be predicted; a probe has to show it."""

    reason: str


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one request."""

    outcome: MemorySurface | Unpredictable
    seconds: float
    """CPU seconds it took; 0 from the cache."""


def calibrate(pairs: Iterable[tuple[int, int]], gap_bytes: int = 0) -> Calibration:
    """From (predicted, measured) peaks in bytes; `gap_bytes` is what a GPU's allocator reserves beyond them.

    The largest ratio counts, since a peak above the limit ends a trial and one below only wastes room.
    """
    ratios = [measured / predicted for predicted, measured in pairs if predicted > 0]
    if not ratios:
        return Calibration()
    return Calibration(ratio=max(ratios), gap_bytes=gap_bytes, probes=len(ratios))
