"""Trials on a real model: what they measure, what running out of memory is, and that nothing is left of them."""

from __future__ import annotations

from typing import Any

import msgspec
import psutil
import pytest
import torch

from speedtui.engine import events as e
from speedtui.engine.candidate import MemoryBreakdown, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.log.tail import read_events
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.units import MIB
from speedtui.engine.workload.weights_guard import hash_tensor
from tests.engine.trial.conftest import NewRunner, attempt

pytestmark = pytest.mark.slow


def hashes(runner: TrialRunner) -> dict[str, str]:
    assert runner.workload is not None
    model = runner.workload.model
    return {name: hash_tensor(tensor) for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def test_a_sweep_of_ranks_leaves_every_base_tensor_bit_identical(new_runner: NewRunner) -> None:
    runner = new_runner()
    runner.load(runner.context.settings)
    before = hashes(runner)
    for number, rank in enumerate((4, 8, 16, 64)):
        for checkpointing in (False, True):
            result = attempt(runner, number, train__lora__r=rank, train__gradient_checkpointing=checkpointing)
            assert result.status is TrialStatus.OK, result.reason
            assert result.base_weights_unchanged
    assert hashes(runner) == before
    assert runner.loads == 1
    assert runner.workload is not None
    assert all(parameter.requires_grad for parameter in runner.workload.model.parameters())
    assert not any("lora" in name for name, _ in runner.workload.model.named_parameters())


def test_a_full_fine_tuning_trial_puts_every_weight_back(new_runner: NewRunner, settings: Settings) -> None:
    full = msgspec.structs.replace(settings.train, method="full", learning_rate=0.1)
    runner = new_runner(train=full)
    runner.load(runner.context.settings)
    before = hashes(runner)
    assert attempt(runner, micro_batch_size=4).status is TrialStatus.OK
    assert attempt(runner, micro_batch_size=4, bf16=True).status is TrialStatus.OK
    assert hashes(runner) == before
    assert runner.workload is not None
    assert all(parameter.grad is None for parameter in runner.workload.model.parameters())
    assert not hasattr(runner.workload.model, "_original_forward")


def test_running_out_of_memory_is_a_result_and_the_next_trial_runs(new_runner: NewRunner) -> None:
    runner = new_runner(limit_bytes=60 * MIB)
    small = attempt(runner, 0, micro_batch_size=1)
    large = attempt(runner, 1, micro_batch_size=32)
    again = attempt(runner, 2, micro_batch_size=1)
    assert [r.status for r in (small, large, again)] == [TrialStatus.OK, TrialStatus.OUT_OF_MEMORY, TrialStatus.OK]
    assert "no room for another" in large.reason
    assert small.memory is not None and small.memory.peak_bytes is not None
    assert small.memory.peak_bytes < 60 * MIB
    assert small.memory.headroom_fraction is not None and 0 < small.memory.headroom_fraction < 1


def test_a_trial_gives_its_memory_back(new_runner: NewRunner) -> None:
    runner = new_runner()
    attempt(runner, 0, micro_batch_size=16)
    before = psutil.Process().memory_info().rss
    for number in range(3):
        attempt(runner, number, micro_batch_size=32)
    assert psutil.Process().memory_info().rss - before < 40 * MIB


def test_the_memory_probe_meets_the_longest_sample(new_runner: NewRunner) -> None:
    runner = new_runner()
    result = attempt(runner, micro_batch_size=4)
    assert runner.workload is not None and runner.workload.lengths is not None and result.memory is not None
    assert result.memory.longest_tokens == int(runner.workload.lengths.max())
    runner.context.log.flush()
    probes = [s for s in read_events(runner.context.folder.events) if isinstance(s, e.StepCompleted)]
    memory = [s for s in probes if s.probe == "memory"]
    assert sum(s.steps for s in memory) == 2
    assert sum(s.samples for s in memory) == 2 * 2 * 4
    assert sum(s.padding_tokens or 0 for s in memory) == 2 * 2, "one pad token in each of four micro-batches"


def test_checkpointing_takes_less_memory_and_a_higher_rank_more(new_runner: NewRunner) -> None:
    runner = new_runner()

    def peak(number: int, **values: Any) -> int:
        memory = attempt(runner, number, micro_batch_size=8, **values).memory
        assert memory is not None and memory.peak_bytes is not None
        return memory.peak_bytes

    plain = peak(0)
    assert peak(1, train__gradient_checkpointing=True) < plain
    assert peak(2, train__lora__r=64) > plain


def test_a_measurement_says_how_a_step_is_made_up(new_runner: NewRunner) -> None:
    result = attempt(new_runner(), micro_batch_size=4)
    measured = result.measurement
    assert measured is not None
    assert measured.step_seconds == pytest.approx(8 * measured.micro_step_seconds + measured.optimizer_seconds)
    assert measured.samples_per_second == pytest.approx(32 / measured.step_seconds)
    assert measured.step_seconds_low <= measured.step_seconds <= measured.step_seconds_high
    assert 0 < measured.padding_fraction < 1
    assert {"data", "forward", "backward", "optimizer"} <= set(measured.phases)
    assert measured.optimizer_seconds < measured.step_seconds
    assert measured.busy_phases is measured.flops is measured.mfu is result.conditions is None, "of a CPU nobody knows"


def test_settings_that_the_model_cannot_have_fail_that_trial_alone(new_runner: NewRunner) -> None:
    runner = new_runner()
    failed = attempt(runner, 0, model__attention="flash_attention_2")
    assert failed.status is TrialStatus.FAILED
    assert failed.reason
    assert attempt(runner, 1, model__attention="eager").status is TrialStatus.OK
    assert attempt(runner, 2).status is TrialStatus.OK
    assert runner.loads == 1


def test_a_shorter_maximum_length_has_its_own_data_on_the_same_model(new_runner: NewRunner) -> None:
    runner = new_runner()
    short = attempt(runner, 0, data__max_length=64)
    long = attempt(runner, 1)
    assert short.memory is not None and long.memory is not None
    assert short.memory.longest_tokens == 64
    assert long.memory.longest_tokens is not None and long.memory.longest_tokens > 64
    assert runner.loads == 1


def test_loader_workers_measure_the_same_samples(new_runner: NewRunner) -> None:
    runner = new_runner()
    alone = attempt(runner, 0, micro_batch_size=4)
    helped = attempt(runner, 1, micro_batch_size=4, loader_workers=2)
    assert helped.status is TrialStatus.OK, helped.reason
    assert alone.measurement is not None and helped.measurement is not None
    assert helped.measurement.padding_fraction == alone.measurement.padding_fraction


def test_a_hopeless_candidate_is_pruned_before_all_its_batches(new_runner: NewRunner, settings: Settings) -> None:
    search = msgspec.structs.replace(settings.search, batches=400)
    runner = new_runner(search=search)
    best = attempt(new_runner(), micro_batch_size=4).measurement
    assert best is not None
    unbeatable = msgspec.structs.replace(
        best, samples_per_second=best.samples_per_second * 100, step_seconds_high=best.step_seconds
    )
    result = runner.run(make_candidate(0, {}, runner.context.settings, "test"), unbeatable)
    assert result.status is TrialStatus.PRUNED
    assert result.measurement is not None and result.measurement.batches < 400


def test_the_limit_is_the_same_for_every_trial_whatever_was_freed_before(new_runner: NewRunner) -> None:
    runner = new_runner(limit_bytes=50 * MIB)
    sizes = [16, 4, 32, 16, 1, 32, 4, 16]
    results = [attempt(runner, number, micro_batch_size=size) for number, size in enumerate(sizes)]
    status = {size: {r.status for r, s in zip(results, sizes, strict=True) if s == size} for size in sizes}
    assert status[1] == status[4] == {TrialStatus.OK}
    assert status[16] == status[32] == {TrialStatus.OUT_OF_MEMORY}


def test_a_result_holds_what_was_predicted_of_its_memory(new_runner: NewRunner) -> None:
    runner = new_runner()
    parts = MemoryBreakdown(
        weights_bytes=5, gradients_bytes=4, optimizer_bytes=3, activations_bytes=2, logits_bytes=1
    )  # fmt: skip
    runner.predictions[1] = (17, parts)
    without, given = attempt(runner, 0).memory, attempt(runner, 1).memory
    assert without is not None and without.predicted_bytes is None
    assert given is not None and (given.predicted_bytes, given.breakdown) == (17, parts)
    assert given.peak_bytes is not None


def test_both_probes_and_every_trial_run_in_the_precision_asked_for(new_runner: NewRunner) -> None:
    runner = new_runner()
    model: Any = runner.load(runner.context.settings).model
    seen: list[torch.dtype] = []
    model.lm_head.register_forward_hook(lambda module, given, output: seen.append(output.dtype))
    for number, (method, bf16) in enumerate([("full", True), ("full", False), ("lora", True), ("lora", False)]):
        seen.clear()
        assert attempt(runner, number, micro_batch_size=4, method=method, bf16=bf16).status is TrialStatus.OK
        assert set(seen) == {torch.bfloat16 if bf16 else torch.float32}
