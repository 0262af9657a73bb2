"""What `speedtui train` refuses: one line that names the key or file and one that says what to do, nothing lost."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from speedtui.engine import events as e
from speedtui.engine.config.load import dump_settings, load_settings
from speedtui.engine.config.window import JOB_END
from speedtui.engine.context.order import Order, write_order
from speedtui.engine.errors import ExitCode
from speedtui.engine.locks import hold_lock
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder, list_runs
from tests.cli.program import SETTINGS, Ended, Place, pairs
from tests.engine.events_of_a_run import finished, ok, started, study, training

RUN = "20260101-train-ab12"
METRIC = """
import time

def texty(prediction, reference):
    return "fine"

def raising(prediction, row):
    return row["no such column"]

def hanging(prediction):
    time.sleep(1e6)

def named(predictions):
    return {"exact": 0.5, "overlap": 0.1}

def wrong(guess):
    return 1.0

number = 3
"""
EVALUATED: dict[str, Any] = {
    "data": {"eval": "eval.jsonl"},
    "schedule": {"generate": True, "max_new_tokens": 2, "metric_timeout": "1s"},
}


Call = Callable[..., Ended]


@pytest.fixture
def call(call: Call, place: Place) -> Call:
    """With rows to evaluate on."""
    place.write_rows(pairs(4), "eval.jsonl")
    return call


@pytest.fixture
def run(place: Place) -> RunFolder:
    """A training that was stopped before its first checkpoint."""
    return a_run(place, "train")


def a_run(place: Place, job: e.Job, window: dict[str, str] | None = None) -> RunFolder:
    folder = RunFolder(place.folder / "runs" / RUN.replace("train", job))
    folder.path.mkdir(parents=True)
    settings = load_settings(place.folder / "speedtui.toml", {f"window.{k}": v for k, v in (window or {}).items()})
    folder.config.write_text(dump_settings(settings))
    write_order(folder, Order(job=job, started_at=time.time(), train_command=["speedtui", "train"]))
    folder.events.write_bytes(b"".join(e.encode(event) for event in (started(job), training())))
    return folder


def finish(folder: RunFolder, reason: e.EndReason = "steps") -> None:
    end = e.TrainingFinished(
        t=9.0, steps=4, seconds=1.0, first_loss=2.0, last_loss=1.0, model_path=str(folder.path / "model"), reason=reason
    )
    with folder.events.open("ab") as log:
        log.write(e.encode(end))


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"
    }


# -- typed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("--epochs", "0"), "command line: train.epochs must be above zero, got 0", ""),
        (("--restarts", "-1"), "Invalid value for '--restarts': -1 is not in the range x>=0.", "speedtui train --help"),
        (("--runs", "train.jsonl"), "train.jsonl: a file, and no folder of runs", "--runs"),
        (("--data", "absent.jsonl"), "absent.jsonl: no such file", "data.train"),
        (("--eval", "absent.jsonl"), "absent.jsonl: no such file", "data.eval"),
        (("--from", "nowhere"), "nowhere: no run of that name in runs", "speedtui runs"),
        (("--resume", "nowhere"), "nowhere: no run of that name in runs", "speedtui runs"),
        (("--resume", "."), ".: no run of that name in runs", "speedtui runs"),
        (("--resume", RUN, "--epochs", "2"), "--resume goes on with the run as it was", "Leave out --epochs."),
        (("--resume", RUN, "--trial", "0"), "--resume goes on with the run as it was", "Leave out --trial."),
        (("--resume", RUN, "--deadline", "2020-05-01 10:00"),
         "command line: window.deadline 2020-05-01 10:00 is in the past", "Give a later one."),
        (("--resume", RUN, "--window", "10m", "--margin", "20m"),
         "command line: window.margin of 20m 00s leaves nothing of a window of 10m 00s", "Shorten the margin"),
        (("--resume", RUN, "--margin", "5m"), "--margin alone gives a run that goes on no time", "--window"),
        (("--from", RUN), f"--from {RUN}: that run has left no model", f"--resume {RUN}"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_was_typed_and_cannot_work_is_refused(
    call: Call, run: RunFolder, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    before = content(run.path)
    ended = call("train", *arguments)
    assert (ended.code, ended.out) == (ExitCode.USAGE, "")
    assert message in ended.message
    assert hint in ended.hint
    assert content(run.path) == before
    assert len(list_runs(run.path.parent)) == 1


# -- written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"schedule": {"eval_share": 2.0}}, "schedule.eval_share must be between 0 and 1, got 2", "0.05 is 5 %."),
        ({"schedule": {"beams": 0}}, "schedule.beams must be at least 1, got 0", ""),
        ({"schedule": {"best_by": "exact"}}, "schedule.best_by 'exact' needs schedule.metric", '"loss"'),
        ({"schedule": {"metric": "metric.py"}}, "schedule.metric: expected file.py:function, got 'metric.py'", ""),
        ({"schedule": {"metric": "absent.py:f"}}, "absent.py: no such file", "file.py:function"),
        ({"schedule": {"metric": "metric.py:f", "generate": False}}, "schedule.generate is false", "generate = true"),
        ({"data": {"eval": None}}, "schedule.generate answers the samples of data.eval, which is missing",
         "data.validation_share"),
        ({"data": {"eval": None}, "schedule": {"generate": False, "patience": 2}},
         "schedule.patience needs evaluations, and data.eval is missing", "data.eval"),
        ({"data": {"eval": "empty.jsonl"}}, "empty.jsonl: the file is empty", "data.eval"),
        ({"data": {"eval": "blank.jsonl"}}, "blank.jsonl: there are no rows in it", "data.eval"),
        ({"window": {"deadline": "2020-05-01 10:00"}}, "window.deadline 2020-05-01 10:00 is in the past", "later"),
        ({"window": {"length": "10m", "margin": "10m"}}, "window.margin of 10m 00s leaves nothing", "Shorten"),
    ],
)  # fmt: skip
def test_what_was_written_and_cannot_work_is_refused_before_a_worker_starts(
    call: Call, place: Place, changes: dict[str, dict[str, Any]], message: str, hint: str
) -> None:
    place.write("empty.jsonl", "")
    place.write("blank.jsonl", "\n\n")
    place.write("metric.py", METRIC)
    configure(place, changes)
    ended = call("train")
    assert (ended.code, ended.out) == (ExitCode.USAGE, "")
    assert ended.message.startswith("speedtui.toml: ") and message in ended.message
    assert hint in ended.hint
    assert place.untouched


def configure(place: Place, changes: dict[str, dict[str, Any]]) -> None:
    """EVALUATED with some of it changed."""
    tables = EVALUATED.keys() | changes.keys()
    place.configure({table: {**EVALUATED.get(table, {}), **changes.get(table, {})} for table in tables})


# -- found by the worker -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "message", "hint"),
    [
        ({"metric": "metric.py:textt"}, "metric.py: no function textt; did you mean texty?", "It has texty, raising"),
        ({"metric": "metric.py:number"}, "metric.py: number is a int, not a function", "It has texty, raising"),
        ({"metric": "metric.py:wrong"}, "metric.py: wrong needs a parameter guess", "prediction, reference and row"),
        ({"metric": "broken.py:f"}, "broken.py: its import raised ZeroDivisionError: division by zero "
         "(broken.py line 3)", "worker.log"),
        ({"metric": "metric.py:texty"}, "metric.py:texty scores none of 4 samples: it returned a str, not a number",
         "check_evaluation = false"),
        ({"metric": "metric.py:raising"}, "scores none of 4 samples: KeyError: 'no such column' (metric.py line 8)",
         "check_evaluation = false"),
        ({"metric": "metric.py:hanging"}, "scores none of 4 samples: the time for schedule.metric_timeout was up, 1.0",
         "check_evaluation = false"),
        ({"metric": "metric.py:named", "best_by": "exakt"}, "metric.py:named returns no exakt; did you mean exact?",
         "Take one of exact, overlap, loss."),
    ],
    ids=lambda value: value.get("metric", "") if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_metric_that_cannot_work_is_refused_before_the_first_step(
    call: Call, place: Place, schedule: dict[str, Any], message: str, hint: str
) -> None:
    place.write("metric.py", METRIC)
    place.write("broken.py", "\n\n1 / 0\n")
    configure(place, {"schedule": {**EVALUATED["schedule"], **schedule}})
    ended = call("train", "--engine", "thread", "-q")
    assert ended.code == ExitCode.USAGE
    said, todo = ended.err.splitlines()
    assert "Traceback (most recent call last)" in place.run_folder.worker_log.read_text()
    assert said.startswith("speedtui: schedule.") and message in said
    assert hint in todo
    assert not steps(place.run_folder)


def test_a_metric_that_scores_nothing_may_be_kept(call: Call, place: Place) -> None:
    place.write("metric.py", METRIC)
    configure(
        place,
        {
            "train": {**SETTINGS["train"], "max_steps": 1},
            "schedule": {**EVALUATED["schedule"], "metric": "metric.py:texty", "check_evaluation": False},
        },
    )
    assert call("train", "--engine", "thread", "-q").code == ExitCode.DONE
    (evaluation,) = (v for v in read_events(place.run_folder.events) if isinstance(v, e.EvaluationCompleted))
    assert (evaluation.metrics, evaluation.unscored) == ({"texty": 0.0}, 4)


def test_an_evaluation_file_with_nothing_to_learn_from_is_refused(call: Call, place: Place) -> None:
    place.write_rows([{"question": "a", "answer": ""}], "eval.jsonl")
    configure(place, {})
    ended = call("train", "--engine", "thread", "-q")
    assert ended.code == ExitCode.USAGE
    assert "eval.jsonl: nothing to learn from in any of its 1 rows" in ended.err.splitlines()[-2]


def steps(folder: RunFolder) -> list[int]:
    return [event.step for event in read_events(folder.events) if isinstance(event, e.StepCompleted)]


# -- runs that cannot go on ----------------------------------------------------------------------------


def test_a_run_that_is_alive_is_not_resumed(call: Call, run: RunFolder) -> None:
    with hold_lock(run.worker_lock):
        ended = call("train", "--resume", RUN)
    assert (ended.code, ended.message) == (ExitCode.USAGE, f"run {RUN} is running")
    assert f"speedtui attach {RUN}" in ended.hint


def test_a_run_that_made_all_its_steps_is_not_resumed(call: Call, run: RunFolder) -> None:
    finish(run)
    ended = call("train", "--resume", RUN)
    assert (ended.code, ended.message) == (ExitCode.USAGE, f"run {RUN} has made all its 4 steps")
    assert f"--from {RUN}" in ended.hint
    sent = call("send", RUN, "stop")
    assert (sent.code, sent.hint) == (ExitCode.USAGE, f"`speedtui report {RUN}` says how it ended.")


def test_a_study_is_not_resumed_as_a_training(call: Call, place: Place) -> None:
    tuned = a_run(place, "tune")
    ended = call("train", "--resume", tuned.id)
    assert (ended.code, ended.message) == (ExitCode.USAGE, f"run {tuned.id} is no training but a tune")


def test_a_run_without_its_order_is_not_resumed(call: Call, run: RunFolder) -> None:
    run.order.write_text("{")
    ended = call("train", "--resume", RUN)
    assert (ended.code, ended.message) == (ExitCode.USAGE, f"{run.order}: cannot be read")


def test_the_deadline_of_a_study_may_be_over_when_its_trial_is_trained(call: Call, place: Place) -> None:
    run = a_run(place, "tune", {"deadline": "2020-05-01 10:00"})
    with run.events.open("ab") as log:
        log.write(e.encode(study(0)) + e.encode(finished(0, ok(8.0))))
    ended = call("train", "--trial", f"{run.id}#0")
    assert ended.code == ExitCode.USAGE
    assert ended.message.endswith("config.toml: window.deadline 2020-05-01 10:00 is in the past")
    assert ended.hint == "Give this run a time of its own: --window 2h or --deadline 18:40."


@pytest.mark.parametrize("text", ["tomorrow", "-5", "99999999999999999999", "²", ""])
def test_an_end_of_the_slurm_job_that_is_none_does_not_count(
    call: Call, place: Place, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(JOB_END, text)
    place.configure({"train": {"max_steps": 1}, "schedule": {"checkpoint_every": "never"}})
    assert call("train", "--engine", "thread", "-q").code == ExitCode.DONE


# -- checkpoints ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A training of 6 steps that came to its deadline after the first of them."""
    place = Place(tmp_path_factory.mktemp("stopped"))
    place.configure({"train": {"max_steps": 6}, "schedule": {"checkpoint_every": "1 steps", "keep_checkpoints": 2}})
    place.run("train", "-q", "--window", "1ms")
    return place


