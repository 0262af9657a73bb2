"""What a predicted peak means, in words."""

from __future__ import annotations

from speedtui.engine.memory.surface import MARGIN, Calibration, MemorySurface
from speedtui.engine.units import format_share, format_size


def why_not(
    surface: MemorySurface,
    micro_batch_size: int,
    free_bytes: int,
    calibration: Calibration,
    *,
    accumulates: bool = True,
) -> str:
    """Such as `predicted 26.1 GiB > 23.2 GiB free`; empty where it fits."""
    predicted = surface.peak_bytes(micro_batch_size, accumulates=accumulates)
    if calibration.fits(predicted, free_bytes):
        return ""
    expected = calibration.expected_bytes(predicted)
    margin = "" if expected > free_bytes else f" and {format_share(MARGIN)} margin"
    return f"predicted {format_size(expected)}{margin} > {format_size(free_bytes)} free"
