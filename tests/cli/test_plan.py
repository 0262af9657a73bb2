"""`speedtui plan` as it is called: what it says, what it leaves to train with, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from speedtui.engine.errors import ExitCode
from speedtui.engine.schema import committed
from tests.cli.conftest import MAIN
from tests.cli.program import PATIENCE_SECONDS, Ended, Place, Program, pairs

pytestmark = pytest.mark.slow

BUILT_IN = ["fast", "balanced", "quality", "memory-efficient"]
SHORT_OF_MEMORY: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 1,
    "num_attention_heads": 32,
}  # fmt: skip
"""One layer of a 7 B model: 0.2 B parameters, 0.38 GiB of weights in bfloat16."""
SLOW = """description = "One stated token a second."
[settings.train]
epochs = 2
[baseline]
tokens_per_second = 1
device = "an abacus"
"""


@dataclass(frozen=True)
class Planned:
    """A measured plan that came to its end."""

    place: Place
    ended: Ended
    path: Path
    """Of its run."""
    modules: frozenset[str]
    """Imported by the process that was called."""

    @property
    def report(self) -> Any:
        return report_in(self.path)

    @property
    def plan(self) -> Any:
        return plan_in(self.ended)


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    place = Place(tmp_path_factory.mktemp("plan"))
    command = [sys.executable, "-c", MAIN, "plan", "--window", "2h", "--margin", "10m", "--json"]
    ended = Program(command, place.folder).end()
    modules = frozenset((place.folder / "modules.txt").read_text().split())
    return Planned(place, ended, place.run_folder.path, modules)


@pytest.fixture(scope="session")
def recalled(planned: Planned) -> tuple[Ended, Any]:
    """The same place asked again without measuring, for two seconds; its text and its report."""
    ended = planned.place.run("plan", "--no-measure", "--window", "2s")
    return ended, report_in(planned.place.run_folder.path)


def report_in(path: Path) -> Any:
    return json.loads((path / "report.json").read_text())


def plan_in(ended: Ended) -> Any:
    (made,) = (line for line in ended.lines() if line["type"] == "plan_made")
    return made["plan"]


def sources(rows: list[Any]) -> set[str]:
    return {row["source"] for row in rows}


def refused(place: Place, *arguments: str, env: dict[str, str] | None = None) -> Ended:
    ended = place.run(*arguments, env=env)
    assert ended.code == ExitCode.USAGE, ended.err
    assert ended.out == ""
    assert place.untouched
    assert ended.hint
    return ended


def own_profile(place: Place, name: str, text: str) -> tuple[Path, dict[str, str]]:
    """The file of a profile of the user's own, and the environment in which it is found."""
    folder = place.folder / "config" / "speedtui" / "profiles"
    folder.mkdir(parents=True)
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path, {"XDG_CONFIG_HOME": str(place.folder / "config")}


def test_a_plan_that_fits_ends_well_and_every_line_satisfies_the_schema(planned: Planned) -> None:
    assert planned.ended.code == ExitCode.DONE, planned.ended.err
    validator = Draft202012Validator(json.loads(committed()))
    for line in planned.ended.lines():
        errors = [error.message for error in validator.iter_errors(line)]
        assert not errors, (line, errors)


def test_four_profiles_are_measured_and_the_rows_decide_for_quality(planned: Planned) -> None:
    plan = planned.plan
    assert [row["profile"] for row in plan["profiles"]] == BUILT_IN
    assert sources(plan["profiles"]) == {"measured"}
    assert (plan["choice"]["profile"], plan["choice"]["epochs"], plan["selected"]) == ("quality", 5, "quality")
    assert "40 rows" in plan["choice"]["reason"]
    assert plan["device_here"] is True


def test_every_row_has_its_time_its_memory_and_its_place_in_the_window(planned: Planned) -> None:
    for row in planned.plan["profiles"]:
        assert 0 < row["estimate"]["p50_seconds"] <= row["estimate"]["p90_seconds"]
        assert row["finish_p50"] > planned.plan["made_at"]
        assert 0 < row["peak_bytes"] < row["limit_bytes"]
        assert row["fit"] == "fits"
        assert row["spare_seconds"] > 0


def test_the_margin_is_taken_off_the_window(planned: Planned) -> None:
    plan, (row, *_) = planned.plan, planned.plan["profiles"]
    assert row["finish_p50"] + row["spare_seconds"] <= plan["made_at"] + 7200 - 600


def test_neither_the_screen_nor_torch_is_imported_beside_the_worker(planned: Planned) -> None:
    assert not {"textual", "rich", "torch", "transformers"} & planned.modules


def test_the_report_says_what_was_planned_for_what_and_on_what(planned: Planned) -> None:
    report, plan = planned.report, planned.plan
    assert (report["profile"], report["verdict"], report["fits_in_window"]) == ("quality", "on_track", True)
    assert report["estimate"]["p50_seconds"] == pytest.approx(plan["profiles"][2]["estimate"]["p50_seconds"], abs=0.1)
    assert report["window"]["margin_seconds"] == 600
    assert report["dataset"]["train_rows"] == 40
    assert report["device"]["name"] == plan["device"]
    assert {"torch", "transformers", "peft"} <= set(report["versions"])
    assert [row["profile"] for row in report["profiles"]] == BUILT_IN


