"""What fits: predicted peaks, corrected by the real ones that trials have shown."""

from __future__ import annotations

from collections import defaultdict

import msgspec

from speedtui.engine.candidate import MemoryBreakdown, TrialResult, TrialStatus
from speedtui.engine.config.batch import divisors
from speedtui.engine.memory.peak_model import MARGIN, Calibration, MemorySurface, calibrate
from speedtui.engine.search.base import Surfaces

CAUTION = 0.85
"""Share of the limit that the first probe may be predicted to take: what it shows corrects everything after it."""
RETREAT = 0.8
"""Once something ran out of memory where it was expected to fit, so much of that peak is believed to fit.

Much less than the margin, for the sake of the rule that one trial at most does so: how far off the prediction was,
nobody knows.
"""
REACH = 8
"""A line through two measured peaks is believed up to so many times the larger micro-batch."""


class MemoryClassTrials(msgspec.Struct):
    """What trials have shown of one memory class."""

    peaks: dict[int, int] = {}
    """Bytes by micro-batch, of trials that fitted."""
    burst: int | None = None
    """The smallest micro-batch that ran out of memory."""
    safe: int = 0
    """A micro-batch that needs no trial, since another class with it needs more and fitted."""

    @property
    def held(self) -> int:
        """The largest micro-batch that is known to fit; 0 where none is."""
        return max(self.peaks, default=self.safe)


class MemoryFit:
    """Says which micro-batches fit, and learns from every trial."""

    def __init__(
        self, surfaces: Surfaces, free_bytes: int | None, effective_batch_size: int, past: Calibration | None = None
    ) -> None:
        """`free_bytes`: None where there is no limit; `past`: how peaks compared in earlier runs on this device."""
        self._surfaces = surfaces
        self.free_bytes = free_bytes
        self._effective = effective_batch_size
        self._sizes = divisors(effective_batch_size)
        self.calibration = past or Calibration()
        self._pairs: list[tuple[int, int]] = []
        self._gap_bytes = 0
        self._burst_bytes: int | None = None
        self._known: defaultdict[bytes, MemoryClassTrials] = defaultdict(MemoryClassTrials)

    def surface(self, key: bytes) -> MemorySurface | None:
        """The predicted peaks of a class; None where they are unknown."""
        found = self._surfaces.get(key)
        return found if isinstance(found, MemorySurface) else None

    def breakdown(self, key: bytes, micro: int) -> MemoryBreakdown | None:
        """The prediction before calibration."""
        surface = self.surface(key)
        return surface.breakdown(micro, accumulates=micro < self._effective) if surface is not None else None

    def predicted_bytes(self, key: bytes, micro: int) -> int | None:
        """Its sum."""
        breakdown = self.breakdown(key, micro)
        return breakdown.total_bytes if breakdown is not None else None

    def expected_bytes(self, key: bytes, micro: int) -> int | None:
        """The peak to be expected here: predicted and calibrated, or along the line of measured ones."""
        predicted = self.predicted_bytes(key, micro)
        return self.calibration.expected_bytes(predicted) if predicted is not None else self._along(key, micro)

    def fits(self, key: bytes, micro: int) -> bool:
        """Whether it is to be tried: it has fitted, or is expected to.

        After a class ran out of memory where it was expected to fit, only half of that micro-batch is believed.
        """
        known = self._known[key]
        if micro <= known.held or self.free_bytes is None:
            return True
        if known.burst is not None and micro > known.burst // 2:
            return False
        expected = self.expected_bytes(key, micro)
        if expected is None:
            return micro == self._next_unknown(known)
        return expected * (1 + MARGIN) <= self.free_bytes

    def ruled_out(self, key: bytes, micro: int) -> bool:
        """Whether it is known not to fit: predicted so, or no smaller than what ran out of memory."""
        burst = self._known[key].burst
        return not self.fits(key, micro) and (self.surface(key) is not None or (burst is not None and micro >= burst))

    def largest(self, key: bytes) -> int | None:
        """The largest micro-batch that fits; None where none does.

        Of a class that cannot be predicted: 1, then the next one, then as far as the line through both reaches.
        """
        return max((micro for micro in self._sizes if self.fits(key, micro)), default=None)

    def assume(self, key: bytes, micro: int) -> None:
        """This micro-batch fits: a class that needs more memory has shown it."""
        self._known[key].safe = max(micro, self._known[key].safe)

    def cautious(self, key: bytes) -> int | None:
        """The micro-batch of the first probe, while nothing is known of this device; None where none fits so well."""
        surface = self.surface(key)
        if surface is None or self.free_bytes is None:
            return self.largest(key)
        return surface.largest(self._effective, round(CAUTION * self.free_bytes), self.calibration)

    def learn(self, key: bytes, micro: int, result: TrialResult) -> None:
        """Takes in what a trial of this class showed."""
        known, predicted = self._known[key], self.predicted_bytes(key, micro)
        memory = result.memory
        if result.status is TrialStatus.OUT_OF_MEMORY:
            known.burst = min(micro, known.burst or micro)
            if predicted is not None:
                self._burst_bytes = min(predicted, self._burst_bytes or predicted)
        elif memory is not None and memory.training_peak_bytes is not None and memory.peak_allocated_bytes is not None:
            known.peaks[micro] = memory.training_peak_bytes
            if predicted is not None:
                self._pairs.append((predicted, memory.peak_allocated_bytes))
                self._gap_bytes = max(self._gap_bytes, memory.training_peak_bytes - memory.peak_allocated_bytes)
        self._recalibrate()

    def _recalibrate(self) -> None:
        if self._pairs:
            self.calibration = calibrate(self._pairs, self._gap_bytes)
        if self._burst_bytes is not None and self.free_bytes is not None:
            believed = self.free_bytes / (1 + MARGIN) - self.calibration.gap_bytes
            ratio = max(believed / (RETREAT * self._burst_bytes), self.calibration.ratio)
            self.calibration = msgspec.structs.replace(self.calibration, ratio=ratio)

    def _next_unknown(self, known: MemoryClassTrials) -> int:
        return next((micro for micro in self._sizes if micro > known.held), self._sizes[-1])

    def _along(self, key: bytes, micro: int) -> int | None:
        """On the line through the smallest and the largest micro-batch measured; None before there are two.

        A micro-batch of one has no padding and so a smaller peak, which makes the line steeper than it is.
        """
        peaks = self._known[key].peaks
        if len(peaks) < 2:
            return None
        first, last = min(peaks), max(peaks)
        if micro > REACH * last:
            return self.free_bytes  # with the margin it does not fit
        slope = max((peaks[last] - peaks[first]) / (last - first), 0.0)
        return round(peaks[last] + slope * (micro - last))
