"""What a search may count on before a worker, and with it torch, is started; on a Jetson, or in a container without
NVML, by CUDA's own driver library."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path

from speedtui.engine.config.capability import Capability
from speedtui.engine.events import Device
from speedtui.engine.hardware.limits import usable_memory_bytes
from speedtui.engine.hardware.nvml import NvmlReader

CPU_INFO = Path("/proc/cpuinfo")
"""Where Linux names the processor."""


def describe_devices() -> list[Device]:
    """The visible GPUs, or the CPU where there is none: then memory is what a process of this machine may use."""
    reader = NvmlReader()
    try:
        return visible_gpus(reader) or [cpu_device()]
    finally:
        reader.close()


def visible_gpus(reader: NvmlReader) -> list[Device]:
    """Those that jobs see: by NVML or, where it does not answer, by CUDA's own driver library."""
    return reader.devices() or (cuda_devices() if reader.driver_version is None else [])


def first_gpu() -> tuple[str, Capability | None] | None:
    """(name, CUDA's compute capability or None where it is not told) of the first visible GPU; None without one."""
    first = describe_devices()[0]
    return (first.name, first.capability) if first.kind == "cuda" else None


def device_memory_bytes() -> int:
    """Memory that a search may size its candidates by: the first device's, else the host's.

    A GPU without memory of its own, which shares the host's, counts as the host.
    """
    return describe_devices()[0].memory_bytes or usable_memory_bytes()


def cpu_device() -> Device:
    """The processor as a device."""
    return Device(index=0, kind="cpu", name=processor_name(), memory_bytes=usable_memory_bytes())


def processor_name() -> str:
    """Such as `AMD EPYC 7763 64-Core Processor`; the architecture where the system does not name it."""
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next((name for name in names if name), platform.machine() or "CPU")


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
