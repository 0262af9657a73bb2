"""What every test needs: one thread a process, no network, modules compiled once, no traces in the user's folders."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.simulated_cuda import SimulatedCuda

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
# A few hundred processes are started that import the same modules: without bytecode each compiles them all anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only the slow ones are run, only files that have some are imported."""
    asked = config.option.markexpr == "slow" and collection_path.match("test_*.py")
    return True if asked and "mark.slow" not in collection_path.read_text() else None


LONGEST = ("test_gpu_check.py", "test_terminal.py", "test_gsm8k.py")
"""Files of a minute and more by themselves, of which one at the end would leave the other cores without work."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the longest files."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """All that was imported stays: else each of the many collections of a test walks through all of torch."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def imports_are_no_garbage() -> None:
    """Once more where the job of another file has let go of it, as one does that loads another model."""
    if gc.get_freeze_count() == 0:
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokens, tokenizers and the demo's material are made once a session, below a temporary folder."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def folders_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    """History and profiles of the tests' own."""
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))


@pytest.fixture
def cuda() -> Iterator[SimulatedCuda]:
    """`cuda:0` is simulated for the length of the test: see tests/simulated_cuda."""
    from tests.simulated_cuda import simulated_cuda  # with it comes torch

    with simulated_cuda() as device:
        yield device
