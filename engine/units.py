"""Durations, sizes and rates: read from text, written for people.

Inside the engine a duration is float seconds, a size is int bytes and a share is a fraction.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence

KIB = 1024
MIB = 1024**2
GIB = 1024**3

MOST_SECONDS = 1e10
"""A bit more than 300 years: what is longer has no date at its end."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B", re.ASCII)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_duration(text: str) -> float:
    """Seconds in `90s`, `30m`, `12h` or `1h30m`.

    Raises:
        ValueError: the text is not a duration, or it is zero.
    """
    compact = text.strip().replace(" ", "")
    pieces = list(_DURATION.finditer(compact))
    if not pieces or "".join(piece.group() for piece in pieces) != compact:
        raise ValueError(f"expected a duration such as 90s, 30m or 12h, got {text!r}")
    seconds = sum(float(piece[1]) * _SECONDS[piece[2]] for piece in pieces)
    if not 0 < seconds < MOST_SECONDS:
        raise ValueError(f"expected a duration above zero{' and below 300 years' if seconds else ''}, got {text!r}")
    return seconds


def duration_text(seconds: int) -> str:
    """What `parse_duration` reads back: `450` is `7m30s`."""
    parts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def parse_size(text: str) -> int:
    """Bytes in `24GiB`, `800MiB` or `80GB` (a GB is 1000^3 bytes, a GiB 1024^3).

    Raises:
        ValueError: the text is not a size, or it is zero.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a size such as 24GiB or 800MiB, got {text!r}")
    base = 1024 if match[3] else 1000
    size = int(float(match[1]) * base ** _POWERS[match[2]])
    if size <= 0:
        raise ValueError(f"expected a size above zero, got {text!r}")
    return size


def format_size(size: int | None) -> str:
    """`1.5 GiB`, `820 MiB`; a dash where nothing was measured."""
    if size is None:
        return "–"
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def format_seconds(seconds: float | None) -> str:
    """A measured short time: `412 ms`, `9.4 ms`, `14.2 s`; longer ones as in `format_span`."""
    if seconds is None:
        return "–"
    if seconds < 0.000_1:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.01:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return format_span(seconds)


def format_span(seconds: float | None) -> str:
    """A stretch of time as people say it: `41s`, `5m 39s`, `2h 08m`, `3d 04h`."""
    if seconds is None:
        return "–"
    sign = "-" if seconds < 0 else ""
    whole = int(abs(seconds) + 0.5)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{sign}{days}d {hours:02d}h"
    if hours:
        return f"{sign}{hours}h {minutes:02d}m"
    if minutes:
        return f"{sign}{minutes}m {secs:02d}s"
    return f"{sign}{secs}s"


def format_rest(whole: float, part: float) -> str:
    """What is left of a stretch of time after a part of it: the difference of the two as `format_span` tells them, so
    that it agrees with them; by itself, rounded up, where they are told alike."""
    rest = _told(whole) - _told(part)
    return format_span(rest if rest > 0 else math.ceil(whole - part))


def _told(seconds: float) -> int:
    """The whole seconds of what `format_span` tells."""
    whole = int(seconds + 0.5)
    return whole - whole % (3600 if whole >= 86400 else 60 if whole >= 3600 else 1)


def format_budget(seconds: float | None) -> str:
    """A stretch of time that somebody gave: as in `format_span`, and `300 ms` below a second, which is not none."""
    return format_seconds(seconds) if seconds is not None and seconds < 1 else format_span(seconds)


def zone_beside(epoch: float, reference: float | None = None) -> str:
    """` CEST`, to stand behind a local time of day that is not of the reference's offset; with none, always.

    Both in seconds since the epoch. Empty where the clocks are not changed between the two.
    """
    moment = time.localtime(epoch)
    same = reference is not None and time.localtime(reference).tm_gmtoff == moment.tm_gmtoff
    return "" if same else f" {moment.tm_zone}"


def format_count(value: float | None) -> str:
    """A count or a rate in at most five characters: `21.4`, `940`, `39.8k`, `1.2M`; from a million millions on with an
    exponent."""
    if value is None:
        return "–"
    for limit, divisor, suffix in ((1000.0, 1.0, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M")):
        if abs(value) < limit * 0.9995:
            scaled = value / divisor
            exact = not suffix and scaled == int(scaled)
            return f"{scaled:.0f}{suffix}" if abs(scaled) >= 100 or exact else f"{scaled:.1f}{suffix}"
    return f"{value / 1e9:.1f}G" if abs(value) < 1e12 else format_figure(value)


def exponent_of(value: float) -> int:
    """Of the power of ten that a value other than zero begins with: 2 for 412."""
    return math.floor(math.log10(abs(value)) + 1e-12)


def format_figure(value: float | None) -> str:
    """A loss, a metric or a rate in four significant digits: `1.284`, `0.06234`, `412.3`, `4.013e38`, `1.000e-9`.

    It has an exponent from 10,000 on and below 0.001; a dash where nothing was measured.
    """
    if value is None:
        return "–"
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "not finite"
    mantissa, _, exponent = f"{value:.3e}".partition("e")
    power = int(exponent)
    return f"{value:.{3 - power}f}" if -3 <= power <= 3 else f"{mantissa}e{power}"


def format_ticks(values: Sequence[float], step: float) -> list[str]:
    """Neighbours on an axis that are `step` apart, all with as many digits as tell them apart."""
    largest = max((abs(value) for value in values), default=0.0)
    if not largest:
        return ["0"] * len(values)
    power, fine = exponent_of(largest), exponent_of(step)
    if fine >= -4 and power <= 4:
        return [f"{value:.{max(0, -fine)}f}" for value in values]
    scaled = [f"{value / 10.0**power:.{max(0, power - fine)}f}" for value in values]
    return ["0" if not value else f"{text}e{power}" for value, text in zip(values, scaled, strict=True)]


def format_flops(per_second: float | None) -> str:
    """Floating-point operations a second: `989 TFLOP/s`, `8.1 TFLOP/s`; a dash where they are not known."""
    if per_second is None:
        return "–"
    for divisor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G")):
        if per_second >= divisor or prefix == "G":
            scaled = per_second / divisor
            return f"{scaled:.0f} {prefix}FLOP/s" if scaled >= 100 else f"{scaled:.1f} {prefix}FLOP/s"
    return "–"


def format_share(fraction: float | None) -> str:
    """`41 %` for 0.41; a dash where nothing was measured."""
    return "–" if fraction is None else f"{fraction * 100:.0f} %"


def plural(count: int, noun: str) -> str:
    """`1 stall`, `3 stalls`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def length_words(
    longest: int | None, mean: float | None, longest_target: int | None = None, mean_target: float | None = None
) -> str:
    """Lengths of samples in tokens: `longest 1187, mean 310`; of pairs, sources and targets each for themselves.

    `mean`: of a sample, source and target together; `longest`: of a sample, of pairs the longest source. Empty where
    the longest is not known.
    """
    if longest is None:
        return ""
    if longest_target is None:
        return f"longest {longest}" + (f", mean {mean:.0f}" if mean is not None else "")
    source = mean - mean_target if mean is not None and mean_target is not None else None
    return f"sources {length_words(longest, source)}; targets {length_words(longest_target, mean_target)}"
