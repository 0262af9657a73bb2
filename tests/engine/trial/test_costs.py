"""What a run costs besides its steps, and that an estimate counts what the training then does."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.config.window import Window
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.jobs.train import train
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.report.files import fits, trial_entry
from speedtui.engine.runs import RunFolder
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.state import RunState
from speedtui.engine.timing.workload_shape import shape_of
from tests.engine.trial.conftest import CPU, NewRunner, attempt

pytestmark = pytest.mark.slow


def evaluated(settings: Settings, **schedule: str) -> dict[str, Any]:
    """Sections with an evaluation set and this schedule."""
    file = str(Path(settings.data.train or "").with_name("eval.jsonl"))
    return {"data": msgspec.structs.replace(settings.data, eval=file), "schedule": ScheduleSettings(**schedule)}


def test_a_trial_says_how_long_the_whole_run_takes(new_runner: NewRunner, settings: Settings) -> None:
    runner = new_runner(**evaluated(settings, eval_every="4 steps", checkpoint_every="3 steps"))
    result = attempt(runner, micro_batch_size=4)
    estimate, curve = result.estimate, result.curve
    assert estimate is not None and curve is not None
    assert result.full_run_seconds == estimate.p50_seconds <= estimate.p90_seconds
    assert math.fsum(estimate.terms.values()) == pytest.approx(estimate.p50_seconds)
    assert (estimate.total_steps, estimate.evals, estimate.saves) == (10, 3, 4)  # one of them early
    assert all(estimate.terms[name] > 0 for name in ("load", "steps", "evals", "saves", "final"))
    assert len(curve.points) >= 4
    assert {point.micro_batch_size for point in curve.points} == {4}
    tokens = [point.tokens for point in curve.points]
    assert max(tokens) > 2 * min(tokens)


def test_nothing_is_left_of_the_checkpoint_that_was_timed(new_runner: NewRunner) -> None:
    runner = new_runner()
    costs = runner.measure_costs(make_candidate(0, {}, runner.context.settings, "test"))
    assert costs.save_seconds is not None and costs.final_seconds is not None
    assert sorted(path.name for path in runner.context.folder.path.iterdir()) == ["events.jsonl"]


def test_without_an_evaluation_set_an_evaluation_costs_nothing(new_runner: NewRunner) -> None:
    runner = new_runner()
    assert runner.measure_costs(make_candidate(0, {}, runner.context.settings, "test")).eval_seconds is None
    estimate = attempt(runner, 1).estimate
    assert estimate is not None and (estimate.evals, estimate.terms["evals"]) == (0, 0)


def test_costs_are_measured_once_for_a_kind_of_run_and_anew_when_asked(
    new_runner: NewRunner, settings: Settings
) -> None:
    runner = new_runner(**evaluated(settings))
    attempt(runner, 0, micro_batch_size=4)
    (first,) = runner.costs.values()
    attempt(runner, 1, micro_batch_size=8)
    assert list(runner.costs.values()) == [first]
    attempt(runner, 2, method="full")
    assert len(runner.costs) == 2
    runner.measure_costs(make_candidate(3, {}, runner.context.settings, "test"))
    assert len(runner.costs) == 2 and first not in runner.costs.values()


def test_an_evaluation_with_larger_micro_batches_is_predicted_from_smaller_ones(
    new_runner: NewRunner, settings: Settings
) -> None:
    runner = new_runner(**evaluated(settings))
    small = runner.measure_costs(make_candidate(0, {"micro_batch_size": 2}, runner.context.settings, "test"))
    measured = next(iter(runner.costs.values()))
    assert runner.workload is not None
    large = measured.of_run(runner.workload, 8, start=small)
    assert small.eval_seconds is not None and large.eval_seconds is not None
    assert 0.1 < large.eval_seconds / small.eval_seconds < 2.5


def test_a_full_disk_is_a_notice_and_no_failed_trial(new_runner: NewRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(NamedTuple):
        total: int = 100
        used: int = 100
        free: int = 0

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Full())
    runner = new_runner()
    result = attempt(runner)
    assert result.status is TrialStatus.OK
    assert result.estimate is not None and result.estimate.terms["final"] == 0
    runner.context.log.flush()
    notices = [x for x in read_events(runner.context.folder.events) if isinstance(x, e.Notice)]
    assert any("0 B are free" in notice.text for notice in notices), notices


@pytest.mark.parametrize(
    ("schedule", "train_changes"),
    [
        ({"eval_every": "4 steps", "checkpoint_every": "5 steps"}, {"max_steps": 10}),
        ({"eval_every": "5 steps", "checkpoint_every": "never"}, {"max_steps": 12}),
        ({"eval_every": "1 epoch", "checkpoint_every": "1 epoch"}, {"max_steps": None, "epochs": 2.0}),
        ({"eval_every": "never", "checkpoint_every": "3 steps"}, {"max_steps": 7, "group_by_length": True}),
    ],
)
def test_an_estimate_counts_what_the_training_does(
    new_runner: NewRunner, settings: Settings, tmp_path: Path, schedule: dict[str, str], train_changes: dict[str, Any]
) -> None:
    changed = msgspec.structs.replace(settings.train, micro_batch_size=4, **train_changes)
    runner = new_runner(train=changed, **evaluated(settings, **schedule))
    estimate = attempt(runner).estimate
    workload = runner.load(runner.context.settings)
    shape = shape_of(workload, runner.context.settings)
    log = EventLog(tmp_path / "train.jsonl", RunClock())
    context = JobContext(
        RunFolder(tmp_path), runner.context.settings, Order(job="train", started_at=0.0), log, RunState(), frozenset()
    )
    train(context, context.settings, workload, CPU, named=(), trial=None, estimate=None, since=0.0)
    log.close()
    events = list(read_events(tmp_path / "train.jsonl"))
    steps = [x for x in events if isinstance(x, e.StepCompleted)]
    saves = [x for x in events if isinstance(x, e.CheckpointSaved) and not x.final]
    evals = [x for x in events if isinstance(x, e.EvaluationCompleted)]
    assert estimate is not None
    assert (estimate.total_steps, estimate.evals, estimate.saves) == (steps[-1].step, len(evals), len(saves))
    assert shape.micro_steps == sum(s.micro_steps for s in steps)
    assert shape.samples == sum(s.samples for s in steps)
    assert shape.tokens == sum(s.tokens or 0 for s in steps)
    assert shape.padded_tokens == sum((s.tokens or 0) + (s.padding_tokens or 0) for s in steps)


def test_a_run_fits_when_nine_in_ten_end_before_the_margin(new_runner: NewRunner) -> None:
    runner = new_runner()
    result = attempt(runner)
    estimate = result.estimate
    assert estimate is not None
    late = msgspec.structs.replace(estimate, p50_seconds=50.0, p90_seconds=70.0)
    window = Window(deadline=1100.0, margin_seconds=40.0)
    assert fits(late, window, 985.0) is True
    assert fits(late, window, 995.0) is False
    assert fits(None, window, 995.0) is None
    entry = trial_entry(
        make_candidate(0, {}, runner.context.settings, "test"), result, runner.context.settings, None, 0
    )
    assert entry["full_run_p90_seconds"] >= entry["full_run_p50_seconds"] - 0.1
    assert set(entry["full_run_terms"]) == set(estimate.terms)
