"""Trials on a simulated CUDA device: whatever goes wrong in one, it has a result, and the next one a sound worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from speedtui.engine.candidate import TrialResult, TrialStatus
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import DataSettings, ModelSettings, SearchSettings, TrainSettings
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.trial.failures import TrialEnded
from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.units import MIB
from speedtui.engine.workload.weights_guard import hash_tensor
from tests.engine.trial.conftest import NewRunner, attempt
from tests.simulated_cuda import SimulatedCuda, cuda_error, simulated_cuda

pytestmark = pytest.mark.slow

CUDA = torch.device("cuda", 0)
RECIPE = """
import torch
from speedtui.engine.workload import Recipe

class Model(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.Linear(width, 1))

    def forward(self, x, y):
        return {"loss": ((self.layers(x).squeeze(-1) - y) ** 2).mean()}

def build(width=16):
    data = [{"x": torch.ones(8) * i, "y": torch.tensor(1.0)} for i in range(32)]
    return Recipe(model=Model(width), train_dataset=data, eval_dataset=data[:8])
"""
POINTS = 13
"""Places in a trial where it is made to fail, from its first operation on the device to its last."""


class Trials:
    """A runner on a recipe's tiny model, on a device of its own."""

    def __init__(self, cuda: SimulatedCuda, runner: TrialRunner) -> None:
        self.cuda = cuda
        self.runner = runner
        self.operations = 0

    def run(self, number: int = 0, *, fail_at: int | None = None, by: Any = None, **values: Any) -> TrialResult:
        """A trial in which the `fail_at`th operation on the device fails: `by` poisons it, or is what is raised."""
        self.operations = 0

        def count(operator: Any) -> None:
            self.operations += 1
            if self.operations == fail_at:
                if isinstance(by, Exception):
                    raise by
                self.cuda.poison()

        self.cuda.on_operation = count
        try:
            return attempt(self.runner, number, micro_batch_size=2, **values)
        finally:
            self.cuda.on_operation = None

    def weights(self) -> list[str]:
        """Hashes of the loaded model's."""
        assert self.runner.workload is not None
        return [hash_tensor(weight) for weight in self.runner.workload.model.parameters()]


@pytest.fixture
def sections(tmp_path: Path) -> dict[str, Any]:
    """Settings of a recipe of two layers, which a full fine-tuning changes."""
    (tmp_path / "recipe.py").write_text(RECIPE)
    return {
        "model": ModelSettings(kind="python", recipe=f"{tmp_path / 'recipe.py'}:build"),
        "data": DataSettings(),
        "train": TrainSettings(effective_batch_size=4, micro_batch_size=2, max_steps=4, method="full"),
        "search": SearchSettings(batches=2),
    }


@pytest.fixture
def trials(cuda: SimulatedCuda, new_runner: NewRunner, sections: dict[str, Any]) -> Trials:
    return Trials(cuda, new_runner(device=CUDA, **sections))


def test_trials_of_every_kind_run(cuda: SimulatedCuda, new_runner: NewRunner) -> None:
    runner = new_runner(device=CUDA, search=SearchSettings(batches=2))
    kinds: list[dict[str, Any]] = [
        {"loader_workers": 1}, {"method": "full", "bf16": True}, {"train__gradient_checkpointing": True}
    ]  # fmt: skip
    for number, values in enumerate(kinds):
        result = attempt(runner, number, micro_batch_size=2, **values)
        assert result.status is TrialStatus.OK, result.reason
        assert runner.poisoned == ""
        assert result.base_weights_unchanged
        memory = result.memory
        assert memory is not None and memory.peak_allocated_bytes is not None and memory.peak_reserved_bytes is not None
        assert memory.peak_allocated_bytes <= memory.peak_reserved_bytes
    assert runner.loads == 1


