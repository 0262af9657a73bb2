"""A driver library or a binding that answers otherwise than it should costs the value that was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from speedtui.engine.hardware.driver import Driver, DriverError, MissingFunction, Notes
from speedtui.engine.hardware.gpu import Gpu
from speedtui.engine.hardware.nvml import NvmlReader
from speedtui.engine.units import GIB

Binding = Callable[..., Any]
NOT_SUPPORTED, LOST, UNKNOWN = 3, 15, 999
"""NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_GPU_IS_LOST, NVML_ERROR_UNKNOWN."""


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


class FunctionNotFound(NVMLError):
    pass


class LibraryNotFound(NVMLError):
    pass


class NotSupported(NVMLError):
    pass


def fails(value: int) -> Callable[..., Any]:
    def call(*arguments: object) -> Any:
        raise NotSupported(value) if value == NOT_SUPPORTED else NVMLError(value)

    return call


@pytest.fixture
def binding(monkeypatch: pytest.MonkeyPatch) -> Binding:
    """A pynvml of one device; what is given takes the place of its functions."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def made(**functions: Callable[..., Any]) -> None:
        module: Any = ModuleType("pynvml")
        module.NVMLError, module.NVMLError_FunctionNotFound = NVMLError, FunctionNotFound
        module.NVMLError_LibraryNotFound, module.NVMLError_NotSupported = LibraryNotFound, NotSupported
        answers: dict[str, Callable[..., Any]] = {
            "nvmlInit": lambda: None, "nvmlShutdown": lambda: None, "nvmlDeviceGetCount": lambda: 1,
            "nvmlDeviceGetHandleByIndex": lambda index: "handle", "nvmlDeviceGetName": lambda handle: b"Odd GPU",
            "nvmlDeviceGetUUID": lambda handle: "GPU-1", "nvmlSystemGetDriverVersion": lambda: "999",
            "nvmlDeviceGetMemoryInfo": lambda handle, *version: SimpleNamespace(used=GIB, total=8 * GIB, reserved=0),
            "nvmlDeviceGetCudaComputeCapability": lambda handle: (9, 0),
        }  # fmt: skip
        vars(module).update(answers | functions)
        monkeypatch.setitem(sys.modules, "pynvml", module)

    return made


def test_without_the_binding_there_is_no_driver_and_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(DriverError, match="the package nvidia-ml-py is not installed"):
        Driver()
    assert NvmlReader().devices() == []


def test_a_binding_or_a_struct_of_another_version_costs_one_call(binding: Binding) -> None:
    binding(nvmlDeviceGetPowerUsage=lambda handle: 1 / 0)
    driver = Driver()
    with pytest.raises(MissingFunction, match="this version of nvidia-ml-py has no function for it"):
        driver.call("nvmlDeviceGetTemperatureV", "handle")
    with pytest.raises(DriverError, match="ZeroDivisionError"):
        driver.call("nvmlDeviceGetPowerUsage", "handle")


def test_what_fails_is_none_and_noted_for_its_device_and_the_rest_is_there(binding: Binding) -> None:
    binding(
        nvmlDeviceGetCudaComputeCapability=fails(NOT_SUPPORTED), nvmlDeviceGetUtilizationRates=fails(UNKNOWN),
        nvmlDeviceGetMigMode=lambda handle: (1, 1),
    )  # fmt: skip
    reader = NvmlReader()
    (device,), (sample,) = reader.devices(), reader.sample()
    assert (device.name, device.memory_bytes, device.capability) == ("Odd GPU", 8 * GIB, None)
    assert (sample.utilization, sample.memory_used_bytes, bool(sample.lost)) == (None, GIB, False)
    assert f"Utilization of GPU 0: error {UNKNOWN}." in reader.notes
    assert "GPU 0 is split by MIG: readings are of the whole device, not of a slice." in reader.notes


def test_a_device_that_is_lost_while_it_is_looked_at_is_there_and_says_so(binding: Binding) -> None:
    binding(nvmlDeviceGetUUID=fails(LOST))
    reader = NvmlReader()
    assert [device.name for device in reader.devices()] == ["Odd GPU"]
    binding(nvmlDeviceGetName=fails(LOST), nvmlDeviceGetTemperatureV=fails(LOST))
    gpu = Gpu(Driver(), Notes(), 0, "handle")
    assert gpu.name == "NVIDIA GPU"
    assert gpu.sample().lost == f"error {LOST}"
