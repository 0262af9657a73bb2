"""Trials on a simulated CUDA device: masks, the worst micro-batch, the allocator over lengths, compiling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import ModelSettings, SearchSettings
from speedtui.engine.events import Notice, StepCompleted
from speedtui.engine.log.tail import read_events
from speedtui.engine.trainer.cudnn_attention import choose
from speedtui.engine.trial.runner import TrialRunner
from tests.engine.session.conftest import TINY
from tests.engine.trainer.test_cudnn_attention import Scripted
from tests.engine.trial.conftest import NewRunner, attempt
from tests.engine.workload.small import changed
from tests.simulated_cuda import GIB, SimulatedCuda, simulated_cuda

pytestmark = pytest.mark.slow

CUDA = torch.device("cuda", 0)
GROUPED = ModelSettings(architecture={**TINY, "num_key_value_heads": 1})
MIB = 1 << 20
WITHOUT = "attention runs without a mask"


@pytest.fixture
def cuda() -> Iterator[SimulatedCuda]:
    with simulated_cuda() as device:
        yield device


@pytest.fixture
def on_cuda(cuda: SimulatedCuda, new_runner: NewRunner) -> Callable[..., TrialRunner]:
    short = SearchSettings(batches=4)
    return lambda *args, **sections: TrialRunner(new_runner(*args, search=short, **sections).context, CUDA)


def events_of(runner: TrialRunner) -> list[Any]:
    runner.context.log.flush()
    return list(read_events(runner.context.folder.events))


def memory_steps(runner: TrialRunner) -> list[StepCompleted]:
    return [e for e in events_of(runner) if isinstance(e, StepCompleted) and e.probe == "memory"]


def told(runner: TrialRunner, text: str) -> list[Notice]:
    return [event for event in events_of(runner) if isinstance(event, Notice) and event.text.startswith(text)]


@pytest.mark.parametrize("micro", [1, 4])
def test_where_a_mask_decides_on_the_kernel_padding_and_none_are_stressed(
    on_cuda: Callable[..., TrialRunner], micro: int
) -> None:
    """float32 with grouped heads: without a mask no kernel takes it, and all scores are kept."""
    runner = on_cuda(model=GROUPED)
    result = attempt(runner, micro_batch_size=micro)
    assert result.status is TrialStatus.OK, result.reason
    padded = [step.padding_tokens for step in memory_steps(runner)]
    assert padded == ([0, 0] if micro == 1 else [2, 2, 0])  # a pad token in each of two micro-batches
    assert not told(runner, WITHOUT)


def test_without_a_mask_there_is_one_kind_of_micro_batch_and_it_is_told_once(
    on_cuda: Callable[..., TrialRunner],
) -> None:
    runner = on_cuda(model=GROUPED)
    for number in range(2):
        result = attempt(runner, number, micro_batch_size=4, bf16=True)
        assert result.status is TrialStatus.OK, result.reason
    assert [step.padding_tokens for step in memory_steps(runner)] == [2, 2] * 2
    assert len(told(runner, WITHOUT)) == 1
    assert runner.without_mask(runner.context.settings) is False  # the run's own settings are float32


def fragmenting(cuda: SimulatedCuda, size: int, *, after_resets: int) -> None:
    """Leaves so many bytes of what is reserved in pieces, once the peaks have been reset so often."""
    resets = [0]
    reset = cuda.reset_peaks

    def counted() -> None:
        resets[0] += 1
        reset()

    def fragment(operator: Any) -> None:
        if resets[0] >= after_resets:
            cuda.fragmented_bytes, cuda.fraction = size, 1.0  # a limit is for the memory probe

    cuda.reset_peaks, cuda.on_operation = counted, fragment  # type: ignore[method-assign]


def test_what_lengths_that_vary_have_reserved_counts_and_has_to_fit(
    cuda: SimulatedCuda, on_cuda: Callable[..., TrialRunner]
) -> None:
    runner = on_cuda(256 * MIB)
    plain = attempt(runner, 0, micro_batch_size=4)
    fragmenting(cuda, 64 * MIB, after_resets=3)
    more = attempt(runner, 1, micro_batch_size=4)
    fragmenting(cuda, 300 * MIB, after_resets=3)
    over = attempt(runner, 2, micro_batch_size=4)
    assert [result.status for result in (plain, more)] == [TrialStatus.OK] * 2
    assert plain.memory is not None and more.memory is not None
    before, after = plain.memory.peak_reserved_bytes, more.memory.peak_reserved_bytes
    assert before is not None and after is not None and after > before + 60 * MIB
    assert more.memory.peak_allocated_bytes == plain.memory.peak_allocated_bytes
    assert over.status is TrialStatus.OUT_OF_MEMORY
    assert "is over the limit of 256 MiB" in over.reason
    assert over.measurement is None and over.curve is None


def test_a_cache_that_has_to_be_given_back_over_lengths_that_vary_is_out_of_memory(
    cuda: SimulatedCuda, on_cuda: Callable[..., TrialRunner]
) -> None:
    runner = on_cuda()
    fragmenting(cuda, 8 * GIB - 4 * MIB, after_resets=3)
    result = attempt(runner, micro_batch_size=4)
    assert result.status is TrialStatus.OUT_OF_MEMORY
    assert result.reason == "the allocator had to give back its cache to find room"
    assert result.measurement is None and result.curve is None
    assert result.memory is not None and result.memory.peak_reserved_bytes is not None  # of the longest
    cuda.on_operation = None
    assert attempt(runner, 1, micro_batch_size=4).status is TrialStatus.OK


def test_each_compiled_trial_is_compiled_from_nothing(
    on_cuda: Callable[..., TrialRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the training's own process will. Nothing is compiled here: the simulated device cannot be traced."""
    resets: list[int] = []
    runner = on_cuda()
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(len(memory_steps(runner))))
    attempt(runner, 0, micro_batch_size=4)
    for number in (1, 2):
        attempt(runner, number, micro_batch_size=4, compile=True)
    assert resets == [2, 4]  # before the first step of each that is compiled


def test_cudnn_is_off_in_the_steps_of_a_trial_where_its_plans_cost_more_and_back_afterwards(
    cuda: SimulatedCuda, on_cuda: Callable[..., TrialRunner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch, "_fused_sdp_choice", lambda *args, **kwargs: SDPBackend.CUDNN_ATTENTION.value)
    runner = on_cuda()
    workload = runner.load(runner.context.settings)
    half = changed(runner.context.settings, "train", bf16=True)
    chosen = choose(workload.model, workload, half, CUDA, Scripted(plan=1.0, cudnn=1e-3, other=1.1e-3))
    assert chosen is not None and not chosen.cudnn  # what was measured is kept for this device
    enabled: set[bool] = set()
    cuda.on_operation = lambda operator: enabled.add(torch.backends.cuda.cudnn_sdp_enabled())
    before = torch.backends.cuda.cudnn_sdp_enabled()
    assert attempt(runner, 0, micro_batch_size=4).status is TrialStatus.OK
    assert enabled == {before}  # in float32 cuDNN is not asked
    enabled.clear()
    assert attempt(runner, 1, micro_batch_size=4, bf16=True).status is TrialStatus.OK
    assert False in enabled
    assert torch.backends.cuda.cudnn_sdp_enabled() is before
    assert len(told(runner, "cuDNN's attention is off: a plan takes it 1000 ms")) == 1
