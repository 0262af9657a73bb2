from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parent / "nvml_stand_in.c"
READ = """
import json, msgspec, sys
from speedtui.engine.hardware.available import describe_devices, device_memory_bytes
from speedtui.engine.hardware.nvml import NvmlReader
reader = NvmlReader()
plain = msgspec.to_builtins
answer = {"first_notes": plain(reader.notes), "devices": plain(reader.devices()), "sample": plain(reader.sample())}
answer |= {"again": plain(reader.sample()), "notes": plain(reader.notes), "hidden": reader.hidden}
answer |= {"driver": reader.driver_version, "cuda": reader.cuda_version}
reader.close()
answer |= {"after_close": plain(reader.sample()), "described": plain(describe_devices())}
answer |= {"memory": device_memory_bytes(), "torch": "torch" in sys.modules}
print(json.dumps(answer))
"""

Reading = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def driver_library(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compiles the stand-in with some macros; gives the folder for LD_LIBRARY_PATH."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    built: dict[tuple[str, ...], Path] = {}

    def build(*macros: str) -> Path:
        if macros not in built:
            folder = tmp_path_factory.mktemp("driver")
            command = [compiler, "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", "-Wall", "-Werror"]
            command += ["-o", str(folder / "libnvidia-ml.so.1"), str(SOURCE), *(f"-D{macro}" for macro in macros)]
            subprocess.run(command, check=True)
            built[macros] = folder
        return built[macros]

    return build


@pytest.fixture
def read_devices(driver_library: Callable[..., Path]) -> Reading:
    """Reads the devices in a new process, where the real pynvml loads the stand-in."""

    def read(*macros: str, **variables: str) -> dict[str, Any]:
        return run_reader(driver_library(*macros), variables)

    return read


@pytest.fixture
def read_without_driver(tmp_path: Path) -> Reading:
    """The same on a machine without NVIDIA's library."""
    if ctypes.util.find_library("nvidia-ml"):  # this machine has one: a file that cannot be loaded takes its place
        (tmp_path / "libnvidia-ml.so.1").write_bytes(b"no library")
    return lambda: run_reader(tmp_path, {})


def run_reader(library_folder: Path, variables: dict[str, str]) -> dict[str, Any]:
    hidden = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"LD_LIBRARY_PATH": str(library_folder), **variables}
    done = subprocess.run([sys.executable, "-c", READ], env=environment, capture_output=True, text=True, check=True)
    return {**json.loads(done.stdout), "stderr": done.stderr}
