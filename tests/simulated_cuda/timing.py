"""Streams and events of the simulated device."""

from __future__ import annotations

from itertools import count
from typing import Any

import torch

from tests.simulated_cuda.device import SimulatedCuda, cuda_error

NOT_READY = "device not ready"


def events_of(device: SimulatedCuda) -> tuple[type, type]:
    """(the class of its streams, that of its events)."""
    numbers = count(1)

    class Stream:
        """A queue of the device; all of them are one here."""

        def __init__(
            self, of: Any = None, priority: int = 0, *, stream_id: int | None = None, device_index: int = 0,
            device_type: int = 1, **others: Any,
        ) -> None:  # fmt: skip
            device.check()
            self.stream_id = next(numbers) if stream_id is None else stream_id
            self.device_index, self.device_type = device_index, device_type
            self.device = torch.device("cuda", device_index)

        def record_event(self, event: Any = None) -> Any:
            event = event or Event()
            event.record(self)
            return event

        def wait_event(self, event: Any) -> None:
            device.check()

        def wait_stream(self, stream: Any) -> None:
            device.check()

        def query(self) -> bool:
            return device.reached(device.now())

        def is_capturing(self) -> bool:
            return False

        def synchronize(self) -> None:
            device.synchronize()

    class Event:
        """A moment in the queue."""

        def __init__(self, enable_timing: bool = False, *others: Any, **more: Any) -> None:
            device.check()
            self._timed = enable_timing
            self._moment: float | None = None

        def record(self, stream: Any = None) -> None:
            self._moment = device.now()

        def wait(self, stream: Any = None) -> None:
            device.check()

        def query(self) -> bool:
            return self._moment is None or device.reached(self._moment)

        def elapsed_time(self, end: Any) -> float:
            """Milliseconds; as CUDA, only between events that are timed, recorded and done."""
            if not (self._timed and end._timed):
                raise ValueError("Both events must be created with argument 'enable_timing=True'.")
            if self._moment is None or end._moment is None:
                raise ValueError("Both events must be recorded before calculating elapsed time.")
            if not (self.query() and end.query()):
                raise cuda_error("cudaErrorNotReady", NOT_READY)
            return float(end._moment - self._moment) * 1e3

        def synchronize(self) -> None:
            device.synchronize()

    return Stream, Event