@pytest.fixture
def copied(stopped: Place, place: Place) -> RunFolder:
    """A copy of it that may be spoilt."""
    shutil.copytree(stopped.folder, place.folder, dirs_exist_ok=True)
    return place.run_folder


def test_a_half_written_checkpoint_is_passed_over_for_the_one_before(call: Call, copied: RunFolder) -> None:
    newer = copied.checkpoints / "checkpoint-2"
    shutil.copytree(copied.checkpoints / "checkpoint-1", newer)
    with (newer / "optimizer.pt").open("r+b") as file:
        file.truncate(100)
    ended = call("train", "--engine", "thread", "--resume", copied.id, "--window", "10m")
    assert ended.code == ExitCode.DONE
    assert "warning: checkpoint-2 cannot be used: optimizer.pt: 100 bytes instead of " in ended.out
    assert "; step 1 is taken" in ended.out
    assert steps(copied)[-1] == 6


def test_another_models_checkpoint_is_refused_and_kept(call: Call, copied: RunFolder, place: Place) -> None:
    other = {**SETTINGS["model"]["architecture"], "hidden_size": 64}
    before = content(copied.checkpoints)
    copied.config.write_text(
        tomli_w.dumps(
            {**SETTINGS, "model": {"architecture": other}, "data": {**SETTINGS["data"], "train": "../../train.jsonl"}}
        )
    )
    ended = call("train", "--engine", "thread", "-q", "--resume", copied.id, "--window", "10m")
    assert ended.code == ExitCode.USAGE
    said, todo = ended.err.splitlines()[-2:]
    assert said.endswith("checkpoint-1: a checkpoint of another model, or of one that was trained in another way")
    assert "config.toml" in todo
    assert content(copied.checkpoints) == before


