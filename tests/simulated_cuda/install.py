"""Puts the simulated device in the place of `torch.cuda`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # before it could take the simulated device for a real one

from tests.simulated_cuda.device import SimulatedCuda
from tests.simulated_cuda.modes import Allocations, Placement
from tests.simulated_cuda.timing import events_of

_present: list[SimulatedCuda] = []


def present() -> SimulatedCuda:
    """The device that is simulated now, for code that is given none, such as a recipe of a test."""
    return _present[-1]


@contextmanager
def simulated_cuda(device: SimulatedCuda | None = None, **facts: Any) -> Iterator[SimulatedCuda]:
    """`cuda:0` is simulated meanwhile, in this thread and in those that are started in it.

    `device`: the one to have; `facts`: of a new one, see `SimulatedCuda`.
    """
    device = device or SimulatedCuda(**facts)
    with ExitStack() as stack:
        stack.callback(_forget_the_device)
        for owner, name, stand_in in _stand_ins(device):
            stack.enter_context(mock.patch.object(owner, name, stand_in, create=True))
        _forget_the_device()
        stack.enter_context(Placement(device))
        stack.enter_context(Allocations(device))
        stack.callback(_present.pop)
        _present.append(device)
        yield device


def _stand_ins(device: SimulatedCuda) -> Iterator[tuple[Any, str, Any]]:
    """(where, name, what stands in); torch's own Python above these goes on being used."""
    stream, event = events_of(device)
    local = device.local
    functions: dict[str, Callable[..., Any]] = {
        "getDeviceCount": lambda: 1,
        "getDevice": lambda: 0,
        "setDevice": lambda index: device.check(),
        "exchangeDevice": lambda index: 0,
        "maybeExchangeDevice": lambda index: 0,
        "synchronize": device.synchronize,
        "memoryStats": lambda index: device.statistics(),
        "resetPeakMemoryStats": lambda index: device.reset_peaks(),
        "emptyCache": device.empty_cache,
        "clearCublasWorkspaces": device.clear_workspaces,
        "setMemoryFraction": lambda fraction, index: device.set_fraction(fraction),
        "getMemoryFraction": lambda index: device.fraction,
        "getCurrentRawStream": lambda index: local.stream,
        "getCurrentStream": lambda index: (local.stream, 0, 1),
        "getDefaultStream": lambda index: (0, 0, 1),
        "setStream": lambda stream_id, device_index, device_type: setattr(local, "stream", stream_id),
        "getArchFlags": lambda: f"sm_{device.properties.major}{device.properties.minor}",
    }
    for name, stand_in in functions.items():
        yield torch._C, f"_cuda_{name}", stand_in
    yield torch.cuda.graphs, "_cuda_isCurrentStreamCapturing", lambda: False
    yield torch.cuda, "_exchange_device", lambda index: 0
    yield torch.cuda, "_maybe_exchange_device", lambda index: 0
    yield torch.cuda, "_initialized", True
    yield torch.cuda, "_is_in_bad_fork", lambda: False  # a build for CUDA says so of every fork, which can use this one
    yield torch.cuda, "_cached_device_count", 1
    yield torch.cuda, "_cudart", SimpleNamespace(cudaMemGetInfo=lambda index: device.memory_info())
    yield torch.cuda, "_get_device_properties", lambda index: device.properties
    yield torch.cuda, "default_generators", (device.generator,)
    for module in (torch.cuda, torch.cuda.streams):
        yield module, "Stream", stream
        yield module, "Event", event
    yield torch.version, "cuda", "13.0"
    yield torch._C, "_accelerator_getAccelerator", lambda: torch.device("cuda")
    yield torch._C, "_accelerator_getDeviceIndex", lambda: 0
    yield torch._C, "_accelerator_setDeviceIndex", lambda index: None
    yield torch._C, "_accelerator_getStream", lambda index: stream(stream_id=local.stream)
    yield from _autocast()
    start = threading.Thread._bootstrap_inner  # type: ignore[attr-defined]

    def start_on_the_device(thread: threading.Thread) -> None:
        with Placement(device), Allocations(device):
            start(thread)

    yield threading.Thread, "_bootstrap_inner", start_on_the_device


def _autocast() -> Iterator[tuple[Any, str, Any]]:
    """Autocast of the device is the CPU's, which its tensors follow."""
    begin, enabled, dtype_of = torch.autocast.__init__, torch.is_autocast_enabled, torch.get_autocast_dtype

    def init(self: Any, device_type: str, dtype: torch.dtype | None = None, *args: Any, **kwargs: Any) -> None:
        on_device = device_type == "cuda"
        begin(self, "cpu" if on_device else device_type, dtype or dtype_of(device_type), *args, **kwargs)

    def of(device_type: str) -> str:
        return "cpu" if device_type == "cuda" and enabled("cpu") else device_type

    yield torch.autocast, "__init__", init
    yield torch, "is_autocast_enabled", lambda device_type="cuda": enabled(of(device_type))
    yield torch, "get_autocast_dtype", lambda device_type: dtype_of(of(device_type))


def _forget_the_device() -> None:
    """transformers and accelerate remember whether there is one."""
    for module in ("transformers.utils.import_utils", "transformers.utils.generic"):
        for value in list(vars(sys.modules[module]).values()) if module in sys.modules else ():
            if hasattr(value, "cache_clear") and "torch" in getattr(value, "__name__", ""):
                value.cache_clear()
    state = sys.modules.get("accelerate.state")
    if state is not None:
        state.AcceleratorState._reset_state(reset_partial_state=True)