def test_the_script_trains_as_it_stands_and_the_report_compares(planned: Planned) -> None:
    assert planned.ended.err.splitlines() == [f"Train as planned: sh {planned.path / 'train.sh'}"]
    command = ["sh", str(planned.path / "train.sh"), "--quiet"]
    done = subprocess.run(
        command, cwd=planned.place.folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=os.environ
    )
    assert done.returncode == ExitCode.DONE, done.stderr
    report = report_in(planned.place.run_folder.path)
    assert report["profile"] == "quality"
    assert report["estimate"]["p50_seconds"] == planned.report["estimate"]["p50_seconds"]
    assert report["actual"]["steps"] == 4
    assert report["accuracy"] > 0


def test_terminal_page_and_last_line_say_the_same_next_command_and_it_trains_the_profile_planned_with(
    planned: Planned,
) -> None:
    run = planned.path.name
    page = planned.place.run("report", run, "--html")
    assert page.code == ExitCode.DONE, page.err
    next_step = f"Train as planned: sh {planned.path / 'train.sh'}"
    (html,) = planned.path.glob("*.html")
    text = unescape(html.read_text())
    assert f"next: {next_step}" in planned.place.run("report", run).out
    assert re.findall(r"next: ([^<\n]+)", text) == [next_step]
    assert planned.ended.err.splitlines()[-1] == next_step
    (chosen,) = (row for row in planned.plan["profiles"] if row["profile"] == "quality")
    assert chosen["label"] in text and "planned with" in text and ">best<" not in text
    finished = next(line for line in planned.ended.lines() if line["type"] == "study_finished")
    added = {
        line["candidate"]["id"]: line["candidate"]
        for line in planned.ended.lines()
        if line["type"] == "candidate_added"
    }
    assert added[finished["best"]]["micro_batch_size"] == chosen["micro_batch_size"]


def test_what_was_measured_before_is_used_and_its_age_is_told(recalled: tuple[Ended, Any]) -> None:
    ended, report = recalled
    assert sources(report["profiles"]) == {"history"}
    assert all(row["source_age_seconds"] > 0 for row in report["profiles"])
    rows = [line for line in ended.out.splitlines() if line.lstrip("* ").startswith(tuple(BUILT_IN)) and " KiB" in line]
    assert sum(bool(re.search(r"\d+(s|m \d+s) old$", line)) for line in rows) == len(BUILT_IN)


def test_a_window_that_nothing_fits_ends_in_late_and_says_so(recalled: tuple[Ended, Any]) -> None:
    ended, report = recalled
    assert ended.code == ExitCode.LATE
    assert "past the latest safe finish" in ended.message
    assert ended.hint == "Nothing fits this window: lengthen it."
    assert (report["verdict"], report["fits_in_window"]) == ("late", False)


UNKNOWN_KERNELS = "is not known: memory is predicted as for"


def test_a_window_too_short_for_the_profile_leaves_the_steps_that_fit_and_names_what_fits(place: Place) -> None:
    place.configure({"train": {"max_steps": None}})
    _, env = own_profile(place, "slow", SLOW)
    ended = place.run("plan", "--device", "L40S", "--window", "6m", "--profile", "slow", "--json", env=env)
    assert ended.code == ExitCode.LATE, ended.err
    assert not [line for line in ended.lines() if UNKNOWN_KERNELS in line.get("text", "")]
    plan = plan_in(ended)
    (row,) = (row for row in plan["profiles"] if row["profile"] == "slow")
    steps = row["estimate"]["total_steps"]
    message, hint = ended.err.splitlines()
    assert message == f"speedtui: the window cannot be met: only {steps} steps of profile slow fit in it"
    assert hint.startswith("These profiles fit: fast, balanced, quality, memory-efficient.")
    assert 0 < steps < 20  # of 40 rows, 2 epochs in batches of 4
    assert sources(plan["profiles"]) == {"model"}
    assert "0.7 x the 1 tok/s stated for an abacus, not measured" in row["note"]
    assert f"max_steps = {steps}\n" in (place.run_folder.path / "train.toml").read_text()


