"""Whatever a command answers comes true, or it is refused: every command, to a training, a study and a plan.

The jobs run in this thread; the recipe's own model says when a command is sent, so that it comes at a known step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, get_args

import pytest

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import ModelSettings, ScheduleSettings, SearchSettings, Settings, TrainSettings
from speedtui.engine.config.window import Window
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order, PlanOrder, write_order
from speedtui.engine.errors import ExitCode
from speedtui.engine.jobs.execute import execute
from speedtui.engine.log.commands import append_command
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.session.new_run import create_run

STEPS = 6
RECIPE = """
    import sys
    import torch
    from torch import nn
    from speedtui.engine.workload import Recipe

    test_answers = sys.modules["TESTS"]

    class Regression(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 1)

        def forward(self, x, y):
            test_answers.called(training=self.training)
            return {"loss": (self.layer(x).squeeze(-1) - y).square().mean()}

    def samples(count):
        return [{"x": torch.full((3,), float(i)), "y": torch.tensor(float(i))} for i in range(count)]

    def with_evaluation():
        return Recipe(model=Regression(), train_dataset=samples(24), eval_dataset=samples(8))

    def without():
        return Recipe(model=Regression(), train_dataset=samples(24))
"""

_hooks: list[Callable[[bool], None]] = []


def called(*, training: bool) -> None:
    """A forward pass of the recipe's model."""
    for hook in _hooks:
        hook(training)


class Sender:
    """Sends commands in the forward pass of a certain micro-batch, or of a certain batch of an evaluation."""

    def __init__(self, folder: RunFolder, commands: list[c.AnyCommand], *, at: int, training: bool = True) -> None:
        self.folder, self.commands, self.at, self.training = folder, commands, at, training
        self.context: JobContext | None = None
        self._passes, self._begun = 0, False

    def __call__(self, training: bool) -> None:
        self._begun = self._begun or training
        if self.context is None or training is not self.training or not self._begun:
            return  # what the losses are weighed with at loading is no evaluation
        self._passes += 1
        if self._passes == self.at:
            for command in self.commands:
                append_command(self.folder.commands, command)
            self.context.log.flush()  # which reads them: the next boundary follows them


def settings(folder: Path, *, evaluated: bool, **values: Any) -> Settings:
    path = folder / "recipe.py"
    path.write_text(dedent(RECIPE).replace("TESTS", __name__))
    plain = Settings(
        model=ModelSettings(kind="python", recipe=f"{path}:{'with_evaluation' if evaluated else 'without'}"),
        train=TrainSettings(effective_batch_size=4, micro_batch_size=4, max_steps=STEPS, method="full"),
        schedule=ScheduleSettings(eval_every="3 steps", checkpoint_every="never", check_evaluation=False),
        search=SearchSettings(batches=3, early_stop=False),
    )  # fmt: skip
    return with_values(plain, {name.replace("__", "."): value for name, value in values.items()}, "test")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., RunFolder]]:
    def run_job(asked: Settings, order: Order, commands: list[c.AnyCommand], **when: Any) -> RunFolder:
        folder = create_run(tmp_path / "runs", order.job)
        folder.config.write_text(dump_settings(asked))
        write_order(folder, order)
        sender = Sender(folder, commands, **{"at": 2, **when})
        _hooks.append(sender)

        def started(context: JobContext) -> None:
            sender.context = context

        execute(folder, started)
        return folder

    yield run_job
    _hooks.clear()


def of(folder: RunFolder, kind: type[Any]) -> list[Any]:
    return [event for event in read_events(folder.events) if isinstance(event, kind)]


def answer(folder: RunFolder, command: c.AnyCommand) -> str:
    """`refused: why` or what was said of it; exactly one answer."""
    (event,) = [one for one in of(folder, e.CommandApplied) + of(folder, e.CommandRefused) if one.id == command.id]
    return f"refused: {event.reason}" if isinstance(event, e.CommandRefused) else event.detail


def order(job: e.Job = "train", **more: Any) -> Order:
    return Order(job=job, started_at=time.time(), train_command=["speedtui", "train"], **more)


def evaluated(folder: RunFolder) -> list[int]:
    return [event.step for event in of(folder, e.EvaluationCompleted)]


def saved(folder: RunFolder) -> list[tuple[int, str]]:
    return [(event.step, event.reason) for event in of(folder, e.CheckpointSaved) if not event.final]


# -- a training ----------------------------------------------------------------------------------------

