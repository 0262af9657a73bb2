"""When a device computed: the kernels that a profile shows, billed to the phases that launched them."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from speedtui.engine.events import PHASES, STEP_PHASES

BETWEEN = -1
"""In the place of a phase: between two steps, where nothing is billed."""

Boundary = tuple[int, int]
"""(nanoseconds, index of the phase that begins then, or BETWEEN)."""


class DeviceActivity(NamedTuple):
    """Something that the device did: a kernel, a copy, a fill. Nanoseconds, all on one clock."""

    launched: int
    """When the CPU asked for it, which is what tells the phase: the device comes to it later."""
    begin: int
    end: int


def busy_ns(kernels: Iterable[DeviceActivity], boundaries: Sequence[Boundary]) -> dict[int, int]:
    """Nanoseconds in which the device did something, by the index of the phase that asked for it.

    `boundaries`: in order of time, the last one BETWEEN. A moment in which several kernels ran, on streams of their
    own, counts once and for the one that began first, so that the phases add up to no more than the time that passed.
    """
    begins = [moment for moment, _ in boundaries]
    busy: dict[int, int] = defaultdict(int)
    counted = None
    for kernel in sorted(kernels, key=lambda kernel: kernel.begin):
        begin = kernel.begin if counted is None else max(kernel.begin, counted)
        if kernel.end <= begin:
            continue
        counted = kernel.end
        place = bisect_right(begins, kernel.launched) - 1
        phase = boundaries[place][1] if place >= 0 else BETWEEN
        if phase != BETWEEN:
            busy[phase] += kernel.end - begin
    return dict(busy)


def busy_seconds(busy: Mapping[int, int], phases: Mapping[str, float]) -> dict[str, float]:
    """Seconds by name of a step's phases, those of no phase of a step as other.

    Never more than the phase took: the two come from clocks that agree to microseconds.
    """
    seconds = dict.fromkeys(STEP_PHASES, 0.0)
    for index, nanoseconds in busy.items():
        name = PHASES[index]
        seconds[name if name in seconds else "other"] += nanoseconds / 1e9
    return {name: min(value, phases.get(name, 0.0)) for name, value in seconds.items()}
