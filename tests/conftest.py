"""What every test needs: one thread a process, no network, no traces in the user's folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.simulated_cuda import SimulatedCuda

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"


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
