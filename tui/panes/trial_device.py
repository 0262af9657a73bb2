"""How well a trial used its device, and how that was meanwhile."""

from __future__ import annotations

from speedtui.engine.candidate import Measurement
from speedtui.engine.efficiency import DeviceConditions
from speedtui.engine.units import format_flops, format_share
from speedtui.tui.drawing.text import Row, Span, row


def use_pieces(found: Measurement) -> list[Row]:
    """How idle it was, and how much of its peak the model's arithmetic came to; nothing on a CPU."""
    pieces = []
    if found.idle_fraction is not None:
        pieces.append(row(Span("idle ", "dim"), format_share(found.idle_fraction)))
    flops, mfu = found.flops, found.mfu
    if flops is not None and mfu is not None:
        pieces.append(row(Span("MFU ", "dim"), format_share(mfu)))
        pieces.append(row(Span(f"of {format_flops(flops.peak)} {flops.precision}", "dim")))
    elif flops is not None:
        rate = flops.per_second(found.tokens_per_second, found.samples_per_second)
        pieces.append(row(format_flops(rate), Span(", peak not known", "dim")))
    return pieces


def condition_pieces(seen: DeviceConditions | None) -> list[Row]:
    """What held it back, its clock, its heat; nothing where no reading fell into the steps."""
    pieces: list[Row] = []
    if seen is None:
        return pieces
    if seen.throttled_fraction:
        pieces.append(row(Span(f"! throttled {format_share(seen.throttled_fraction)} of the time", "warn")))
    if seen.sm_clock_mhz is not None:
        lowest = f", lowest {seen.lowest_sm_clock_mhz}" if seen.lowest_sm_clock_mhz != seen.sm_clock_mhz else ""
        pieces.append(row(f"SM {seen.sm_clock_mhz:.0f} MHz{lowest}"))
    if seen.highest_celsius is not None:
        pieces.append(row(f"{seen.highest_celsius:.0f} °C"))
    if seen.power_watts is not None:
        pieces.append(row(f"{seen.power_watts:.0f} W"))
    if seen.power_capped_fraction:
        pieces.append(row(Span(f"at its power limit {format_share(seen.power_capped_fraction)} of the time", "dim")))
    return pieces
