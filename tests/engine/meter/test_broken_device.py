"""What a meter has put in place comes off a device that is broken, or says what broke it."""

from __future__ import annotations

import pytest
import torch

from speedtui.engine.meter.device import device_clock
from speedtui.engine.meter.limit import CudaLimit
from speedtui.engine.meter.phases import INDEX
from tests.simulated_cuda import GIB, SimulatedCuda

GPU = torch.device("cuda", 0)


def test_a_limit_on_a_broken_device_hides_nothing_of_what_broke_it(cuda: SimulatedCuda) -> None:
    with pytest.raises(ValueError, match="what broke it"):
        _break_within_a_limit(cuda, ValueError("what broke it"))
    cuda.fault = None
    with pytest.raises(RuntimeError, match="misaligned address"):  # nobody has told it yet
        _break_within_a_limit(cuda, None)


def _break_within_a_limit(cuda: SimulatedCuda, error: Exception | None) -> None:
    with CudaLimit(GIB, GPU):
        assert cuda.limit_bytes == GIB
        cuda.poison("cudaErrorMisalignedAddress")
        if error is not None:
            raise error


def test_between_two_marks_there_is_nothing_before_the_second(cuda: SimulatedCuda) -> None:
    clock = device_clock(GPU)
    assert clock is not None
    clock.mark(INDEX["forward"])
    assert clock.resolve(clock.cut()) == []
    clock.mark(INDEX["backward"])
    clock.synchronize()
    (pair,) = clock.resolve(clock.cut()) or []
    assert pair[0] == INDEX["forward"] and pair[1] >= 0
