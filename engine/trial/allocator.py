"""What the CUDA allocator had to do for the steps of a probe."""

from __future__ import annotations

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.meter.memory import allocator_peaks, reset_peaks
from speedtui.engine.trial.failures import TrialEnded


class AllocatorWatch:
    """Its peaks, and whether it found room, from the making of this on."""

    def __init__(self) -> None:
        self._retries = reset_peaks()

    def peaks(self) -> tuple[int, int]:
        """(peak allocated bytes, peak reserved bytes).

        Raises:
            TrialEnded: it had to give back its cache. A training that only fits so waits for the device each time, and
                runs out of memory when lengths come in a less happy order.
        """
        allocated, reserved, retries = allocator_peaks()
        if retries > self._retries:
            raise TrialEnded(TrialStatus.OUT_OF_MEMORY, "the allocator had to give back its cache to find room")
        return allocated, reserved
