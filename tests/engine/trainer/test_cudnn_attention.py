"""cuDNN computes attention where its plans for the run's lengths cost less than its calls save."""

from __future__ import annotations

import dataclasses
import itertools
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from speedtui.engine.trainer.cudnn_attention import (
    LENGTHS,
    AttentionTimes,
    CudaKernels,
    CudnnChoice,
    Heads,
    KernelTimes,
    RunLengths,
    choose,
    cudnn_attention,
    heads_of,
    measure,
    pays,
    run_lengths,
)
from tests.engine.trainer.kinds import Kind, make, of_text
from tests.engine.workload.small import LLAMA, changed

CUDA = torch.device("cuda", 0)
MILLISECOND = 1e-3


class Scripted:
    """Kernels that take what they are told to; a plan is paid for once a length."""

    def __init__(self, plan: float, cudnn: float, other: float, *, asked: bool = True) -> None:
        self._plan, self._seconds, self._asked = plan, {True: cudnn, False: other}, asked
        self.calls: list[tuple[int, bool]] = []

    def asks_cudnn(self) -> bool:
        return self._asked

    def seconds(self, tokens: int, *, cudnn: bool) -> float:
        new = cudnn and (tokens, cudnn) not in self.calls
        self.calls.append((tokens, cudnn))
        return self._seconds[cudnn] + (self._plan if new else 0.0)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "NVIDIA H200")


