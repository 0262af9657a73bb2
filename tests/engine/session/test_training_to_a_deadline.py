"""What ends a training, what it leaves, and what can be changed while it goes on."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.config.settings import WindowSettings
from speedtui.engine.errors import ExitCode, RunFolderError
from speedtui.engine.report.lookup import find_stage
from speedtui.engine.state.series import Losses
from tests.engine.checkpoint.test_full_disk import own_disk, results_of
from tests.engine.session.conftest import Driven, Starter

pytestmark = pytest.mark.slow


def weights(folder: Path) -> str:
    tensors = load_file(folder / "model.safetensors")
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].numpy().tobytes())
    return digest.hexdigest()


def losses(driven: Driven) -> dict[int, float]:
    return {step.step: step.loss for step in driven.events(e.StepCompleted) if step.steps == 1}


def reach(driven: Driven, step: int) -> None:
    driven.until(lambda state: state.training is not None and state.training.step >= step)


SPOILT: dict[str, Any] = {"train.learning_rate": 3.0, "train.lr_schedule": "constant"}
"""Every step makes the model worse."""


def test_without_a_better_evaluation_the_training_ends(start: Starter) -> None:
    values = {**SPOILT, "train.max_steps": 40, "schedule.eval_every": "2 steps", "schedule.patience": 2}
    driven = start.training(in_thread=True, values=values)
    state = driven.end()
    assert driven.exit_code == ExitCode.DONE
    assert state.training is not None and state.training.finished is not None
    finished = state.training.finished
    assert (finished.reason, finished.total_steps) == ("patience", 40)
    evaluations = driven.events(e.EvaluationCompleted)
    assert [evaluation.best for evaluation in evaluations[-3:]] == [True, False, False]
    assert finished.steps == evaluations[-1].step < 40


def test_the_best_model_is_left_where_only_the_best_is_saved(start: Starter) -> None:
    values = {
        **SPOILT, "train.max_steps": 8, "schedule.eval_every": "2 steps", "schedule.save_only_best": True,
        "schedule.keep_checkpoints": 1,
    }  # fmt: skip
    driven = start.training(in_thread=True, values=values)
    driven.end()
    evaluations = driven.events(e.EvaluationCompleted)
    best = [evaluation.step for evaluation in evaluations if evaluation.best]
    saved = [save.step for save in driven.events(e.CheckpointSaved) if save.reason == "best"]
    assert best == saved
    (finished,) = driven.events(e.TrainingFinished)
    assert finished.best_step == best[-1] < 8
    folder = driven.session.folder
    assert weights(folder.path / "model") == weights(folder.checkpoints / f"checkpoint-{best[-1]}")


def test_a_deadline_that_cannot_be_met_leaves_a_whole_model_in_time(start: Starter) -> None:
    values = {"train.max_steps": 100_000, "window.length": "12s", "window.margin": "2s", "schedule.eval_every": "never"}
    driven = start.training(in_thread=True, values=values)
    state = driven.end()
    assert driven.exit_code == ExitCode.LATE
    assert state.window is not None and state.training is not None and state.training.finished is not None
    finished = state.training.finished
    assert finished.reason == "deadline" and 0 < finished.steps < 100_000
    (final,) = [save for save in driven.events(e.CheckpointSaved) if save.final]
    assert state.started_at + final.t <= state.window.safe_until
    assert weights(Path(final.path))
    assert f"step {finished.steps} of 100000" in state.reason
    assert f"--resume {state.run}" in state.next


def test_a_run_that_goes_on_ends_like_one_that_was_never_stopped(start: Starter) -> None:
    values = {
        "train.max_steps": 30,
        "train.method": "lora",
        "train.lora.dropout": 0.1,
        "schedule.eval_every": "7 steps",
    }
    whole = start.training(in_thread=True, values=values)
    whole.end()
    stopped = start.training(values=values)
    reach(stopped, 5)
    stopped.session.send(c.Stop())
    stopped.end()
    resumed = start.resumed(stopped.session.folder, in_thread=True)
    state = resumed.end()
    assert state.training is not None and state.training.finished is not None
    assert state.training.finished.steps == 30
    expected, got = losses(whole), losses(resumed)
    shared = expected.keys() & got.keys()
    assert len(shared) > 10
    assert {step: got[step] for step in shared} == {step: expected[step] for step in shared}
    name = "adapter_model.safetensors"
    left, right = (load_file(run.session.folder.path / "model" / name) for run in (whole, resumed))
    assert all(left[key].equal(right[key]) for key in left)
    assert state.books is not None
    assert abs(state.books.wall - sum(state.books.phases.values())) <= 0.01 * state.books.wall
    assert state.books.phases["away"] > 0
    finished = state.training.finished
    assert finished.seconds == pytest.approx(state.training.trained_seconds, rel=0.2)
    assert finished.seconds > finished.t - resumed.events(e.TrainingStarted)[-1].t, "the last leg alone"
    lines = [(step.step, step.loss) for step in resumed.events(e.StepCompleted) if step.loss is not None]
    found = Losses()
    for step, loss in lines:
        found.add(step, loss)
    assert (finished.first_loss, finished.last_loss) == pytest.approx(found.means())


def test_the_schedule_changes_at_a_step_boundary(start: Starter) -> None:
    values = {"train.max_steps": 400, "schedule.eval_every": "never"}
    driven = start.training(in_thread=True, values=values)
    reach(driven, 3)
    driven.session.send(c.Set(values={"schedule.eval_every": "5 steps"}))
    driven.until(lambda state: state.training is not None and len(state.training.evaluations) >= 2)
    driven.session.send(c.Stop())
    driven.end()
    (changed,) = driven.events(e.SettingsChanged)
    assert changed.values == {"schedule.eval_every": "5 steps"}
    assert {evaluation.step % 5 for evaluation in driven.events(e.EvaluationCompleted)} == {0}


def test_a_larger_micro_batch_takes_over_and_the_losses_stay_the_same(start: Starter) -> None:
    values = {"train.max_steps": 60, "schedule.eval_every": "never"}
    plain = start.training(in_thread=True, values=values)
    plain.end()
    driven = start.training(values=values)
    reach(driven, 4)
    driven.session.send(c.Set(values={"train.micro_batch_size": 8}))
    state = driven.end()
    assert driven.exit_code == ExitCode.DONE, state.reason
    assert [started.micro_batch_size for started in driven.events(e.TrainingStarted)] == [2, 8]
    assert [save.reason for save in driven.events(e.CheckpointSaved) if not save.final].count("change") == 1
    expected, got = losses(plain), losses(driven)
    for step in expected.keys() & got.keys():
        assert got[step] == pytest.approx(expected[step], rel=2e-3)


def test_a_change_that_takes_a_checkpoint_waits_for_one_on_a_full_disk(tmp_path: Path, material: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = [sys.executable, "-m", "tests.engine.session.changes_on_a_full_disk"]
    done = results_of([*own_disk(disk), *script, str(disk), str(material), str(tmp_path / "runs")])
    (first, second), saved, (changed,) = done["started"], done["saved"], done["changed"]
    assert first == [0, 2]
    at = saved[-1][0]
    assert saved[-1] == [at, "change"] and [reason for _, reason in saved[:-1]] == ["command"]
    assert at >= done["refused"] + 5
    assert second == [at, 8]
    assert changed == [at, {"train.micro_batch_size": 8}]
    assert done["steps"] == sorted(done["steps"])
    assert any("train.micro_batch_size is not changed yet" in text for text in done["notices"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"train.weight_decay": 1.0}, "train.weight_decay cannot be changed while a run goes on"),
        ({"schedule.eval_every": "often"}, "expected 200 steps"),
        ({"train.micro_batch_size": 3}, "does not divide"),
        ({"schedule.eval_every": "6 steps"}, "already"),
        ({"train.max_steps": 1}, "must be between"),
        ({"schedule.eval_every": "5 steps", "schedule.beams": 0}, "schedule.beams must be at least 1"),
    ],
)
def test_what_cannot_be_set_is_refused_with_its_reason(
    start: Starter, values: dict[str, Any], said: str
) -> None:  # fmt: skip
    driven = start.training(in_thread=True, values={"train.max_steps": 400})
    reach(driven, 2)
    driven.session.send(c.Set(values=values))
    driven.until(lambda state: any(" refused: " in line.text for line in state.log))
    driven.session.send(c.Cancel())
    driven.end()
    (refused,) = driven.events(e.CommandRefused)
    assert said in refused.reason
    assert not driven.events(e.SettingsChanged)


def test_the_learning_rate_can_end_at_the_deadline(start: Starter) -> None:
    values = {
        "train.max_steps": 100_000, "window.length": "14s", "window.margin": "1s", "schedule.eval_every": "never",
        "schedule.lr_ends_at_deadline": True, "train.lr_schedule": "linear",
    }  # fmt: skip
    driven = start.training(in_thread=True, values=values)
    driven.end()
    assert driven.exit_code == ExitCode.LATE
    rates = [step.lr for step in driven.events(e.StepCompleted)]
    assert rates[0] > 0.9 * 5e-3
    assert rates[-1] < 0.5 * 5e-3
    assert any("the learning rate ends there" in notice.text for notice in driven.events(e.Notice))
    again = start.resumed(driven.session.folder, in_thread=True, window=WindowSettings(length="24h"))
    reach(again, driven.events(e.StepCompleted)[-1].step + 40)
    again.session.send(c.Stop())
    again.end()
    later = [step.lr for step in again.events(e.StepCompleted)][len(rates) :]
    assert later[-1] > later[0] > 0.9 * rates[-1]


def test_fewer_steps_take_the_learning_rate_with_them(start: Starter) -> None:
    values = {"train.max_steps": 4000, "train.lr_schedule": "linear", "schedule.eval_every": "never"}
    driven = start.training(in_thread=True, values=values)
    reach(driven, 5)
    driven.session.send(c.Set(values={"train.max_steps": 120}))
    state = driven.end()
    assert state.training is not None and state.training.finished is not None
    assert (state.training.finished.steps, state.training.total_steps) == (120, 120)
    assert driven.events(e.StepCompleted)[-1].lr == pytest.approx(0.0, abs=1e-4)


def test_a_second_stage_begins_with_the_first_ones_model(start: Starter) -> None:
    first = start.training(in_thread=True, values={"train.max_steps": 30, "schedule.eval_every": "never"})
    first.end()
    stage = find_stage(start.runs, first.session.folder.id)
    second = start.training(
        in_thread=True, values={**stage.values, "train.max_steps": 3, "schedule.eval_every": "never"}
    )
    second.end()
    begun, ended = losses(second)[1], list(losses(first).values())
    assert begun < (ended[0] + ended[-1]) / 2
    assert any("begins with" in notice.text for notice in second.events(e.Notice))
    with pytest.raises(RunFolderError, match="has made all its 30 steps"):
        start.resumed(first.session.folder)


def test_time_given_anew_goes_with_a_resumed_run(start: Starter) -> None:
    values = {"train.max_steps": 5000, "window.length": "1h", "schedule.eval_every": "never"}
    driven = start.training(in_thread=True, values=values)
    reach(driven, 3)
    driven.session.send(c.Stop())
    driven.end()
    later = WindowSettings(length="2h", margin="10m")
    again = start.resumed(driven.session.folder, in_thread=True, window=later)
    reach(again, 20)
    again.session.send(c.Stop())
    state = again.end()
    assert state.window is not None and state.window.margin_seconds == 600