NOT_HERE = "refused: this run has nothing it could apply to now"
OF_A_STUDY: list[c.AnyCommand] = [
    c.Finish(), c.AddCandidate(values={"train.micro_batch_size": 2}, queued=True), c.EditCandidate(trial=0, values={}),
    c.RemoveCandidate(trial=0), c.RunTrial(trial=0), c.RunAll(), c.StopTrial(trial=0), c.Promote(trial=0),
]  # fmt: skip
OF_A_TRAINING: dict[str, tuple[c.AnyCommand, str, Callable[[RunFolder], bool]]] = {
    "evaluate": (c.Evaluate(), "after this step", lambda run: evaluated(run) == [2, 3, 6]),
    "checkpoint": (c.Checkpoint(), "after this step", lambda run: saved(run) == [(2, "command")]),
    "mark": (c.Note(text="here"), "", lambda run: "marked: here" in [event.text for event in of(run, e.Notice)]),
    "stop": (c.Stop(), "after this step", lambda run: saved(run) == [(2, "stop")] and _steps(run) == 2),
    "cancel": (c.Cancel(), "after this step, without saving", lambda run: not saved(run) and _steps(run) == 2),
    "resume": (c.Resume(), "refused: it is not paused", lambda run: _steps(run) == STEPS),
    "eval_every": (c.Set(values={"eval_every": "2 steps"}), "from this step on",
                   lambda run: evaluated(run) == [2, 4, 6]),
    "checkpoint_every": (c.Set(values={"checkpoint_every": "4 steps"}), "from this step on",
                         lambda run: (4, "schedule") in saved(run)),
    "max_steps": (c.Set(values={"max_steps": 4}), "from this step on", lambda run: _steps(run) == 4),
    "micro_batch_size": (c.Set(values={"micro_batch_size": 2}), "as soon as a checkpoint is saved, after this step",
                         lambda run: [one.label for one in of(run, e.TrainingStarted)] == ["mb4 ga1", "mb2 ga2"]
                         and (2, "change") in saved(run)),
    "the same": (c.Set(values={"eval_every": "3 steps"}), "refused: that is what it is set to already",
                 lambda run: evaluated(run) == [3, 6]),
    "no deadline": (c.Set(values={"lr_ends_at_deadline": True}),
                    "refused: the run has no deadline, so that schedule.lr_ends_at_deadline changes nothing",
                    lambda run: not of(run, e.SettingsChanged)),
}  # fmt: skip


def _steps(folder: RunFolder) -> int:
    return max(int(event.step) for event in of(folder, e.StepCompleted))


@pytest.mark.parametrize("name", OF_A_TRAINING)
def test_what_a_training_answers_in_its_midst_comes_true(
    run: Callable[..., RunFolder], tmp_path: Path, name: str
) -> None:
    command, said, holds = OF_A_TRAINING[name]
    folder = run(settings(tmp_path, evaluated=True), order(), [command])
    assert answer(folder, command).startswith(said)
    assert holds(folder), (evaluated(folder), saved(folder), _steps(folder))