@pytest.fixture(scope="module")
def kind(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    kind = of_text(tmp_path_factory.mktemp("causal"), LLAMA)
    return kind._replace(settings=changed(kind.settings, "train", bf16=True, micro_batch_size=2))


def chosen(kind: Kind, kernels: Scripted, **train: Any) -> CudnnChoice | None:
    settings = changed(kind.settings, "train", **train) if train else kind.settings
    return choose(kind.workload.model, kind.workload, settings, CUDA, kernels)


def test_a_plan_is_told_from_a_call() -> None:
    times = measure(Scripted(1.0, 2 * MILLISECOND, 3 * MILLISECOND))
    assert times.cudnn.first - times.cudnn.again == pytest.approx(1.0)
    assert times.cudnn.again == pytest.approx(2 * MILLISECOND)
    assert times.other == KernelTimes(first=3 * MILLISECOND, again=3 * MILLISECOND)


@pytest.mark.parametrize(
    ("plan", "saved", "different", "calls"),
    itertools.product((0.0, 0.01, 1.0), (-1e-4, 0.0, 1e-5, 1e-3), (1, 30, 900), (100, 10_000, 1_000_000)),
)  # fmt: skip
def test_it_is_on_exactly_where_that_makes_the_run_shorter(
    plan: float, saved: float, different: int, calls: int
) -> None:
    again = 2 * MILLISECOND
    times = AttentionTimes(
        cudnn=KernelTimes(first=again + plan, again=again), other=KernelTimes(first=again + saved, again=again + saved)
    )
    lengths = RunLengths(different=different, calls=calls, size=1.0)
    gain = calls * saved - different * plan
    if abs(gain) > 1e-6:
        assert pays(times, lengths) is (gain > 0)
    else:
        assert not pays(times, lengths)  # torch's other kernel has no plans to build


def test_many_lengths_switch_it_off_and_that_is_told(kind: Kind) -> None:
    choice = chosen(kind, Scripted(1.0, 1 * MILLISECOND, 1.2 * MILLISECOND))
    assert choice is not None and not choice.cudnn
    assert choice.reason.startswith("cuDNN's attention is off: a plan takes it 1000 ms, and there are about ")
    assert choice.reason.endswith("a call takes 1000 us with it and 1200 us without")


def test_a_faster_kernel_without_plans_stays_on(kind: Kind) -> None:
    choice = chosen(kind, Scripted(0.0, 1 * MILLISECOND, 2 * MILLISECOND))
    assert choice is not None and choice.cudnn


def test_what_was_measured_is_kept_for_the_process_that_trains(kind: Kind) -> None:
    first, second = Scripted(1.0, MILLISECOND, MILLISECOND), Scripted(0.0, MILLISECOND, 9 * MILLISECOND)
    assert chosen(kind, first) == chosen(kind, second)
    assert len(first.calls) == 2 * (1 + 2 * len(LENGTHS))
    assert second.calls == []


def test_nothing_is_measured_where_torch_does_not_ask_cudnn(kind: Kind) -> None:
    kernels = Scripted(1.0, MILLISECOND, MILLISECOND, asked=False)
    assert chosen(kind, kernels) is None
    assert kernels.calls == []


def test_nothing_is_measured_where_lengths_or_heads_are_not_known(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = kind.workload.model
    kernels = Scripted(1.0, MILLISECOND, MILLISECOND)
    unknown = dataclasses.replace(kind.workload, lengths=None)
    assert choose(model, unknown, kind.settings, CUDA, kernels) is None
    text = model.config.get_text_config()
    each_layers_own = SimpleNamespace(**{**vars(text), "num_attention_heads": [2, 2], "hidden_size": 32})
    monkeypatch.setattr(model.config, "get_text_config", lambda *args, **kwargs: each_layers_own, raising=False)
    assert heads_of(model, kind.settings) is None
    assert kernels.calls == []


def test_where_nothing_can_be_kept_it_is_measured_again(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    both = [Scripted(1.0, MILLISECOND, MILLISECOND) for _ in range(2)]
    assert chosen(kind, both[0]) == chosen(kind, both[1])
    assert both[0].calls and both[0].calls == both[1].calls


def test_float32_eager_recipes_and_the_cpu_are_left_alone(kind: Kind, tmp_path: Path) -> None:
    kernels = Scripted(1.0, MILLISECOND, MILLISECOND)
    model: Any = kind.workload.model
    assert chosen(kind, kernels, bf16=False) is None
    assert choose(model, kind.workload, kind.settings, torch.device("cpu"), kernels) is None
    recipe = make("recipe: a sum", tmp_path)
    assert choose(recipe.workload.model, recipe.workload, kind.settings, CUDA, kernels) is None
    eager = kind._replace(settings=changed(kind.settings, "model", attention="eager"))
    assert chosen(eager, kernels) is None
    assert kernels.calls == []


def test_a_kernel_that_fails_is_switched_off_and_asked_again_next_time(kind: Kind) -> None:
    class Failing(Scripted):
        def seconds(self, tokens: int, *, cudnn: bool) -> float:
            raise RuntimeError("cuDNN Frontend error: No execution plans support the graph.\nmore")

    failed = chosen(kind, Failing(0.0, 0.0, 0.0))
    assert failed == CudnnChoice(
        cudnn=False,
        reason="cuDNN's attention is off: it could not be measured (cuDNN Frontend error: No execution plans support "
        "the graph.)",
    )
    choice = chosen(kind, Scripted(0.0, MILLISECOND, 2 * MILLISECOND))
    assert choice is not None and choice.cudnn


@pytest.mark.parametrize("micro", [1, 2, 4])
def test_lengths_and_calls_are_those_of_the_run(kind: Kind, micro: int) -> None:
    settings = changed(kind.settings, "train", micro_batch_size=micro, effective_batch_size=4, max_steps=7)
    found = run_lengths(kind.workload, settings, layers=3)
    lengths = kind.workload.lengths
    assert found is not None and lengths is not None
    assert found.calls == 7 * (4 // micro) * 3
    if micro == 1:
        assert found.different == len(set(lengths.tolist()))
        mean_square = sum(int(n) ** 2 for n in lengths) / len(lengths)
        assert found.size == pytest.approx(mean_square / (4 * sum(n**2 for n in LENGTHS) / len(LENGTHS)))
    assert 1 <= found.different <= len(lengths) // micro


def test_heads_are_those_of_the_model(kind: Kind, tmp_path: Path) -> None:
    assert heads_of(kind.workload.model, kind.settings) == Heads(
        heads=2, key_value_heads=2, head=16, dtype="bfloat16", layers=2
    )
    wide = of_text(tmp_path, {**LLAMA, "model_type": "qwen3", "head_dim": 24, "num_key_value_heads": 1})
    settings = changed(wide.settings, "train", bf16=True)
    assert heads_of(wide.workload.model, settings) == Heads(
        heads=2, key_value_heads=1, head=24, dtype="bfloat16", layers=2
    )


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("on", [True, False, None])
def test_it_is_put_back_whatever_happens(before: bool, on: bool | None) -> None:
    enabled = torch.backends.cuda.cudnn_sdp_enabled
    own = enabled()
    torch.backends.cuda.enable_cudnn_sdp(before)
    try:
        with suppress(KeyError), cudnn_attention(on):
            assert enabled() is (before if on is None else on)
            raise KeyError
        assert enabled() is before
    finally:
        torch.backends.cuda.enable_cudnn_sdp(own)


def test_torchs_own_kernels_are_run_forward_and_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    kernels = CudaKernels(Heads(heads=4, key_value_heads=2, head=8, dtype="bfloat16", layers=1), torch.device("cpu"))
    assert not kernels.asks_cudnn()  # on the CPU there is none
    assert kernels.seconds(16, cudnn=True) > 0
