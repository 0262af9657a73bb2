"""What a trial's exception means, told without keeping the tensors its frames hold."""

from __future__ import annotations

import re
import traceback

import msgspec

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.meter.memory import allocator_peaks, reset_peaks
from speedtui.engine.output import warn_traceback
from speedtui.engine.units import format_size
from speedtui.engine.workload.failures import is_broken, is_out_of_memory, kind_and_first_line


class TrialEnded(Exception):
    """A trial is to end early with this status."""

    def __init__(self, status: TrialStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A status and its reason, and whether the process can be trusted with another trial."""

    status: TrialStatus
    reason: str
    poisoned: bool = False
    """By what the error says the device's context is broken: only a new worker can go on. See `why_broken`."""


def describe_failure(error: BaseException) -> Failure:
    """Classifies an exception, writes its traceback to worker.log and lets go of the tensors in its frames."""
    warn_traceback(error)
    failure = _classify(error)
    chain: BaseException | None = error
    while chain is not None:
        traceback.clear_frames(chain.__traceback__)
        chain = chain.__cause__ or chain.__context__
    return failure


def _classify(error: BaseException) -> Failure:
    if isinstance(error, TrialEnded):
        return Failure(status=error.status, reason=error.reason)
    if is_broken(error):
        return Failure(status=TrialStatus.FAILED, reason=kind_and_first_line(error), poisoned=True)
    if is_out_of_memory(error):
        return Failure(status=TrialStatus.OUT_OF_MEMORY, reason=_allocation(error))
    if isinstance(error, SpeedtuiError):
        return Failure(status=TrialStatus.FAILED, reason=error.message)
    return Failure(status=TrialStatus.FAILED, reason=kind_and_first_line(error))


def _allocation(error: BaseException) -> str:
    """How much was asked for, where the message says it."""
    text = str(error)
    cpu = re.search(r"you tried to allocate (\d+) bytes", text)
    cuda = re.search(r"Tried to allocate ([\d.]+ [KMG]iB)", text)
    if cpu:
        return f"no room for another {format_size(int(cpu[1]))}"
    return f"no room for another {cuda[1]}" if cuda else "no room for another allocation"


class AllocatorWatch:
    """The CUDA allocator's peaks, and whether it found room, from the making of this on."""

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
