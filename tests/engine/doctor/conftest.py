from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

NVML, CUDA = (Path(__file__).parent.parent / "hardware" / f"{name}_stand_in.c" for name in ("nvml", "libcuda"))
EXAMINE = """
import sys
from pathlib import Path
import msgspec
from speedtui.engine.doctor import run_checks
sys.stdout.buffer.write(msgspec.json.encode(run_checks(Path(sys.argv[1]))))
if "torch" in sys.modules:
    sys.exit("torch was imported")
"""

Row = dict[str, str]
Examine = Callable[..., dict[str, Row]]


@pytest.fixture(scope="session")
def two_devices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stand-in for the driver library that has two devices."""
    return _built(NVML, tmp_path_factory.mktemp("driver") / "libnvidia-ml.so.1")


@pytest.fixture(scope="session")
def unread_device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with CUDA's own library in its place, which has one device."""
    return _built(CUDA, tmp_path_factory.mktemp("cuda") / "libcuda.so.1")


def _built(source: Path, library: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return library.parent


@pytest.fixture
def examine(tmp_path: Path) -> Examine:
    """Runs all checks in a new process without a terminal, with some variables set; gives them by name."""

    def run(runs: Path | None = None, without: tuple[str, ...] = (), **variables: str) -> dict[str, Row]:
        environment = {name: value for name, value in os.environ.items() if name not in without} | variables
        command = [sys.executable, "-c", EXAMINE, str(runs or tmp_path / "runs")]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        return {row["name"]: row for row in json.loads(done.stdout)}

    return run