def test_a_device_that_breaks_anywhere_in_a_trial_leaves_it_a_result_and_the_worker_spent(
    trials: Trials, new_runner: NewRunner, sections: dict[str, Any]
) -> None:
    assert trials.run().status is TrialStatus.OK
    trials.run()
    last = trials.operations
    for point in range(POINTS):
        with simulated_cuda() as cuda:
            again = Trials(cuda, new_runner(device=CUDA, **sections))
            again.runner.load(again.runner.context.settings)
            result = again.run(fail_at=1 + point * (last - 1) // (POINTS - 1))
            assert result.status is TrialStatus.FAILED, point
            assert "illegal memory access" in result.reason, point
            assert "illegal memory access" in again.runner.poisoned, point


def test_running_out_of_memory_anywhere_in_a_trial_leaves_it_a_result_and_the_worker_sound(trials: Trials) -> None:
    trials.run()
    trials.run()
    before, last = trials.weights(), trials.operations
    for point in range(POINTS):
        text = "CUDA out of memory. Tried to allocate 2.00 GiB."
        result = trials.run(point, fail_at=1 + point * (last - 1) // (POINTS - 1), by=torch.OutOfMemoryError(text))
        if result.status is not TrialStatus.OK:  # an evaluation goes on with half as many rows
            assert result.status is TrialStatus.OUT_OF_MEMORY or trials.runner.poisoned, (point, result.reason)
        if trials.runner.poisoned:  # in putting the model back: what it is by then nobody knows
            assert "could not be put back" in trials.runner.poisoned
            trials.runner.poisoned = ""
            trials.runner.workload = None
    assert trials.run(99).status is TrialStatus.OK
    assert trials.weights() == before


def test_a_failure_in_words_that_nobody_knows_is_found_to_have_broken_the_device(trials: Trials) -> None:
    trials.runner.load(trials.runner.context.settings)
    unheard = cuda_error("cudaErrorOfTheFuture", "the kernel took a wrong turn")

    def break_down(operator: Any) -> None:
        trials.cuda.fault = unheard
        raise RuntimeError("something else was said first")

    trials.cuda.on_operation = break_down
    result = attempt(trials.runner, micro_batch_size=2)
    assert (result.status, result.reason) == (TrialStatus.FAILED, "RuntimeError: something else was said first")
    assert "the kernel took a wrong turn" in trials.runner.poisoned


def test_an_error_of_the_models_own_costs_no_worker(trials: Trials) -> None:
    trials.run()
    result = trials.run(1, fail_at=trials.operations // 2, by=ValueError("no such thing"))
    assert (result.status, result.reason) == (TrialStatus.FAILED, "ValueError: no such thing")
    assert trials.runner.poisoned == ""
    assert trials.run(2).status is TrialStatus.OK


def test_the_limit_of_a_memory_probe_is_gone_after_it_whatever_came_of_it(
    new_runner: NewRunner, cuda: SimulatedCuda
) -> None:
    runner = new_runner(limit_bytes=24 * MIB, device=CUDA, search=SearchSettings(batches=2))
    fractions: list[float] = []
    cuda.on_operation = lambda operator: fractions.append(cuda.fraction)
    small, large, again = (attempt(runner, number, micro_batch_size=size) for number, size in enumerate((1, 32, 1)))
    assert [r.status for r in (small, large, again)] == [TrialStatus.OK, TrialStatus.OUT_OF_MEMORY, TrialStatus.OK]
    assert "no room for another" in large.reason
    assert (runner.loads, runner.poisoned) == (1, "")
    assert torch.cuda.get_per_process_memory_fraction() == 1.0
    assert set(fractions) == {1.0, 24 * MIB / cuda.properties.total_memory}
    assert fractions[-1] == 1.0  # what is timed is not limited
    assert small.memory is not None and small.memory.peak_reserved_bytes is not None
    assert small.memory.peak_reserved_bytes <= 24 * MIB


def test_what_a_trial_leaves_on_the_device_costs_its_worker_and_says_how_much(trials: Trials) -> None:
    trials.run()
    held: list[torch.Tensor] = []

    def leak(operator: Any) -> None:
        if not held:
            held.append(torch.ones(2 * MIB, dtype=torch.uint8))
            trials.cuda.take(held[0])

    trials.cuda.on_operation = leak
    assert attempt(trials.runner, 1, micro_batch_size=2).status is TrialStatus.OK
    assert trials.runner.poisoned == "2.0 MiB of a trial were still on the device after it"


def test_a_device_that_breaks_in_a_comparison_ends_it_and_the_worker(trials: Trials) -> None:
    trials.run()
    one, other = (make_candidate(n, {"train.micro_batch_size": n}, trials.runner.context.settings, "t") for n in (1, 2))
    seen: list[int] = []

    def break_down(operator: Any) -> None:
        seen.append(1)
        if len(seen) == 300:
            trials.cuda.poison()

    trials.cuda.on_operation = break_down
    with pytest.raises(TrialEnded, match="illegal memory access"):
        trials.runner.compare(one, other)
    assert "illegal memory access" in trials.runner.poisoned


def test_another_precision_is_loaded_when_the_model_before_it_is_gone(
    cuda: SimulatedCuda, new_runner: NewRunner
) -> None:
    runner = new_runner(device=CUDA, search=SearchSettings(batches=2))
    runner.load(runner.context.settings)
    weights = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    runner.load(with_dtype(runner, "bfloat16"))
    assert torch.cuda.max_memory_allocated() < 1.5 * weights + cuda.workspace_bytes
    assert torch.cuda.memory_allocated() < 0.75 * weights
    assert runner.loads == 2


def with_dtype(runner: TrialRunner, dtype: str) -> Any:
    return with_values(runner.context.settings, {"model.dtype": dtype}, "test")
