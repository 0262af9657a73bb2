"""`speedtui train` as it is used: to a deadline and on from it, a second stage, a metric, commands while it goes on."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from speedtui.engine import events as e
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.window import JOB_END
from speedtui.engine.errors import ExitCode
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder, list_runs
from tests.cli.program import Ended, Place, Program, pairs, wait_for, wait_for_event

E = TypeVar("E", bound=e.Event)

STEPS = 20
TWO_EPOCHS = ["train", "--profile", "memory-efficient", "--epochs", "2"]
"""Of 40 rows at an effective batch of 4: 20 steps, and neither the file's 4 nor the profile's three epochs."""
BOOKS_SHARE = 0.01
"""Most that may be unaccounted for."""
T5 = {"model_type": "t5", "d_model": 32, "d_ff": 64, "d_kv": 16, "num_layers": 1, "num_heads": 2}
METRIC = """
def same(prediction: str, reference: str, row: dict) -> float:
    assert row["answer"] == reference
    return 0.5
"""


def found(folder: RunFolder, kind: type[E]) -> list[E]:
    return [event for event in read_events(folder.events) if isinstance(event, kind)]


def losses(folder: RunFolder) -> dict[int, float | None]:
    """By step; a line for several steps has their mean, and is left out."""
    return {event.step: event.loss for event in found(folder, e.StepCompleted) if event.steps == 1}


@dataclass(frozen=True)
class Late:
    """A training whose window was over before its first step, and the same one without a window."""

    place: Place
    ended: Ended
    resumed: Ended
    late_model: dict[str, object]
    """The weights that it left before it went on."""
    whole: RunFolder

    @property
    def folder(self) -> RunFolder:
        return list_runs(self.place.folder / "runs")[-1]


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Late:
    place, other = (Place(tmp_path_factory.mktemp(name)) for name in ("late", "whole"))
    for each in (place, other):
        each.write_rows(pairs(8), "eval.jsonl")
        each.configure(
            {"data": {"eval": "eval.jsonl"}, "train": {"method": "full"}, "schedule": {"eval_every": "6 steps"}}
        )
    whole = other.start(*TWO_EPOCHS, "-q")
    ended = place.run(*TWO_EPOCHS, "--window", "1ms", "--json")
    model = load_file(place.run_folder.path / "model" / "model.safetensors")
    _, _, command = ended.err.splitlines()[-1].partition(": ")
    resumed = Program([*shlex.split(command), "-q"], tmp_path_factory.mktemp("elsewhere")).end()
    assert whole.end().code == ExitCode.DONE
    return Late(place, ended, resumed, model, other.run_folder)


def test_a_window_that_cannot_be_met_ends_with_a_model_and_says_how_far_it_got(late: Late) -> None:
    assert late.ended.code == ExitCode.LATE
    assert late.ended.message == f"the deadline came at step 1 of {STEPS}; the model is in {late.folder.path}/model"
    assert late.ended.hint.endswith(f"--resume {late.folder.id} --window 2h")
    events = late.ended.lines()
    assert {event["v"] for event in events} == {1}
    assert (events[-1]["type"], events[-1]["outcome"], events[-1]["exit_code"]) == ("run_finished", "late", 3)
    assert late.late_model.keys() == load_file(late.folder.path / "model" / "model.safetensors").keys()


def test_what_was_typed_is_laid_over_the_profile(late: Late) -> None:
    settings = load_settings(late.folder.config)
    assert (settings.train.epochs, settings.train.max_steps) == (2, None)
    assert (settings.data.max_length, settings.train.gradient_checkpointing) == (2048, True)


def test_the_command_that_it_names_goes_on_and_ends_as_if_nothing_had_been(late: Late) -> None:
    assert late.resumed.code == ExitCode.DONE, late.resumed.err
    assert f"{STEPS} steps" in late.resumed.out and "all steps done" in late.resumed.out
    expected, got = losses(late.whole), losses(late.folder)
    shared = expected.keys() & got.keys()
    assert shared
    assert {step: got[step] for step in shared} == {step: expected[step] for step in shared}
    evaluated = [[(v.step, v.loss) for v in found(run, e.EvaluationCompleted)] for run in (late.folder, late.whole)]
    assert evaluated[0] == evaluated[1]
    assert [step for step, _ in evaluated[0]] == [6, 12, 18, STEPS]
    left, right = (load_file(run.path / "model" / "model.safetensors") for run in (late.folder, late.whole))
    assert all(left[name].equal(right[name]) for name in right)


def test_the_books_of_both_workers_close(late: Late) -> None:
    for end in found(late.folder, e.RunFinished):
        assert end.books is not None
        assert abs(end.books.wall - sum(end.books.phases.values())) <= BOOKS_SHARE * end.books.wall
        assert {"load", "forward", "backward", "write"} <= end.books.phases.keys()
    assert end.books.phases["away"] > 0


def test_the_model_that_is_left_is_one_for_from_pretrained(late: Late) -> None:
    model = AutoModelForCausalLM.from_pretrained(late.folder.path / "model")
    tokenizer = AutoTokenizer.from_pretrained(late.folder.path / "model")
    assert model.config.vocab_size == len(tokenizer)


def test_a_second_stage_begins_with_the_model_and_its_tokens(late: Late) -> None:
    rows = [{"question": f"zebra {i}", "answer": "quagga " * (i % 3 + 1)} for i in range(12)]
    late.place.write_rows(rows, "second.jsonl")
    first = late.folder
    ended = late.place.run("train", "--from", first.id, "--data", "second.jsonl", "--epochs", "1", "--json")
    assert ended.code == ExitCode.DONE, ended.err
    second = late.place.run_folder
    settings = load_settings(second.config)
    assert settings.model.start_from == settings.model.tokenizer == str(first.path / "model")
    assert settings.data.train == str(late.place.folder / "second.jsonl")
    assert settings.train.gradient_checkpointing
    assert settings.window.length is None
    (began,) = found(second, e.TrainingStarted)
    assert (began.total_steps, began.first_step) == (3, 0)
    said = [notice.text for notice in found(second, e.Notice)]
    assert any(text.startswith(f"begins with the weights in {first.path}/model") for text in said)
    before, after = (load_file(run.path / "model" / "model.safetensors") for run in (first, second))
    assert before.keys() == after.keys()
    assert all(before[name].shape == after[name].shape for name in before)


def test_a_metric_decides_when_it_ends_and_which_model_is_left_within_a_slurm_job(place: Place) -> None:
    place.write("metric.py", METRIC)
    place.write_rows(pairs(6), "eval.jsonl")
    schedule = {
        "eval_every": "2 steps", "fast_eval_every": "1 steps", "generate": True, "beams": 2, "max_new_tokens": 4,
        "metric": "metric.py:same", "best_by": "same", "patience": 2, "save_only_best": True,
        "checkpoint_every": "never",
    }  # fmt: skip
    place.configure(
        {
            "model": {"kind": "seq2seq", "architecture": T5},
            "data": {"eval": "eval.jsonl"},
            "train": {"method": "full", "max_steps": 40, "lr_schedule": "linear", "lr_warmup_steps": 2},
            "schedule": schedule,
        }
    )
    ended = place.run("train", env={JOB_END: str(int(time.time()) + 3600)})
    assert ended.code == ExitCode.DONE, ended.err
    assert f"({JOB_END}): the deadline, less a margin of 1m 00s" in ended.out
    folder = place.run_folder
    full = [event for event in found(folder, e.EvaluationCompleted) if event.kind == "full"]
    assert [(event.step, event.metrics, event.best) for event in full] == [
        (2, {"same": 0.5}, True), (4, {"same": 0.5}, False), (6, {"same": 0.5}, False),
    ]  # fmt: skip
    assert {"eval", "generate", "metric"} <= full[0].phases.keys()
    assert [event.step for event in found(folder, e.EvaluationCompleted) if event.kind == "loss"] == [1, 3, 5]
    (finished,) = found(folder, e.TrainingFinished)
    assert (finished.reason, finished.steps, finished.best_step) == ("patience", 6, 2)
    rates = [event.lr for event in found(folder, e.StepCompleted)][:2]
    assert rates == sorted(rates)
    assert AutoModelForSeq2SeqLM.from_pretrained(folder.path / "model").config.d_model == T5["d_model"]


AT = ("after this step", "after this evaluation")
"""When a command is followed, by what the run is at."""


@pytest.fixture
def steered(place: Place) -> Iterator[Place]:
    place.write_rows(pairs(8), "eval.jsonl")
    place.configure(
        {
            "data": {"eval": "eval.jsonl"},
            "train": {"max_steps": 100_000},
            "schedule": {"eval_every": "never", "checkpoint_every": "never"},
        }
    )
    program = place.start("train", "-q")
    yield place
    if program.process.poll() is None:
        program.process.kill()
    program.end()


def test_a_run_is_steered_looked_at_and_exported_while_it_goes_on_and_afterwards(steered: Place) -> None:
    wait_for_event(steered, e.StepCompleted)
    folder = steered.run_folder

    def send(*words: str) -> str:
        ended = steered.run("send", folder.id, *words)
        assert ended.code == ExitCode.DONE, ended.err
        return ended.out

    watching = steered.start("attach", "-q")
    assert "after this step" in send("eval")
    wait_for_event(steered, e.EvaluationCompleted)
    assert send("set", "eval_every=5") == "set: from this step on\n"
    wait_for(lambda: len(found(folder, e.EvaluationCompleted)) > 1)
    _, *scheduled = found(folder, e.EvaluationCompleted)
    assert {event.step % 5 for event in scheduled} == {0}
    assert send("checkpoint") in {f"checkpoint: {when}\n" for when in AT}
    wait_for_event(steered, e.CheckpointSaved)
    assert send("set", "micro_batch_size=2") in {f"set: as soon as a checkpoint is saved, {when}\n" for when in AT}
    wait_for(lambda: len(found(folder, e.TrainingStarted)) == 2)
    refused = steered.run("send", folder.id, "set", "max_steps=200000")
    assert refused.code == ExitCode.FAILED
    assert refused.message.startswith("set refused: train.max_steps must be between ")
    assert steered.run("train", "--resume", folder.id).message == f"run {folder.id} is running"
    assert send("stop") in {f"stop: {when}\n" for when in AT}
    assert watching.end().code == ExitCode.DONE
    wait_for(lambda: not folder.worker_alive())

    assert [save.reason for save in found(folder, e.CheckpointSaved)] == ["command", "change", "stop"]
    assert [event.label for event in found(folder, e.TrainingStarted)] == ["mb1 ga4 r16", "mb2 ga2 r16"]
    assert [event.values for event in found(folder, e.SettingsChanged)] == [
        {"schedule.eval_every": "5 steps"}, {"train.micro_batch_size": 2},
    ]  # fmt: skip
    (entry,) = steered.run("runs", "--json").lines()
    assert (entry["run"], entry["state"]) == (folder.id, "stopped")
    assert "stopped on request" in steered.run("report").out
    page = Path(steered.run("report", "--html").out.strip())
    assert folder.id in page.read_text()
    steered.run("export", folder.id, "--to", "csv")
    assert (folder.path / "csv" / "steps.csv").stat().st_size > 0

    resumed = steered.run("train", "--resume", folder.id, "--window", "1ms", "-q")
    assert resumed.code == ExitCode.LATE
    last = found(folder, e.TrainingStarted)[-1]
    assert (last.label, last.micro_batch_size, last.first_step > 0) == ("mb2 ga2 r16", 2, True)
