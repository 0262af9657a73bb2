"""One real study: its JSON lines, its files, and every command that shows it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from speedtui.engine.errors import ExitCode
from speedtui.engine.schema import committed
from tests.cli.conftest import Study
from tests.cli.program import Ended, Place

TRIAL_FIELDS = {
    "config", "status", "reason", "micro_batch_size", "grad_accum_steps", "effective_batch_size",
    "samples_per_second", "tokens_per_second", "step_seconds", "step_seconds_interval", "peak_allocated_bytes",
    "peak_reserved_bytes", "predicted_bytes", "headroom", "full_run_p50_seconds", "full_run_p90_seconds", "fits",
    "batches", "warmup_batches",
}  # fmt: skip


def of_type(lines: list[Any], name: str) -> list[Any]:
    return [line for line in lines if line["type"] == name]


def assert_valid(lines: list[Any]) -> None:
    validator = Draft202012Validator(json.loads(committed()))
    for line in lines:
        errors = [error.message for error in validator.iter_errors(line)]
        assert not errors, (line, errors)


def test_it_ends_well(study: Study) -> None:
    assert study.ended.code == ExitCode.DONE, study.ended.err
    (finished,) = of_type(study.ended.lines(), "run_finished")
    assert finished == study.ended.lines()[-1]
    assert (finished["outcome"], finished["exit_code"]) == ("ok", ExitCode.DONE)


def test_every_line_of_stdout_satisfies_the_published_schema(study: Study) -> None:
    assert_valid(study.ended.lines())


def test_stdout_is_the_event_log_and_nothing_else(study: Study) -> None:
    assert study.ended.out == study.folder.events.read_text()


def test_stderr_says_what_to_do_next_and_nothing_else(study: Study) -> None:
    assert study.ended.err.splitlines() == [f"Train with the best settings: sh {study.folder.path / 'train.sh'}"]


def test_neither_the_screen_nor_torch_is_imported_beside_the_worker(study: Study) -> None:
    assert not {"textual", "rich", "torch", "transformers"} & study.modules


def test_four_trials_are_told_as_they_happen(study: Study) -> None:
    lines = study.ended.lines()
    assert [line["trial"] for line in of_type(lines, "trial_started")] == [0, 1, 2, 3]
    assert [line["trial"] for line in of_type(lines, "trial_finished")] == [0, 1, 2, 3]
    assert len(of_type(lines, "model_loaded")) == 1


def test_an_empty_sample_is_dropped_and_a_long_one_cut_with_a_notice_each(study: Study) -> None:
    (loaded,) = of_type(study.ended.lines(), "model_loaded")
    assert (loaded["train_rows"], loaded["dropped_rows"], loaded["cut_rows"]) == (199, 1, 1)
    warnings = [line["text"] for line in of_type(study.ended.lines(), "notice") if line["level"] == "warning"]
    assert any("data.max_length 64" in text and "cut" in text for text in warnings)
    assert any("dropped" in text for text in warnings)


def test_the_trials_file_holds_what_was_promised(study: Study) -> None:
    trials = json.loads((study.folder.path / "trials.json").read_text())
    assert len(trials) == 4
    for trial in trials:
        assert set(trial) >= TRIAL_FIELDS
        assert trial["status"] in ("ok", "pruned")
        assert trial["micro_batch_size"] * trial["grad_accum_steps"] == trial["effective_batch_size"] == 4
        assert trial["samples_per_second"] > 0 and trial["tokens_per_second"] > 0
        low, high = trial["step_seconds_interval"]
        assert low <= trial["step_seconds"] <= high
        assert trial["fits"] is True


def test_the_report_holds_estimate_window_and_facts(study: Study) -> None:
    report = json.loads((study.folder.path / "report.json").read_text())
    assert report["run"] == study.folder.id
    assert report["estimate"]["hours"] is not None
    assert report["window"]["margin_seconds"] == 300
    assert report["fits_in_window"] is True
    assert report["dataset"]["train_rows"] == 199
    assert report["versions"]["torch"]
    assert json.loads(study.place.run("report", "--json", study.folder.id).out) == report


def test_runs_lists_it(study: Study) -> None:
    assert study.folder.id in study.place.run("runs").out
    entries = {entry["run"]: entry for entry in study.place.run("runs", "--json").lines()}
    entry = entries[study.folder.id]
    assert (entry["job"], entry["state"]) == ("tune", "ok")
    assert entry["result"].startswith("4 of 4 trials, best #")


def assert_summary(text: str, study: Study) -> None:
    """The best configuration with what follows from it, at the end."""
    (best,) = {line["best"] for line in of_type(study.ended.lines(), "study_finished")}
    lines = {line.partition("  ")[0]: line for line in text.splitlines()[-7:]}
    assert f"#{best}" in lines["best"]
    assert lines["effective"].split()[1:3] == ["4", "="]
    assert "samples/s" in lines["speed"] and "tok/s" in lines["speed"]
    assert "peak" in lines["memory"]
    assert "about" in lines["full run"]
    assert text.splitlines()[-1].startswith("next: Train with the best settings: sh ")
    assert text.count("train.sh") == 1


@pytest.mark.parametrize(
    "arguments", [("report",), ("attach",), ("replay", "--speed", "1000")], ids=lambda value: value[0]
)
def test_every_command_that_shows_it_ends_with_the_summary(study: Study, arguments: tuple[str, ...]) -> None:
    name, *options = arguments
    ended = study.place.run(name, study.folder.id, *options)
    assert (ended.code, ended.err) == (ExitCode.DONE, "")
    assert "\x1b" not in ended.out
    assert_summary(ended.out, study)


def test_a_replay_in_words_tells_the_trials_line_by_line(study: Study) -> None:
    lines = study.place.run("replay", study.folder.id, "--speed", "1000").out.splitlines()
    assert f"run {study.folder.id} started" in lines[0]
    assert sum(" started" in line and "#" in line for line in lines) == 4
    assert any(line.endswith("run finished: ok") for line in lines)


def test_quiet_leaves_the_summary_alone(study: Study) -> None:
    text = study.place.run("replay", study.folder.id, "--speed", "1000", "-q").out
    assert text.splitlines()[0].split()[:3] == ["#", "config", "status"]
    assert_summary(text, study)


@pytest.mark.parametrize("arguments", [("attach",), ("replay", "--speed", "1000")], ids=lambda value: value[0])
def test_with_json_it_is_shown_as_the_very_same_lines(study: Study, arguments: tuple[str, ...]) -> None:
    name, *options = arguments
    assert study.place.run(name, study.folder.id, "--json", *options).out == study.ended.out


def test_a_run_is_found_by_a_part_of_its_name_and_by_its_path(study: Study) -> None:
    for name in (study.folder.id[-9:], str(study.folder.path), os.path.relpath(study.folder.path, study.place.folder)):
        assert study.place.run("report", name).out == study.place.run("report", study.folder.id).out


def test_a_command_to_it_is_one_clear_error(study: Study) -> None:
    ended = study.place.run("send", study.folder.id, "pause")
    assert ended.code != ExitCode.DONE
    assert ended.message == f"run {study.folder.id} is over, so nobody would read the command"
    assert not study.folder.commands.exists()


def test_an_unknown_trial_of_it_is_refused_with_those_there_are(study: Study) -> None:
    ended = study.place.run("train", "--trial", f"{study.folder.id}#9")
    assert ended.code == ExitCode.USAGE
    assert ended.hint == "It has: #0, #1, #2, #3."


def test_the_command_it_leaves_trains_as_it_stands_from_anywhere(study: Study, tmp_path: Path) -> None:
    place = Place(tmp_path / "elsewhere")
    script = subprocess.run(
        ["sh", str(study.folder.path / "train.sh"), "--json"], cwd=place.folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    ended = Ended(script.returncode, script.stdout, script.stderr)
    assert ended.code == ExitCode.DONE, ended.err
    assert place.untouched  # its run is beside the study
    lines = ended.lines()
    assert_valid(lines)
    (started,), (trained,) = of_type(lines, "training_started"), of_type(lines, "training_finished")
    (best,) = {line["best"] for line in of_type(study.ended.lines(), "study_finished")}
    assert started["trial"] == best
    assert trained["steps"] == 4
    assert any(Path(trained["model_path"]).glob("*.safetensors"))
    report = study.place.run("report", lines[0]["run"]).out
    assert "training    4 steps" in report
    assert trained["model_path"] in report
