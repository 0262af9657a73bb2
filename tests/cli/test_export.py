"""`speedtui export` as a user calls it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from speedtui.engine.errors import ExitCode
from tests.cli.program import Place
from tests.engine.export.recorded_run import RUN, study_events, training_events, write_run

STUDY = "20260101-110000-tune-cd34"


@pytest.fixture
def runs(place: Place) -> Path:
    """A training and a study; the training is the newer one."""
    folder = place.folder / "runs"
    write_run(folder, study_events(), name=STUDY, job="tune")
    write_run(folder, training_events())
    return folder


def test_the_tables_are_in_the_runs_folder_and_each_is_named(place: Place, runs: Path) -> None:
    ended = place.run("export", "--to", "csv")
    assert ended.code == ExitCode.DONE
    tables = (runs / RUN / "csv").resolve()
    assert ended.out.splitlines() == [f"{tables / 'steps.csv'}  4 rows", f"{tables / 'evaluations.csv'}  2 rows"]
    with (tables / "steps.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_json_is_one_object_and_nothing_else(place: Place, runs: Path) -> None:
    ended = place.run("export", STUDY, "--to", "csv", "--out", "tables", "--json")
    (said,) = ended.lines()
    path = place.folder / "tables" / "trials.csv"
    assert said == {
        "run": STUDY, "to": "csv", "where": str(path.parent), "rows": {str(path): 2}, "points": 0, "last_step": None,
    }  # fmt: skip
    assert path.exists()
    assert ended.err == ""


def test_quiet_says_nothing(place: Place, runs: Path) -> None:
    ended = place.run("export", RUN, "--to", "csv", "-q")
    assert (ended.code, ended.out, ended.err) == (ExitCode.DONE, "", "")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ((), "Missing option '--to'.", "export --help"),
        (("--to", "excel"), "Invalid value for '--to': 'excel' is not one of 'csv', 'tensorboard'", "export --help"),
        (("nope", "--to", "csv"), "nope: no run of that name in runs", "speedtui runs"),
        ((STUDY, "--to", "tensorboard"), f"run {STUDY} has no training to export to tensorboard", "--to csv"),
        (("--to", "csv", "--out", "speedtui.toml/in"), "cannot be written", "--out"),
    ],
)
def test_what_cannot_be_exported_is_said_in_two_lines(
    place: Place, runs: Path, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    ended = place.run("export", *arguments)
    assert ended.code == ExitCode.USAGE
    assert ended.out == ""
    assert message in ended.message
    assert hint in ended.hint
