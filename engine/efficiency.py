"""How well a device was used: what it was like meanwhile, and the model's arithmetic beside what it could do."""

from __future__ import annotations

import msgspec


class DeviceConditions(msgspec.Struct, frozen=True, kw_only=True):
    """How a device was while it was measured, by the driver's readings once a second. None where none told it."""

    readings: int
    """How many it rests on."""
    sm_clock_mhz: float | None = None
    """Median."""
    lowest_sm_clock_mhz: int | None = None
    highest_celsius: float | None = None
    power_watts: float | None = None
    """Median."""
    throttled_fraction: float | None = None
    """Share of the readings in which heat, a hardware slowdown or a power brake held it back."""
    power_capped_fraction: float | None = None
    """Share in which its power limit did, which is usual at full load."""


class ModelFlops(msgspec.Struct, frozen=True, kw_only=True):
    """Floating-point operations of a model's forward and backward pass, and what its device can do.

    Counted from the matrix products of a real row: of frozen weights only the products that are made, and nothing
    that is only recomputed. An attention's is counted whole, causal or not, as in PaLM (arXiv:2204.02311, appendix B).
    """

    per_sample: float
    """Of a mean row of the training data."""
    per_token: float | None = None
    """Of its tokens, padding left out; None where tokens are not known."""
    peak: float | None = None
    """Floating-point operations a second that the device can do at most, dense; None where it is not known."""
    precision: str = ""
    """What `peak` is of: bfloat16, float16, tf32 or float32; empty where the weights are in several formats."""

    def per_second(self, tokens_per_second: float | None, samples_per_second: float | None) -> float | None:
        """At a rate of work; by the tokens where they are known, since lengths vary."""
        if self.per_token is not None and tokens_per_second is not None:
            return self.per_token * tokens_per_second
        return None if samples_per_second is None else self.per_sample * samples_per_second

    def utilization(self, tokens_per_second: float | None, samples_per_second: float | None) -> float | None:
        """MFU: the share of the device's peak that the model's arithmetic comes to; None without a peak or a rate."""
        rate = self.per_second(tokens_per_second, samples_per_second)
        return None if rate is None or not self.peak else rate / self.peak
