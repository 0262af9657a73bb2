"""The batch of evaluations in trials: its memory is a trial's result, its time is in the estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.candidate import Memory, TrialStatus
from speedtui.engine.config.settings import Scalar, ScheduleSettings, Settings
from speedtui.engine.jobs.train import train
from speedtui.engine.log.tail import read_events
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.search.user_candidates import knob_candidates
from speedtui.engine.trial.failures import TrialEnded
from speedtui.engine.trial.memory_probe import memory_probe
from speedtui.engine.trial.probe_setup import ProbeSetup
from speedtui.engine.trial.runner import TrialRunner
from tests.engine.trial.conftest import CPU, NewRunner, attempt

EVALUATED = "schedule.eval_batch_size"
UNREAD_BYTES = 32
"""Losses, 4 bytes each, that are kept until another thread has read them."""


@pytest.fixture
def runner(new_runner: NewRunner, settings: Settings) -> TrialRunner:
    file = str(Path(settings.data.train or "").with_name("eval.jsonl"))
    return new_runner(data=msgspec.structs.replace(settings.data, eval=file), schedule=ScheduleSettings())


def probed(runner: TrialRunner, rows: int, limit_bytes: int | None = None) -> Memory:
    """The memory probe of a micro-batch of one row."""
    settings = msgspec.structs.replace(runner.context.settings, schedule=ScheduleSettings(eval_batch_size=rows))
    workload = runner.load(settings)
    with runner.guard.trial(workload, settings) as model:
        setup = ProbeSetup(context=runner.context, workload=workload, model=model, settings=settings, device=CPU,
                           trial=0, check=lambda: None)  # fmt: skip
        return memory_probe(setup, limit_bytes)[0]


def notices(runner: TrialRunner) -> list[str]:
    runner.context.log.flush()
    return [x.text for x in read_events(runner.context.folder.events) if isinstance(x, e.Notice)]


def test_an_evaluations_memory_belongs_to_the_trial_and_is_no_part_of_what_is_predicted(runner: TrialRunner) -> None:
    one, many = probed(runner, 1), probed(runner, 40)
    assert (one.evaluation_rows, many.evaluation_rows) == (1, 40)
    assert one.evaluation_peak_bytes is not None and many.evaluation_peak_bytes is not None
    assert one.training_peak_bytes is not None and many.training_peak_bytes is not None
    assert one.training_peak_bytes == one.peak_bytes
    assert abs(one.training_peak_bytes - many.training_peak_bytes) <= UNREAD_BYTES
    assert one.evaluation_peak_bytes < many.training_peak_bytes < many.evaluation_peak_bytes == many.peak_bytes


def test_an_evaluation_over_the_limit_takes_fewer_rows_and_is_no_reason_against_the_trial(runner: TrialRunner) -> None:
    ten, many = probed(runner, 10), probed(runner, 40)
    assert ten.peak_bytes is not None and many.peak_bytes is not None
    halved = probed(runner, 40, limit_bytes=ten.peak_bytes)
    assert halved.evaluation_rows == 10
    assert halved.peak_bytes == ten.peak_bytes
    assert notices(runner)[-2:] == [
        "evaluating 40 rows at a time runs out of memory; it goes on with 20",
        "evaluating 20 rows at a time runs out of memory; it goes on with 10",
    ]


def test_rows_that_found_no_memory_are_no_part_of_the_peak_that_is_told(runner: TrialRunner) -> None:
    ten = probed(runner, 10)

    def full(model: Any, args: Any, output: Any) -> None:
        """A device on which the outputs of more than ten rows are one allocation too many."""
        if not model.training and len(output.logits) > 10:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    assert runner.workload is not None
    handle = runner.workload.model.register_forward_hook(full)
    halved = probed(runner, 40)
    handle.remove()
    assert (halved.evaluation_rows, halved.evaluation_peak_bytes) == (10, ten.evaluation_peak_bytes)


@pytest.mark.parametrize("what", [torch.OutOfMemoryError("CUDA out of memory."), ValueError("no such token")])
def test_an_evaluation_that_fails_with_one_row_is_told_for_what_it_is(runner: TrialRunner, what: Exception) -> None:
    runner.load(runner.context.settings)

    def fails(model: Any, args: Any, output: Any) -> None:
        if not model.training:
            raise what

    assert runner.workload is not None
    handle = runner.workload.model.register_forward_hook(fails)
    with pytest.raises((TrialEnded, ValueError)) as raised:
        probed(runner, 4)
    handle.remove()
    if isinstance(what, ValueError):
        assert raised.value is what
    else:
        assert isinstance(raised.value, TrialEnded) and raised.value.status is TrialStatus.OUT_OF_MEMORY
        assert raised.value.reason == "evaluating its longest row alone ran out of memory"


def test_it_is_a_knob_like_any_other(runner: TrialRunner) -> None:
    knobs: dict[str, list[Scalar]] = {EVALUATED: [2, 8], "schedule.generation_batch_size": [4]}
    candidates, _ = knob_candidates(knobs, runner.context.settings, 8)
    assert [candidate.values[EVALUATED] for candidate in candidates] == [2, 8]
    assert "eval_batch_size 2 generation_batch_size 4" in candidates[0].label
    for number, rows in enumerate((2, 8)):
        result = attempt(runner, number, schedule__eval_batch_size=rows)
        assert result.status is TrialStatus.OK and result.memory is not None
        assert result.memory.evaluation_rows == rows
    assert len(runner.costs) == 2  # its time is measured for each


def test_an_estimate_counts_the_batches_that_will_be_made(runner: TrialRunner) -> None:
    """By the curve of one batch size: the same tokens by fewer rows are more batches."""
    runner.measure_costs(make_candidate(0, {}, runner.context.settings, "test"))
    measured = next(iter(runner.costs.values()))
    assert runner.workload is not None and measured.eval_curve is not None
    curve = msgspec.structs.replace(measured.eval_curve, fixed=1.0, per_token=0.0, per_square=0.0)
    fixed = msgspec.structs.replace(measured, eval_curve=curve, eval_besides_seconds=0.0)
    start = RunCosts()
    counted = [fixed.of_run(runner.workload, rows, start=start).eval_seconds for rows in (1, 3, 16, 64)]
    assert counted == [40.0, 14.0, 3.0, 1.0]
    halved = msgspec.structs.replace(fixed, eval_most_rows=8)
    assert halved.of_run(runner.workload, 64, start=start).eval_seconds == 5.0


def test_a_run_in_progress_takes_another_size_from_its_next_evaluation_on(
    new_runner: NewRunner, settings: Settings, tmp_path: Path
) -> None:
    file = str(Path(settings.data.train or "").with_name("eval.jsonl"))
    runner = new_runner(
        data=msgspec.structs.replace(settings.data, eval=file),
        train=msgspec.structs.replace(settings.train, method="full", micro_batch_size=32, max_steps=2),
        schedule=ScheduleSettings(eval_every="1 step", eval_batch_size=10, check_evaluation=False,
                                  checkpoint_every="never"),
    )  # fmt: skip
    context = runner.context
    workload = runner.load(context.settings)
    sizes: list[int] = []

    def look(model: Any, args: Any, inputs: dict[str, Any]) -> None:
        if not model.training:
            sizes.append(len(inputs["input_ids"]))
        elif sizes:  # the second step
            context.handlers[c.Set](c.Set(values={EVALUATED: 16}))

    handle = workload.model.register_forward_pre_hook(look, with_kwargs=True)
    train(context, context.settings, workload, CPU, named=(), trial=None, estimate=None, since=0.0)
    handle.remove()
    assert sizes == [10, 10, 10, 10, 16, 16, 8]