def test_a_model_of_another_rank_is_refused(call: Call, copied: RunFolder, place: Place) -> None:
    place.configure({"train": {"lora": {"r": 4}}})
    ended = call("train", "--engine", "thread", "-q", "--config", "speedtui.toml", "--from", copied.id)
    assert ended.code == ExitCode.USAGE
    said, todo = ended.err.splitlines()[-2:]
    assert said.startswith("speedtui: model.start_from: ") and said.endswith("r 16 in the folder, train.lora.r = 4")
    assert todo == "Set train.lora.r = 16."


@pytest.mark.parametrize(
    ("job", "events", "hint"),
    [
        ("tune", (study(0, 1), finished(1, ok(4.0))), "with its best trial: speedtui train --runs {} --trial '{}#1'"),
        ("tune", (study(0),), "this one has no result"),
        ("plan", (), "train as planned: speedtui train --runs {} --plan {}"),
    ],
)  # fmt: skip
def test_what_trains_nothing_is_no_first_stage_and_says_what_to_take_of_it(
    call: Call, place: Place, job: e.Job, events: tuple[e.AnyEvent, ...], hint: str
) -> None:
    folder = a_run(place, job)
    best = e.StudyFinished(t=9.0, best=1, files={})
    told = [started(job), *events, *([best] if len(events) > 1 else [])]
    folder.events.write_bytes(b"".join(map(e.encode, told)))
    ended = call("train", "--from", folder.id)
    assert ended.message == f"--from {folder.id}: that run has left no model"
    assert hint.format(place.folder / "runs", folder.id) in ended.hint