def test_a_training_refuses_what_is_for_studies_and_pauses_until_it_is_resumed(
    run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    pause, resume = c.Pause(), c.Resume()
    meanwhile: list[c.AnyCommand] = [c.Evaluate(), c.Checkpoint()]
    asked = settings(tmp_path, evaluated=True)

    def go_on() -> None:
        while True:
            time.sleep(0.01)
            for path in (tmp_path / "runs").glob("*/events.jsonl"):
                if b'"type":"paused"' in path.read_bytes():
                    for command in (*meanwhile, resume):
                        append_command(RunFolder(path.parent).commands, command)
                    return

    waiting = threading.Thread(target=go_on)
    waiting.start()
    folder = run(asked, order(), [*OF_A_STUDY, pause])
    waiting.join()
    assert {answer(folder, command) for command in OF_A_STUDY} == {NOT_HERE}
    assert (answer(folder, pause), answer(folder, resume)) == ("", "")
    assert {answer(folder, command) for command in meanwhile} == {"when it goes on"}
    assert (evaluated(folder), saved(folder)) == ([2, 3, 6], [(2, "command")])
    assert len(of(folder, e.Paused)) == len(of(folder, e.Resumed)) == 1
    assert _steps(folder) == STEPS
    asked_of = {type(one) for one in OF_A_STUDY} | {type(one) for one, _, _ in OF_A_TRAINING.values()} | {c.Pause}
    assert asked_of == set(get_args(c.AnyCommand))


WITHOUT_DATA = "refused: there is no evaluation data"
OF_EVALUATIONS: list[c.AnyCommand] = [
    c.Evaluate(), c.Set(values={"eval_every": 30}), c.Set(values={"fast_eval_every": 2}), c.Set(values={"patience": 2}),
    c.Set(values={"save_only_best": True}), c.Set(values={"eval_share": 0.1}), c.Set(values={"generate": True}),
]  # fmt: skip


def test_without_evaluation_data_nothing_about_evaluations_is_acknowledged(
    run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    checkpoint = c.Checkpoint()
    folder = run(settings(tmp_path, evaluated=False), order(), [*OF_EVALUATIONS, checkpoint])
    for command in OF_EVALUATIONS:
        assert answer(folder, command).startswith(WITHOUT_DATA), command
    assert (evaluated(folder), of(folder, e.SettingsChanged)) == ([], [])
    assert answer(folder, checkpoint) == "after this step" and saved(folder) == [(2, "command")]
    warned = [event.text for event in of(folder, e.Notice) if event.level == "warning"]
    assert "schedule.eval_every 3 steps: there is no evaluation data, so nothing is evaluated" in warned


LAST = "refused: the last step is made"


def test_at_the_last_step_only_what_still_comes_is_acknowledged(run: Callable[..., RunFolder], tmp_path: Path) -> None:
    commands: list[c.AnyCommand] = [
        c.Checkpoint(), c.Set(values={"micro_batch_size": 2}), c.Set(values={"checkpoint_every": 2}), c.Evaluate(),
    ]  # fmt: skip
    asked = settings(tmp_path, evaluated=True, schedule__eval_every="never")
    folder = run(asked, order(), commands, at=STEPS)
    assert answer(folder, commands[0]) == f"{LAST}: what is saved now is the model"
    assert answer(folder, commands[1]) == answer(folder, commands[2]) == f"{LAST}, so that nothing would come of it"
    assert answer(folder, commands[3]).startswith("after this step") and evaluated(folder) == [STEPS]
    assert saved(folder) == [] and of(folder, e.SettingsChanged) == []


@pytest.mark.parametrize("last", [False, True])
def test_in_an_evaluation_only_what_still_comes_is_acknowledged(
    run: Callable[..., RunFolder], tmp_path: Path, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speedtui.engine.trainer.schedule.LOOK_SECONDS", 0.0)  # commands are looked at in each batch
    commands: list[c.AnyCommand] = [c.Evaluate(), c.Checkpoint(), c.Set(values={"keep_checkpoints": 2})]
    asked = settings(tmp_path, evaluated=True, schedule__eval_batch_size=1)
    batch = 2 + (8 if last else 0)  # of the eight of an evaluation
    folder = run(asked, order(), commands, at=batch, training=False)
    said = [answer(folder, command) for command in commands]
    assert said[0] == "refused: an evaluation is being made"
    if last:
        assert said[1:] == [f"{LAST}: what is saved now is the model", f"{LAST}, so that nothing would come of it"]
        assert saved(folder) == []
    else:
        assert said[1:] == ["after this evaluation", "from this step on"]
        assert saved(folder) == [(3, "command")]
    assert evaluated(folder) == [3, STEPS]


def test_where_only_saving_is_left_before_the_deadline_nothing_else_is_acknowledged(
    run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    over = Window(deadline=time.time() - 1.0, margin_seconds=0.0)
    commands: list[c.AnyCommand] = [c.Evaluate(), c.Checkpoint(), c.Set(values={"checkpoint_every": 2})]
    folder = run(settings(tmp_path, evaluated=True), order(window=over), commands, at=1)
    for command in commands:
        assert answer(folder, command).startswith("refused: only the time to save is left before the deadline")
    assert (evaluated(folder), [reason for _, reason in saved(folder)]) == ([], ["deadline"])


def test_a_run_is_not_cut_within_its_warm_up(run: Callable[..., RunFolder], tmp_path: Path) -> None:
    command = c.Set(values={"max_steps": 4})
    folder = run(settings(tmp_path, evaluated=False, train__lr_warmup_steps=4), order(), [command])
    assert answer(folder, command) == "refused: train.max_steps 4 would end the run within its warm-up of 4 steps"
    assert _steps(folder) == STEPS


# -- a study and a plan --------------------------------------------------------------------------------


def test_what_a_study_answers_comes_true(run: Callable[..., RunFolder], tmp_path: Path) -> None:
    asked = settings(tmp_path, evaluated=False)
    candidates = [
        make_candidate(n, {"train.micro_batch_size": size}, asked, "test") for n, size in enumerate((1, 2, 4))
    ]
    add = c.AddCandidate(values={"train.loader_workers": 0, "train.micro_batch_size": 1}, queued=True)
    edit = c.EditCandidate(trial=1, values={"train.micro_batch_size": 4, "train.learning_rate": 0.5})
    remove, stop, promote = c.RemoveCandidate(trial=2), c.StopTrial(trial=0), c.Promote(trial=1)
    again, every, finish = c.RunTrial(trial=1), c.RunAll(), c.Finish()
    elsewhere: list[c.AnyCommand] = [c.Evaluate(), c.Checkpoint(), c.Set(values={"eval_every": 3})]
    folder = run(
        asked, order("tune", mode="configs", candidates=candidates),
        [add, edit, remove, stop, promote, again, every, finish, *elsewhere],
    )  # fmt: skip
    results = {event.trial: event.result for event in of(folder, e.TrialFinished)}
    assert (results[0].status, results[0].reason) == (TrialStatus.PRUNED, "stopped by hand")
    assert results[3].status in (TrialStatus.OK, TrialStatus.PRUNED) and answer(folder, add) == ""
    assert results.keys() == {0, 1, 3}, "2 was removed"
    (edited,) = of(folder, e.CandidateEdited)
    assert edited.candidate.micro_batch_size == 4 and "lr 0.5" in edited.candidate.label
    assert answer(folder, promote) == "#1: train.toml and train.sh written"
    assert "learning_rate = 0.5" in (folder.path / "train.toml").read_text()
    assert answer(folder, again) == "refused: #1 is queued already"
    assert answer(folder, every) == "refused: every candidate has a result or is queued"
    assert {answer(folder, command) for command in elsewhere} == {NOT_HERE}


def test_a_study_whose_budget_is_spent_queues_nothing_and_says_of_the_queued_what_became_of_them(
    run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    asked = settings(tmp_path, evaluated=False, search__budget="1ms")
    candidates = [make_candidate(n, {"train.micro_batch_size": size}, asked, "test") for n, size in enumerate((1, 2))]
    folder = run(asked, order("tune", mode="configs", candidates=candidates), [])
    results = {event.trial: event.result for event in of(folder, e.TrialFinished)}
    assert results.keys() == {0, 1}
    assert results[1].status is TrialStatus.TIMED_OUT and results[1].reason == "the budget of 1.0 ms is spent"
    assert "budget" in results[0].reason


def test_a_promotion_that_cannot_be_written_is_refused_and_the_study_goes_on(
    run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    asked = settings(tmp_path, evaluated=False)
    candidates = [make_candidate(0, {"train.micro_batch_size": 2}, asked, "test")]
    promote = c.Promote(trial=0)

    def block(training: bool) -> None:
        for folder in (tmp_path / "runs").glob("*-tune-*"):
            (folder / "train.toml").mkdir(exist_ok=True)

    _hooks.append(block)
    folder = run(asked, order("tune", mode="configs", candidates=candidates), [promote])
    assert answer(folder, promote).startswith(f"refused: {folder.path / 'train.toml'} cannot be written: ")
    (result,) = of(folder, e.TrialFinished)
    assert result.result.status is TrialStatus.OK


def test_a_plan_tries_what_is_added_while_it_probes(run: Callable[..., RunFolder], tmp_path: Path) -> None:
    add, elsewhere = c.AddCandidate(values={"train.weight_decay": 0.25}, queued=True), c.Evaluate()
    asked = settings(tmp_path, evaluated=False)
    folder = run(asked, order("plan", mode="plan", plan=PlanOrder(written=("train.effective_batch_size",))),
                 [add, elsewhere])  # fmt: skip
    (added,) = [event.candidate for event in of(folder, e.CandidateAdded) if event.candidate.values == add.values]
    assert added.id in {event.trial for event in of(folder, e.TrialFinished)}
    assert answer(folder, elsewhere) == NOT_HERE
    assert of(folder, e.RunFinished)[0].exit_code == ExitCode.DONE


def test_a_profile_that_a_plan_did_not_try_rests_on_the_plans_own_trial_and_on_no_earlier_run(
    run: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))  # else other tests' runs are earlier ones
    remove = c.RemoveCandidate(trial=1)
    planned = order("plan", mode="plan", plan=PlanOrder(written=("train.effective_batch_size",)))
    folder = run(settings(tmp_path, evaluated=False), planned, [remove])
    assert {event.trial for event in of(folder, e.CandidateRemoved)} == {1}, answer(folder, remove)
    (made,) = of(folder, e.PlanMade)
    assert "history" not in {row.source for row in made.plan.profiles}
    assert any("computed from the curve of mb" in row.note for row in made.plan.profiles)
