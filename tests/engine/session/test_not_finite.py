"""Losses, gradients and weights that are NaN: told at once, never kept, and what a training then does."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from safetensors.torch import load_file

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.errors import ExitCode
from speedtui.engine.export.csv import write_tables
from speedtui.engine.jobs.execute import execute
from speedtui.engine.locks import hold_lock
from speedtui.engine.log.tail import read_events
from speedtui.engine.report.document import write_run_report
from speedtui.engine.report.present import present_settings
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState, TrainingState
from tests.engine.session.conftest import Driven, Starter
from tests.engine.session.rising import RECIPE


@pytest.fixture
def rising(start: Starter, tmp_path: Path) -> Starter:
    """Starts trainings of a model whose only weight rises by 0.1 a step."""
    (tmp_path / "recipe.py").write_text(RECIPE)
    train = msgspec.structs.replace(
        start.settings.train, effective_batch_size=4, micro_batch_size=4, max_steps=12, learning_rate=0.1,
        lr_schedule="constant", optimizer="sgd", max_grad_norm=1.0,
    )  # fmt: skip
    schedule = msgspec.structs.replace(start.settings.schedule, eval_every="never", checkpoint_every="4 steps")
    start.settings = Settings(
        model=ModelSettings(kind="python", recipe=f"{tmp_path / 'recipe.py'}:build"), train=train, schedule=schedule
    )
    return start


def run(
    starter: Starter, values: Mapping[str, Any], estimate: Estimate | None = None
) -> tuple[Driven, RunState, TrainingState]:
    driven = starter.training(in_thread=True, values=dict(values), estimate=estimate)
    state = driven.end()
    assert state.training is not None
    return driven, state, state.training


def weight(folder: Path) -> float:
    return float(load_file(folder / "model.safetensors")["weight"])


def saved_steps(folder: RunFolder) -> list[int]:
    return sorted(int(path.name.rpartition("-")[2]) for path in folder.checkpoints.glob("checkpoint-*"))


DIVERGES: dict[str, Any] = {"recipe.limit": 1.05}
"""From 1.1 on, after step 11: the loss of step 12 is no number."""


def test_a_diverged_training_fails_and_leaves_the_last_good_checkpoints_model(rising: Starter) -> None:
    driven, state, training = run(rising, {**DIVERGES, "train.max_steps": 200})
    assert (driven.exit_code, state.outcome) == (ExitCode.FAILED, "failed")
    assert training.finished is not None and training.finished.reason == "diverged"
    assert training.finished.best_step == 8, "the loss after step 8 was finite"
    folder = driven.session.folder
    assert weight(folder.path / "model") == pytest.approx(0.8)
    assert max(saved_steps(folder)) == 8
    assert state.reason.startswith("the training diverged: the weights are not finite, since step 12; the model in")
    assert state.next == (
        f"Go on from step 8 at a lower rate: speedtui train --resume {state.run} --learning-rate 0.05"
    )


def test_it_is_told_at_once_with_the_step_since_when_and_the_last_that_was_finite(rising: Starter) -> None:
    driven, _, training = run(rising, {**DIVERGES, "train.max_steps": 200})
    found = driven.events(e.NonFiniteFound)
    assert [(one.what, one.certain) for one in found] == [
        ("loss", False), ("gradient_norm", False), ("weights", True),
    ]  # fmt: skip
    assert {(one.since, one.last_finite_step, one.checkpoint) for one in found} == {(12, 11, 8)}
    assert (found[-1].where, found[0].step) == ("weight", 12)
    lines = [line for step in driven.events(e.StepCompleted) for line in [step] if line.nonfinite]
    assert training.nonfinite_steps == sum(line.nonfinite_steps for line in lines) == training.step - 11


def test_every_step_that_was_not_finite_is_counted_however_few_lines_tell_them(rising: Starter) -> None:
    driven, state, training = run(rising, {**DIVERGES, "train.max_steps": 150, "schedule.on_nonfinite": "continue"})
    lines = driven.events(e.StepCompleted)
    assert len(lines) < 150, "some lines tell of several steps"
    assert (training.nonfinite_steps, training.nonfinite_gradients) == (150 - 11, 150 - 11)
    assert driven.exit_code == ExitCode.FAILED, "a model of NaN is no result, whatever was asked for"
    assert weight(driven.session.folder.path / "model") == pytest.approx(0.8)
    assert max(saved_steps(driven.session.folder)) == 8
    failures = driven.events(e.CheckpointFailed)
    assert failures and all("the weights are not finite (weight)" in failed.reason for failed in failures)
    write_run_report(driven.session.folder)
    report = json.loads((driven.session.folder.path / "report.json").read_text())
    assert report["outcome"] == "failed"
    assert report["loss"]["nonfinite_steps"] == 139
    assert report["loss"]["nonfinite"] == {
        "what": "weights", "since": 12, "last_finite_step": 11, "diverged": True, "weights": "weight", "checkpoint": 8,
    }  # fmt: skip
    assert (
        "not finite from step 12 on, 139 steps not finite" in (driven.session.folder.path / "report.html").read_text()
    )
    assert state.reason


def test_without_a_checkpoint_nothing_is_left_and_the_command_starts_it_again(rising: Starter) -> None:
    driven, state, training = run(rising, {**DIVERGES, "schedule.checkpoint_every": "never"})
    assert driven.exit_code == ExitCode.FAILED
    assert training.finished is not None
    assert (training.finished.model_path, training.finished.best_step) == (None, None)
    assert not (driven.session.folder.path / "model").exists()
    assert state.next.startswith("Start again at a lower rate: speedtui train --config ")
    assert state.next.endswith("/config.toml --learning-rate 0.05")


def test_it_goes_back_at_half_the_rate_and_ends_well(rising: Starter) -> None:
    expected = Estimate(p50_seconds=1e4, p90_seconds=1e4, terms={"steps": 1e4}, total_steps=12, evals=0, saves=3)
    driven, _, training = run(rising, {**DIVERGES, "schedule.on_nonfinite": "go_back"}, expected)
    assert driven.exit_code == ExitCode.DONE
    assert driven.events(e.AdviceGiven) == [], "steps that were made twice say nothing of the estimate"
    assert [started.first_step for started in driven.events(e.TrainingStarted)] == [0, 8]
    (changed,) = driven.events(e.SettingsChanged)
    assert changed.values == {"train.learning_rate": 0.05}
    assert "back to step 8: the weights are not finite, since step 12" in changed.reason
    assert weight(driven.session.folder.path / "model") == pytest.approx(0.8 + 4 * 0.05)
    assert training.finished is not None and training.finished.steps == 12
    assert training.nonfinite is None


def test_it_goes_back_three_times_and_then_fails(rising: Starter) -> None:
    values = {"recipe.bad_row": 3, "schedule.on_nonfinite": "go_back", "schedule.checkpoint_every": "1 steps",
              "train.max_steps": 60, "train.seed": 5}  # fmt: skip
    driven, _, training = run(rising, values)
    assert driven.exit_code == ExitCode.FAILED
    started = [started.first_step for started in driven.events(e.TrainingStarted)]
    assert len(started) == 4 and len(set(started[1:])) == 1
    rates = [changed.values["train.learning_rate"] for changed in driven.events(e.SettingsChanged)]
    assert rates == [0.05, 0.025, 0.0125]
    assert training.finished is not None and training.finished.reason == "diverged"


def test_a_loss_that_is_no_number_once_is_told_and_the_training_goes_on(rising: Starter) -> None:
    values = {"recipe.bad_row": 3, "recipe.poison": "added", "train.max_steps": 16}
    driven, state, training = run(rising, values)
    assert driven.exit_code == ExitCode.DONE
    assert weight(driven.session.folder.path / "model") == pytest.approx(1.6), "every step was made"
    (found,) = driven.events(e.NonFiniteFound)
    assert (found.what, found.certain) == ("loss", False)
    assert training.nonfinite_steps == 1 and training.nonfinite is None
    texts = [line.text for line in state.log]
    assert any(f"the loss is not finite since step {found.since}" in text for text in texts)
    if found.since < 16:  # nothing is finite again after the last step
        (again,) = driven.events(e.FiniteAgain)
        assert (again.step, again.steps) == (found.since + 1, 1)


def test_ten_losses_in_a_row_that_are_no_numbers_end_it_though_its_weights_are_finite(rising: Starter) -> None:
    Path(str(rising.settings.model.recipe).rpartition(":")[0]).write_text(
        RECIPE.replace('return {"loss": loss * float("nan")}', 'return {"loss": loss + float("nan")}')
    )
    driven, state, _ = run(rising, {**DIVERGES, "train.max_steps": 200, "schedule.keep_checkpoints": 1})
    assert driven.exit_code == ExitCode.FAILED
    assert "10 losses or more in a row not finite, since step 12" in state.reason
    assert weight(driven.session.folder.path / "model") == pytest.approx(0.8)
    assert saved_steps(driven.session.folder) == [8], (
        "no checkpoint of that stretch has taken the place of the good one"
    )


def test_a_training_that_goes_on_for_all_of_them_keeps_its_checkpoints_again_once_losses_are_finite(
    rising: Starter,
) -> None:
    recipe = Path(str(rising.settings.model.recipe).rpartition(":")[0])
    stretch = RECIPE.replace(
        "if not float(self.weight.detach()) <= self.limit:", "if self.limit < float(self.weight.detach()) < 2.35:"
    )
    recipe.write_text(stretch.replace('return {"loss": loss * float("nan")}', 'return {"loss": loss + float("nan")}'))
    values = {**DIVERGES, "train.max_steps": 30, "schedule.on_nonfinite": "continue"}
    driven, _, training = run(
        rising, {**values, "schedule.eval_every": "24 steps", "schedule.checkpoint_every": "26 steps"}
    )
    assert driven.exit_code == ExitCode.DONE
    assert [found.since for found in driven.events(e.NonFiniteFound) if found.certain] == [12]
    assert [(again.step, again.steps) for again in driven.events(e.FiniteAgain)] == [(25, 13)]
    assert 26 in saved_steps(driven.session.folder) and training.nonfinite is None


def test_a_training_that_goes_on_after_it_diverged_begins_with_the_good_checkpoint_at_the_new_rate(
    rising: Starter,
) -> None:
    driven, _, _ = run(rising, {**DIVERGES, "schedule.checkpoint_every": "1 steps", "schedule.keep_checkpoints": 9})
    folder = driven.session.folder
    assert max(saved_steps(folder)) == 11, "its own weight is finite, the loss after it is not"
    again = rising.resumed(folder, in_thread=True, changes={"train.learning_rate": 0.02})
    again.end()
    assert again.exit_code == ExitCode.DONE
    assert again.events(e.TrainingStarted)[-1].first_step == 10
    assert weight(folder.path / "model") == pytest.approx(1.0 + 2 * 0.02)
    assert present_settings(folder).train.learning_rate == 0.02


def test_the_rate_can_be_lowered_while_it_goes_on(rising: Starter) -> None:
    driven = rising.training(in_thread=True, values={"train.max_steps": 100_000})
    driven.until(lambda state: state.training is not None and state.training.step >= 3)
    driven.session.send(c.Set(values={"train.learning_rate": 0.01}))
    driven.until(lambda state: state.training is not None and bool(state.training.changed))
    driven.session.send(c.Stop())
    driven.end()
    (changed, *_) = driven.events(e.SettingsChanged)
    rates = {step.step: step.lr for step in driven.events(e.StepCompleted)}
    assert {rate for step, rate in rates.items() if step > changed.step + 1} == {0.01}


def test_levers_are_offered_while_it_goes_on_and_the_one_taken_is_followed(rising: Starter) -> None:
    driven = rising.training(
        in_thread=True, values={**DIVERGES, "train.max_steps": 100_000, "schedule.on_nonfinite": "continue"}
    )
    state = driven.until(lambda state: state.training is not None and any(
        lever.changes == {"schedule.on_nonfinite": "stop"} for lever in state.training.levers
    ))  # fmt: skip
    assert state.training is not None
    words = {lever.lever: lever.changes for lever in state.training.levers if lever.kind == "not_finite"}
    assert words["go back to step 8 at half the learning rate"] == {"schedule.on_nonfinite": "go_back"}
    driven.session.send(c.Set(values={"schedule.on_nonfinite": "stop"}))
    state = driven.end()
    assert driven.exit_code == ExitCode.FAILED
    assert state.training is not None and state.training.step < 100_000


def test_stopping_a_training_of_nan_fails_it(rising: Starter) -> None:
    driven = rising.training(
        in_thread=True, values={**DIVERGES, "train.max_steps": 100_000, "schedule.on_nonfinite": "continue"}
    )
    driven.until(lambda state: state.training is not None and state.training.nonfinite_steps > 0)
    driven.session.send(c.Stop())
    state = driven.end()
    assert (driven.exit_code, state.outcome) == (ExitCode.FAILED, "failed")
    assert weight(driven.session.folder.path / "model") == pytest.approx(0.8)


def test_patience_counts_evaluations_that_are_no_numbers_and_none_is_the_best(rising: Starter) -> None:
    Path(str(rising.settings.model.recipe).rpartition(":")[0]).write_text(
        RECIPE.replace("not float(self.weight.detach()) <= self.limit", "not self.training")
    )
    values = {"schedule.eval_every": "2 steps", "schedule.patience": 3, "schedule.save_only_best": True}
    driven, state, training = run(rising, {**values, "train.max_steps": 40})
    evaluations = driven.events(e.EvaluationCompleted)
    assert [(done.loss, done.nonfinite, done.best) for done in evaluations] == [(None, True, False)] * 3
    assert training.finished is not None
    assert (training.finished.reason, training.finished.steps) == ("patience", 6)
    assert training.best is None
    assert any("eval 2: loss not finite" in line.text and line.level == "warning" for line in state.log)
    assert any("no loss that is finite for 3 evaluations in a row" in line.text for line in state.log)


def test_weights_that_are_no_numbers_to_begin_with_are_refused_by_name(rising: Starter) -> None:
    path = Path(str(rising.settings.model.recipe).rpartition(":")[0])
    path.write_text(RECIPE.replace("torch.zeros(1)", 'torch.full((1,), float("inf"))'))
    driven = rising.training(in_thread=True)
    state = driven.end()
    assert driven.exit_code == ExitCode.FAILED
    assert state.reason == "weight: the weights are not finite before the first step"
    assert not driven.events(e.StepCompleted)


def test_a_training_that_diverged_is_not_started_again_by_a_session_that_restarts_workers(rising: Starter) -> None:
    driven, _, _ = run(rising, {**DIVERGES, "train.max_steps": 60, "schedule.checkpoint_every": "never"})
    folder = driven.session.folder
    with hold_lock(folder.owner_lock):
        assert execute(folder, restartable=True) is ExitCode.FAILED
    assert [end.exit_code for end in driven.events(e.RunFinished)] == [ExitCode.FAILED] * 2


def test_its_tables_tell_what_was_not_finite_from_what_was_not_measured(rising: Starter, tmp_path: Path) -> None:
    values = {"recipe.bad_row": 3, "recipe.poison": "added", "train.max_steps": 16}
    driven, _, _ = run(rising, values)
    write_tables(read_events(driven.session.folder.events), tmp_path)
    with (tmp_path / "steps.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["nonfinite_steps"]) for row in rows) == 1
    assert all(row["loss"] or row["nonfinite_steps"] == row["steps"] for row in rows)
