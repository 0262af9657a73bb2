"""CUDA's own driver library, asked for devices where NVML cannot be: on a Jetson, or in a container without it."""

from __future__ import annotations

import ctypes

from speedtui.engine.config.capability import Capability
from speedtui.engine.events import Device

LIBRARY = "libcuda.so.1"
NAME_BYTES = 256
CAPABILITY = (75, 76)
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""


def cuda_devices() -> list[Device]:
    """The visible devices, in torch's order; empty where there is no library or it does not answer.

    It makes no context: what CUDA programs take of a device by being there is not taken.
    """
    try:
        cuda = ctypes.CDLL(LIBRARY)
        count = ctypes.c_int()
        if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
            return []
        return [_device(cuda, index) for index in range(count.value)]
    except (OSError, AttributeError):
        return []


def _device(cuda: ctypes.CDLL, index: int) -> Device:
    name, size, handle = ctypes.create_string_buffer(NAME_BYTES), ctypes.c_size_t(), ctypes.c_int()
    known = cuda.cuDeviceGet(ctypes.byref(handle), index) == 0
    named = known and cuda.cuDeviceGetName(name, NAME_BYTES, handle) == 0
    sized = known and cuda.cuDeviceTotalMem_v2(ctypes.byref(size), handle) == 0
    return Device(
        index=index, kind="cuda", name=name.value.decode("utf-8", "replace") if named else "NVIDIA GPU",
        memory_bytes=size.value if sized else None, capability=_capability(cuda, handle) if known else None,
    )  # fmt: skip


def _capability(cuda: ctypes.CDLL, handle: ctypes.c_int) -> Capability | None:
    major, minor = ctypes.c_int(), ctypes.c_int()
    asked = zip((major, minor), CAPABILITY, strict=True)
    if any(cuda.cuDeviceGetAttribute(ctypes.byref(number), name, handle) for number, name in asked):
        return None
    return major.value, minor.value
