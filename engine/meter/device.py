"""The device's own clock: one event per phase boundary, resolved late, never a synchronization in a step."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import torch

PhaseMark = tuple[int, torch.cuda.Event]
"""(index of the phase that begins here, the event on the stream)"""


class DeviceClock(Protocol):
    """Marks boundaries on the device's stream while the CPU runs ahead."""

    def mark(self, phase: int) -> None:
        """A phase begins here in stream order."""

    def cut(self) -> list[PhaseMark]:
        """The marks since the last cut; the last one also opens the next list."""

    def resolve(self, marks: list[PhaseMark]) -> list[tuple[int, float]] | None:
        """(phase, seconds) between neighbouring marks; None while the device has not come that far."""

    def read(self, value: torch.Tensor) -> float:
        """A scalar whose step has resolved, without waiting for what was queued after it."""

    def synchronize(self) -> None:
        """Waits for the device."""


class CudaClock:
    """CUDA events from a pool, on the stream that is current where the clock is made."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.current_stream(device)  # looked up once: the lookup costs as much as the event
        self._reading = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._free: list[torch.cuda.Event] = []
        self._marks: list[PhaseMark] = []

    def mark(self, phase: int) -> None:
        """A phase begins here in stream order."""
        event = self._free.pop() if self._free else torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(self._stream)
        self._marks.append((phase, event))

    def cut(self) -> list[PhaseMark]:
        """The marks since the last cut; the last one also opens the next list."""
        marks = self._marks
        self._marks = marks[-1:]
        return marks

    def resolve(self, marks: list[PhaseMark]) -> list[tuple[int, float]] | None:
        """(phase, seconds) between neighbouring marks; None while the device has not come that far."""
        if len(marks) < 2:
            return []
        if not marks[-1][1].query():  # type: ignore[no-untyped-call]
            return None
        pairs = [(phase, begin.elapsed_time(end) / 1e3) for (phase, begin), (_, end) in pairwise(marks)]
        self._free.extend(event for _, event in marks[:-1])
        return pairs

    def read(self, value: torch.Tensor) -> float:
        """A scalar whose step has resolved, without waiting for what was queued after it."""
        with torch.cuda.stream(self._reading):
            return float(value)

    def synchronize(self) -> None:
        """Waits for the device."""
        torch.cuda.synchronize(self._device)


class Readings:
    """What a device tells of its steps, as long as it can tell anything.

    A broken one fails at every call: that is for whoever runs something on it to say, and not for who reads its times.
    """

    def __init__(self, clock: DeviceClock | None) -> None:
        """`clock`: None on the CPU."""
        self._clock = clock
        self.broken = False

    def pairs(self, marks: list[PhaseMark] | None) -> list[tuple[int, float]] | None:
        """(phase, seconds); None on the CPU, while the device has not come that far, and for good once it is broken."""
        if marks is None or self._clock is None or self.broken:
            return None
        try:
            return self._clock.resolve(marks)
        except RuntimeError:
            self.broken = True
            return None

    def value(self, value: torch.Tensor | None) -> float | None:
        """A scalar of a step that has resolved; None where there is none, or the device cannot tell it any more."""
        if value is None or self.broken:
            return None
        try:
            return float(value) if self._clock is None else self._clock.read(value)
        except RuntimeError:
            self.broken = True
            return None


def device_clock(device: torch.device) -> DeviceClock | None:
    """The clock of a device; None on the CPU, where the CPU clock is the device's."""
    return CudaClock(device) if device.type == "cuda" else None
