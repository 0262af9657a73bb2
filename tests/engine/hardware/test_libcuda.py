"""A GPU whose driver has no NVML is still told as what it is, with its memory."""

from __future__ import annotations

import ctypes.util
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.units import GIB
from tests.engine.hardware.conftest import run_reader

SOURCE = Path(__file__).parent / "libcuda_stand_in.c"
Reading = Callable[..., dict[str, Any]]


@pytest.fixture
def read_without_nvml(tmp_path: Path) -> Reading:
    """Reads the devices in a new process, where CUDA's library is the stand-in and NVML's is none."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")

    def read(*macros: str) -> dict[str, Any]:
        if ctypes.util.find_library("nvidia-ml"):
            (tmp_path / "libnvidia-ml.so.1").write_bytes(b"no library")
        command = [compiler, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-Wall", "-Werror"]
        command += ["-o", str(tmp_path / "libcuda.so.1"), str(SOURCE), *(f"-D{macro}" for macro in macros)]
        subprocess.run(command, check=True)
        return run_reader(tmp_path, {})

    return read


def test_a_device_without_nvml_has_its_name_memory_and_capability_and_no_readings(read_without_nvml: Reading) -> None:
    answer = read_without_nvml()
    assert answer["described"] == [
        {"index": 0, "kind": "cuda", "name": "Stand-in 139", "memory_bytes": 139 * GIB, "capability": [8, 7]}
    ]
    assert answer["memory"] == 139 * GIB
    assert answer["sample"] == []
    assert answer["notes"] == ["No NVIDIA device is seen: there is no NVIDIA driver library (libnvidia-ml.so.1)."]


def test_a_capability_that_is_not_told_is_unknown_and_the_device_is_there(read_without_nvml: Reading) -> None:
    (device,) = read_without_nvml("NO_ATTRIBUTES")["described"]
    assert (device["name"], device.get("capability")) == ("Stand-in 139", None)


def test_a_driver_without_a_device_leaves_the_cpu(read_without_nvml: Reading) -> None:
    assert read_without_nvml("NO_DEVICE")["described"][0]["kind"] == "cpu"
