"""What a job promises, whether it runs in a worker process or in the session's own thread."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.errors import ExitCode
from speedtui.engine.log.tail import read_events
from speedtui.engine.state import RunState, RunStatus, fold
from speedtui.engine.units import format_budget
from tests.engine.session.conftest import Driven, Starter, tiny_settings, tried

WAYS = [pytest.param(False, id="process", marks=pytest.mark.slow), pytest.param(True, id="thread")]
both = pytest.mark.parametrize("in_thread", WAYS)


@pytest.fixture(scope="module", params=WAYS)
def studied(
    request: pytest.FixtureRequest, material: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Driven, RunState]]:
    """A study that has come to its end, and what was shown then."""
    starter = Starter(tmp_path_factory.mktemp("studied") / "runs", tiny_settings(material))
    study = starter.study(in_thread=request.param)
    yield study, study.end()
    starter.clean_up()


def test_a_study_tries_every_candidate_on_a_model_that_is_loaded_once(studied: tuple[Driven, RunState]) -> None:
    study, state = studied
    assert study.exit_code is ExitCode.DONE
    assert state.outcome == "ok"
    assert state.study is not None
    assert [row.status for row in state.study.rows] == [TrialStatus.OK] * 3
    assert len(study.events(e.ModelLoaded)) == 1
    for row in state.study.rows:
        assert row.result is not None and row.result.measurement is not None and row.result.memory is not None
        assert row.result.measurement.batches >= 4
        assert row.result.base_weights_unchanged
        assert row.result.memory.peak_bytes is not None
    peaks = [row.result.memory.peak_bytes for row in state.study.rows if row.result and row.result.memory]
    assert peaks == sorted(peaks), "a larger micro-batch of the longest sample takes more"


def test_the_log_alone_gives_the_state_that_the_session_showed(studied: tuple[Driven, RunState]) -> None:
    study, shown = studied
    assert fold(read_events(study.session.folder.events)) == shown


def test_a_study_leaves_its_results_and_a_command_that_trains(studied: tuple[Driven, RunState]) -> None:
    folder = studied[0].session.folder.path
    trials = json.loads((folder / "trials.json").read_text())
    assert [t["effective_batch_size"] for t in trials] == [8, 8, 8]
    assert all(t["samples_per_second"] > 0 and t["peak_allocated_bytes"] > 0 for t in trials)
    report = json.loads((folder / "report.json").read_text())
    fastest = max(trials, key=lambda t: t["samples_per_second"])
    assert report["trial"] == fastest["trial"]
    estimate = report["estimate"]
    assert estimate["p50_seconds"] == pytest.approx(sum(estimate["terms"].values()), abs=0.1)
    assert estimate["p50_seconds"] <= estimate["p90_seconds"]
    assert (estimate["total_steps"], estimate["evals"], estimate["saves"]) == (12, 2, 3)
    assert report["dataset"]["train_rows"] + report["dataset"]["dropped_rows"] == 240
    assert "speedtui train" in (folder / "train.sh").read_text()
    assert (folder / "train.sh").stat().st_mode & 0o100


@both
def test_a_training_learns_evaluates_saves_and_closes_its_books(start: Starter, in_thread: bool) -> None:
    training = start.training(in_thread=in_thread)
    state = training.end()
    assert (training.exit_code, state.outcome) == (ExitCode.DONE, "ok")
    assert state.training is not None and state.training.finished is not None
    assert state.training.finished.first_loss is not None and state.training.finished.last_loss is not None
    assert state.training.finished.last_loss < state.training.finished.first_loss
    assert [event.step for event in training.events(e.EvaluationCompleted)] == [6, 12]
    assert [(x.step, x.final) for x in training.events(e.CheckpointSaved)] == [
        (2, False), (4, False), (8, False), (12, True),
    ]  # fmt: skip
    AutoModelForCausalLM.from_pretrained(state.training.finished.model_path)
    assert state.books is not None
    assert abs(state.books.wall - sum(state.books.phases.values())) <= 0.01 * state.books.wall
    assert {"load", "data", "forward", "backward", "optimizer", "eval", "checkpoint"} <= set(state.books.phases)


@both
def test_a_held_study_takes_candidates_from_the_keyboard_until_it_is_finished(start: Starter, in_thread: bool) -> None:
    study = start.study(in_thread=in_thread, queued=False, hold=True)
    study.until(lambda s: s.status is RunStatus.IDLE)
    study.session.send(c.AddCandidate(values={"micro_batch_size": 8}))
    study.session.send(c.EditCandidate(trial=0, values={"micro_batch_size": 2}))
    study.session.send(c.RemoveCandidate(trial=1))
    study.session.send(c.RunTrial(trial=3))
    state = study.until(lambda s: tried(s) == 1)
    assert state.study is not None
    assert [(r.candidate.id, r.candidate.micro_batch_size, r.status) for r in state.study.rows] == [
        (0, 2, TrialStatus.WAITING), (2, 4, TrialStatus.WAITING), (3, 8, TrialStatus.OK),
    ]  # fmt: skip
    study.session.send(c.RunAll())
    study.until(lambda s: tried(s) == 3)
    study.session.send(c.Promote(trial=2))
    state = study.until(lambda s: s.study is not None and s.study.promoted == 2)
    assert "mb4 ga2" in (study.session.folder.path / "train.sh").read_text()
    study.session.send(c.Finish())
    assert study.end().outcome == "ok"
    assert len(study.events(e.ModelLoaded)) == 1


@both
def test_a_command_that_cannot_be_followed_is_refused_with_its_reason(start: Starter, in_thread: bool) -> None:
    study = start.study(in_thread=in_thread, queued=False, hold=True)
    study.until(lambda s: s.status is RunStatus.IDLE)
    refused: list[tuple[c.AnyCommand, str]] = [
        (c.AddCandidate(values={"micro_batch_size": 3}), "does not divide"),
        (c.EditCandidate(trial=0, values={"micro_batch": 3}), "did you mean train.micro_batch_size"),
        (c.RunTrial(trial=9), "there is no #9"),
        (c.StopTrial(trial=0), "neither running nor queued"),
        (c.Resume(), "not paused"),
        (c.Evaluate(), "nothing it could apply to"),
    ]
    for command, _ in refused:
        study.session.send(command)
    study.session.send(c.Finish())
    study.end()
    answers = {event.id: event.reason for event in study.events(e.CommandRefused)}
    for command, reason in refused:
        assert reason in answers[command.id]


@both
def test_a_paused_training_makes_no_step_until_it_is_resumed(start: Starter, in_thread: bool) -> None:
    training = start.training(in_thread=in_thread, values={"train.max_steps": 40, "schedule.checkpoint_every": "never"})
    training.until(lambda s: s.training is not None and s.training.step >= 2)
    training.session.send(c.Pause())
    paused = training.until(lambda s: s.status is RunStatus.PAUSED)
    training.session.send(c.Checkpoint())
    training.session.send(c.Evaluate())
    training.until(lambda s: sum("checkpoint" in x.text for x in s.log) > 0)
    assert training.session.snapshot().training is not None
    assert training.session.snapshot().training.step == paused.training.step  # type: ignore[union-attr]
    training.session.send(c.Resume())
    state = training.end()
    assert state.training is not None and state.training.step == 40
    assert len([x for x in training.events(e.CheckpointSaved) if not x.final]) == 1


@both
def test_stopping_a_training_saves_a_checkpoint_and_cancelling_does_not(start: Starter, in_thread: bool) -> None:
    for command, saved, code in ((c.Stop(), 1, ExitCode.DONE), (c.Cancel(), 0, ExitCode.INTERRUPTED)):
        training = start.training(
            in_thread=in_thread, values={"train.max_steps": 2000, "schedule.checkpoint_every": "never"}
        )
        training.until(lambda s: s.training is not None and s.training.step >= 2)
        training.session.send(command)
        state = training.end()
        assert (state.outcome, training.exit_code) == ("stopped", code)
        assert len(training.events(e.CheckpointSaved)) == saved


@both
def test_an_interrupted_study_ends_with_a_valid_log_and_its_exit_code(start: Starter, in_thread: bool) -> None:
    study = start.study(in_thread=in_thread, values={"search.batches": 400})
    study.until(lambda s: s.study is not None and s.study.running is not None and s.study.running.batches_done > 2)
    study.session.interrupt(ExitCode.TERMINATED)
    state = study.end()
    assert study.exit_code is ExitCode.TERMINATED
    assert (state.outcome, state.exit_code) == ("stopped", 143)
    assert state.study is not None
    assert state.study.rows[0].status is TrialStatus.PRUNED


@both
def test_a_trial_can_be_stopped_while_the_study_goes_on(start: Starter, in_thread: bool) -> None:
    study = start.study(in_thread=in_thread, values={"search.batches": 400}, micro_batches=[1, 2])
    study.until(lambda s: s.study is not None and s.study.running is not None and s.study.running.batches_done > 2)
    study.session.send(c.StopTrial(trial=0))
    state = study.until(lambda s: s.study is not None and s.study.rows[1].status is TrialStatus.RUNNING)
    assert state.study is not None and state.study.rows[0].result is not None
    assert state.study.rows[0].result.reason == "stopped by hand"
    study.session.send(c.Cancel())
    study.end()


@both
def test_a_spent_budget_ends_the_study_and_says_so(start: Starter, in_thread: bool) -> None:
    study = start.study(in_thread=in_thread, values={"search.budget": "1ms"})
    state = study.end()
    assert (study.exit_code, state.outcome) == (ExitCode.FAILED, "failed")
    spent = f"the budget of {format_budget(0.001)} is spent"
    assert state.reason == f"{spent} before any trial was done"
    assert state.study is not None and state.study.finish_reason == spent
    results = [row.result for row in state.study.rows]
    assert {(x.status, x.reason) for x in results if x is not None} == {(TrialStatus.TIMED_OUT, spent)}
    assert None not in results, "what was queued is told that it will not be run"


@both
def test_a_knob_of_the_recipes_own_reaches_its_build_function(start: Starter, tmp_path: Path, in_thread: bool) -> None:
    (tmp_path / "recipe.py").write_text(WIDTHS)
    (tmp_path / "widths.json").write_text('[{"recipe.width": 3}, {"recipe.width": 5, "micro_batch_size": 4}]')
    study = start.study(
        in_thread=in_thread,
        values={
            "model.kind": "python", "model.path": None, "model.recipe": f"{tmp_path / 'recipe.py'}:build",
            "search.configs": str(tmp_path / "widths.json"),
        },
    )  # fmt: skip
    state = study.end()
    assert state.outcome == "ok"
    assert [loaded.parameters for loaded in study.events(e.ModelLoaded)] == [3 * 8, 5 * 8]
    assert state.study is not None
    assert [row.candidate.label for row in state.study.rows] == ["mb2 ga4 width 3", "mb4 ga2 width 5"]


WIDTHS = """
import torch
from speedtui.engine.workload import Recipe

class Model(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.Linear(8, width, bias=False)

    def forward(self, x):
        return {"loss": self.layer(x).pow(2).mean()}

def build(width):
    return Recipe(model=Model(width), train_dataset=[{"x": torch.randn(8)} for _ in range(32)])
"""


@both
def test_the_first_candidate_can_be_taken_out_while_the_model_loads(start: Starter, in_thread: bool) -> None:
    study = start.study(in_thread=in_thread, micro_batches=[1, 2, 4])
    for command in (c.StopTrial(trial=0), c.RemoveCandidate(trial=1)):
        study.session.send(command)
    state = study.end()
    assert state.outcome == "ok"
    assert state.study is not None
    assert [(r.candidate.id, r.status) for r in state.study.rows] == [(0, TrialStatus.PRUNED), (2, TrialStatus.OK)]


def test_no_more_checkpoints_are_kept_than_configured(start: Starter) -> None:
    training = start.training(in_thread=True, values={"schedule.keep_checkpoints": 1})
    training.end()
    assert [x.step for x in training.events(e.CheckpointSaved) if not x.final] == [2, 4, 8]
    assert [path.name for path in training.session.folder.checkpoints.iterdir()] == ["checkpoint-8"]
