"""How float32 is multiplied: as `train.tf32` says for the length of a trial, and afterwards as it was before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from speedtui.engine.config.settings import Settings
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.workload.float32 import float32_now, float32_precision, kept_float32, set_elsewhere
from tests.engine.workload.small import LLAMA, changed, load, make_trainer, settings_of
from tests.simulated_cuda import simulated_cuda

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
BACKENDS: Any = torch.backends


@pytest.fixture(autouse=True)
def as_torch_has_it() -> Iterator[None]:
    with kept_float32():
        yield


def by_the_older_name(on: bool) -> None:
    BACKENDS.cuda.matmul.allow_tf32 = on


def by_the_newer_name(on: bool) -> None:
    BACKENDS.cuda.matmul.fp32_precision = "tf32" if on else "ieee"


def for_everything(on: bool) -> None:
    BACKENDS.cuda.matmul.fp32_precision = "none"  # which follows it
    BACKENDS.fp32_precision = "tf32" if on else "ieee"


def by_precision(on: bool) -> None:
    torch.set_float32_matmul_precision("high" if on else "highest")


WAYS = [by_the_older_name, by_precision]
if hasattr(BACKENDS, "fp32_precision"):
    WAYS += [by_the_newer_name, for_everything]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("tf32", [False, True])
def test_it_is_as_asked_for_inside_and_afterwards_as_it_was_whoever_sets_what(
    way: Any, before: bool, inside: bool, tf32: bool
) -> None:
    way(before)
    was = float32_now()
    assert was.matrices is before
    with float32_precision(CUDA, tf32=tf32):
        assert float32_now().matrices is tf32
        assert torch.backends.cuda.matmul.allow_tf32 is tf32, "torch's compiler reads it by both names"
        assert not tf32 or float32_now().convolutions
        with kept_float32():
            way(inside)
        assert float32_now().matrices is tf32
    assert float32_now() == was


def test_on_the_cpu_nothing_is_set() -> None:
    by_the_older_name(True)
    with float32_precision(CPU, tf32=False):
        assert float32_now().matrices
    assert not set_elsewhere(CPU, tf32=False)
    assert set_elsewhere(CUDA, tf32=False) and not set_elsewhere(CUDA, tf32=True)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    train = tmp_path_factory.mktemp("float32") / "train.jsonl"
    train.write_text('{"question": "one and two", "answer": "three"}\n' * 8)
    return settings_of(train, model={"architecture": LLAMA}, max_steps=2)


def test_what_is_compiled_does_not_turn_tf32_on_for_what_comes_after_it(settings: Settings, tmp_path: Path) -> None:
    """transformers does so with its arguments, accelerate with its state."""
    compiled = changed(settings, "train", compile=True)
    with simulated_cuda(capability=(9, 0)):
        was = float32_now()
        assert training_arguments(compiled, tmp_path, CUDA).torch_compile
        assert float32_now() == was
        make_trainer(compiled, load(settings), tmp_path, device=CUDA)
        assert float32_now() == was
    assert not was.matrices