def test_a_model_too_large_for_a_device_elsewhere_is_refused_with_the_least_it_takes(place: Place) -> None:
    place.configure({"model": {"architecture": SHORT_OF_MEMORY, "dtype": "bfloat16"}})
    place.write_rows(pairs(40)[6:7] * 4)  # each length that is tried is predicted for some seconds: there is one
    ended = place.run("plan", "--device", "256MiB", "--json")
    assert ended.code == ExitCode.NO_FIT, ended.err
    assert [line["hint"] for line in ended.lines() if UNKNOWN_KERNELS in line.get("text", "")] == [
        "A known name tells it, such as --device L40S."
    ]
    message, hint = ended.err.splitlines()
    assert message == "speedtui: no profile fits in memory"
    assert re.match(r"The least is \d+ MiB of 256 MiB; the weights alone take \d+ MiB\. ", hint), hint
    assert not [line for line in ended.lines() if line["type"] in ("trial_started", "model_loaded")]
    plan = plan_in(ended)
    assert plan["device_here"] is False
    assert {row["fit"] for row in plan["profiles"]} == {"no_memory"}
    assert sources(plan["profiles"]) == {"model"}
    assert all("0.7 x the" in row["note"] for row in plan["profiles"])
    assert min(row["peak_bytes"] for row in plan["profiles"]) > 0.37 * 1024**3  # the weights alone
    assert report_in(place.run_folder.path)["verdict"] == "no_memory"
    assert not (place.run_folder.path / "train.sh").exists()


def test_one_row_can_be_planned_with(place: Place) -> None:
    place.write_rows(pairs(7)[6:])
    ended = place.run("plan", "--profile", "fast")
    assert ended.code == ExitCode.USAGE
    assert "train.effective_batch_size 4: there is 1 row to train on" in ended.err
    place.configure({"train": {"effective_batch_size": 1}})
    ended = place.run("plan", "--json", "--profile", "fast")
    assert ended.code == ExitCode.DONE, ended.err
    plan = plan_in(ended)
    assert (plan["train_rows"], plan["selected"]) == (1, "fast")
    assert all(row["estimate"]["total_steps"] == 4 for row in plan["profiles"])
    assert plan["choice"]["reason"].startswith("1 row is below")


def test_rows_of_one_length_can_be_planned_with(place: Place) -> None:
    place.write_rows(pairs(40)[6:7] * 12)
    ended = place.run("plan", "--json", "--no-measure")
    assert ended.code == ExitCode.DONE, ended.err
    plan = plan_in(ended)
    assert plan["mean_tokens"] == plan["longest_tokens"]
    assert not [saving for saving in plan["savings"] if saving["lever"] == "group_by_length" and saving["seconds"] > 0]


def test_a_speed_stated_for_a_gpu_is_none_of_this_cpu(place: Place) -> None:
    nothing_known = {"XDG_DATA_HOME": str(place.folder)}
    ended = place.run("plan", "--json", "--no-measure", "--window", "2h", "--margin", "10m", env=nothing_known)
    assert ended.code == ExitCode.DONE, ended.err
    plan = plan_in(ended)
    assert [(row["fit"], row.get("estimate")) for row in plan["profiles"]] == [("unknown", None)] * 4
    assert all("tok/s are of H100 80GB" in row["note"] for row in plan["profiles"])
    assert "max_steps = 4\n" in (place.run_folder.path / "train.toml").read_text()  # as it was asked for


def test_training_with_a_profile_takes_its_settings(place: Place) -> None:
    ended = place.run("train", "--profile", "memory-efficient", "--json")
    assert ended.code == ExitCode.DONE, ended.err
    (started,) = (line for line in ended.lines() if line["type"] == "run_started")
    train = started["config"]["train"]
    assert (train["micro_batch_size"], train["effective_batch_size"], train["gradient_checkpointing"]) == (1, 4, True)
    assert report_in(place.run_folder.path)["profile"] == "memory-efficient"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan", "--profile", "fsat"), "no profile is named fsat; did you mean fast?"),
        (("train", "--profile", "fsat"), "no profile is named fsat; did you mean fast?"),
        (("plan", "--window", "5m", "--margin", "10m"),
         "command line: window.margin of 10m 00s leaves nothing of a window of 5m 00s"),
        (("plan", "--deadline", "2020-01-01 10:00"),
         "command line: window.deadline 2020-01-01 10:00 is in the past"),
        (("plan", "--device", "8Gigs"),
         "--device: expected a size such as 24GiB or 800MiB, or a known name, got '8Gigs'"),
        (("train", "--trial", "0", "--profile", "fast"), "--trial and --profile exclude each other"),
        (("train", "--plan", "absent"), "runs: no runs here"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_for_is_refused_in_one_line(
    place: Place, arguments: tuple[str, ...], message: str
) -> None:
    assert refused(place, *arguments).message == message


def test_an_unknown_profile_is_answered_with_those_there_are(place: Place) -> None:
    hint = refused(place, "plan", "--profile", "x").hint
    assert all(name in hint for name in BUILT_IN)


@pytest.mark.parametrize("command", ["plan", "train"])
def test_a_typing_error_in_a_profile_of_ones_own_is_named_with_file_and_key(place: Place, command: str) -> None:
    path, env = own_profile(place, "mine", "[settings.train]\nepoch = 2\n")
    ended = refused(place, command, "--profile", "mine", env=env)
    assert ended.message == f"{path}: train.epoch is not a setting; did you mean train.epochs?"


def test_data_without_rows_is_refused(place: Place) -> None:
    place.write("train.jsonl", "")
    assert refused(place, "plan").message.endswith("train.jsonl: the file is empty")
