"""What a run is trained with: its configuration, the trial that it trains, what was changed since."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings
from speedtui.engine.report.compose import costs_of
from speedtui.engine.report.present import present_settings
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState, fold
from tests.engine.events_of_a_run import candidate, started, step, study, training

ASKED = Settings(
    model=ModelSettings(path="/tiny"), data=DataSettings(train="/t.jsonl", eval="/e.jsonl", prompt="q", response="a")
)
TRIED = msgspec.structs.replace(
    candidate(2, micro=4), values={"train.micro_batch_size": 4, "train.lora.r": 4, "schedule.eval_every": "9 steps"}
)


def changed(**values: str) -> e.SettingsChanged:
    return e.SettingsChanged(
        t=20.0, step=3, values={f"schedule.{name}": value for name, value in values.items()}, reason="set"
    )


def events() -> list[e.AnyEvent]:
    """A study whose second candidate was edited, trained and then changed."""
    edited = e.CandidateEdited(t=2.0, candidate=TRIED)
    begun = training(trial=2, micro_batch_size=4, grad_accum_steps=4)
    return [
        started(job="demo", config=msgspec.to_builtins(ASKED)), study(0, 1, 2), edited, begun, step(1),
        changed(fast_eval_every="3 steps"), step(2),
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder(tmp_path / "r1")
    found.path.mkdir()
    found.config.write_text(dump_settings(ASKED))
    found.events.write_bytes(b"".join(e.encode(event) + b"\n" for event in events()) + b'{"type":"settings_changed",')
    return found


def test_a_trial_that_is_trained_in_the_run_of_its_study_gives_the_settings_in_use(folder: RunFolder) -> None:
    run = fold(events())
    present = present_settings(folder)
    assert (present.train.micro_batch_size, present.train.lora.r) == (4, 4)
    assert (present.schedule.eval_every, present.schedule.fast_eval_every) == ("9 steps", "3 steps")
    assert present == recorded_settings(run.config, "the run", run.laid_over)
    assert run.schedule == msgspec.to_builtins(present.schedule)


def test_without_a_training_they_are_the_configuration_as_it_stands(folder: RunFolder) -> None:
    before = events()[:3]
    folder.events.write_bytes(b"".join(e.encode(event) + b"\n" for event in before))
    assert fold(before).laid_over == RunState().laid_over == {}
    assert present_settings(folder) == ASKED


def test_what_a_finished_training_changed_is_not_what_the_next_one_has(folder: RunFolder) -> None:
    over = e.TrainingFinished(
        t=30.0, reason="steps", steps=2, seconds=20.0, first_loss=2.0, last_loss=1.0, model_path=None
    )
    again = training(t=40.0, trial=1)
    with folder.events.open("ab") as log:
        log.write(b"\n" + b"".join(e.encode(event) + b"\n" for event in (over, again)))
    present = present_settings(folder)
    assert (present.train.micro_batch_size, present.train.lora.r) == (2, ASKED.train.lora.r)
    assert present.schedule == ASKED.schedule


def test_costs_are_named_by_the_schedule_that_was_in_use() -> None:
    books = e.Books(wall=100.0, phases={"eval": 40.0, "generate": 20.0, "forward": 40.0}, unaccounted=0.0)
    seen: list[e.AnyEvent] = [step(54)]
    seen += [
        e.EvaluationCompleted(t=11.0, step=at, loss=1.0, seconds=30.0, rows=4, kind="full") for at in range(9, 55, 9)
    ]
    run = msgspec.structs.replace(fold([*events(), *seen]), books=books, job="train")
    (cost, *_) = costs_of(run)
    assert "every 9 steps" in cost.lever
