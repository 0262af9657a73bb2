from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import UsageError
from speedtui.engine.export.csv import STEP_COLUMNS, write_rows, write_tables
from speedtui.engine.export.export import export_run
from tests.engine import events_of_a_run as a
from tests.engine.export.recorded_run import STARTED_AT, run_started, study_events, training_events, write_run


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def test_steps_and_evaluations_are_a_row_each(tmp_path: Path) -> None:
    rows = write_tables(training_events(), tmp_path)
    assert rows == {tmp_path / "steps.csv": 4, tmp_path / "evaluations.csv": 2}
    steps = read(tmp_path / "steps.csv")
    assert tuple(steps[0]) == STEP_COLUMNS
    assert [row["loss"] for row in steps] == ["2.0", "1.5", "1.25", ""]
    assert float(steps[0]["time"]) == pytest.approx(STARTED_AT + 10.4)
    assert (steps[0]["phases.data"], steps[0]["device_phases.data"]) == ("0.0", "")
    assert (steps[0]["peak_allocated_bytes"], steps[1]["peak_allocated_bytes"]) == ("1000", "")
    evaluations = read(tmp_path / "evaluations.csv")
    assert [(row["step"], row["kind"], row["metrics.accuracy"]) for row in evaluations] == [
        ("2", "full", "0.25"), ("4", "full", "0.5"),
    ]  # fmt: skip


def test_a_study_is_its_trials(tmp_path: Path) -> None:
    assert write_tables(study_events(), tmp_path) == {tmp_path / "trials.csv": 2}
    ran, failed = read(tmp_path / "trials.csv")
    assert (ran["status"], ran["samples_per_second"], ran["train.micro_batch_size"]) == ("ok", "8.0", "2")
    assert (failed["status"], failed["samples_per_second"]) == ("out_of_memory", "")
    assert failed["reason"] == "no room for another 60.5 MiB"


def test_a_second_export_replaces_the_first(tmp_path: Path) -> None:
    folder = write_run(tmp_path, training_events())
    export_run(folder, "csv", None, silent)
    folder.events.write_bytes(folder.events.read_bytes() + e.encode(a.step(5, loss=1.0)))
    (folder.path / "csv" / "trials.csv").write_text("of another run\n")
    exported = export_run(folder, "csv", None, silent)
    assert [row["step"] for row in read(folder.path / "csv" / "steps.csv")] == ["1", "2", "3", "4", "5"]
    assert sorted(os.listdir(folder.path / "csv")) == ["evaluations.csv", "steps.csv"]
    assert sorted(exported.rows.values()) == [2, 5]


def test_steps_done_again_after_a_restart_are_one_row(tmp_path: Path) -> None:
    events = [run_started(), a.training(), a.step(1), a.step(2), run_started(restarts=1), a.step(2), a.step(3)]
    write_tables(events, tmp_path)
    assert [row["step"] for row in read(tmp_path / "steps.csv")] == ["1", "2", "3"]


def test_an_export_that_breaks_off_leaves_the_last_one_as_it_was(tmp_path: Path) -> None:
    write_tables(training_events(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupted() -> Iterator[e.AnyEvent]:
        yield from training_events()[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tables(interrupted(), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs", training_events())
    taken = tmp_path / "taken"
    taken.write_text("a file\n")
    with pytest.raises(UsageError) as refused:
        export_run(folder, "csv", taken / "in", silent)
    assert str(taken) in refused.value.message
    assert "--out" in refused.value.hint


def test_a_run_with_nothing_in_it_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path, [run_started("plan")], job="plan")
    with pytest.raises(UsageError, match="neither steps nor trials"):
        export_run(folder, "csv", None, silent)
    assert not (folder.path / "csv").exists()


def test_a_run_without_a_training_is_nothing_for_a_tracker(tmp_path: Path) -> None:
    folder = write_run(tmp_path, study_events(), job="tune")
    with pytest.raises(UsageError, match="has no training to export to tensorboard") as refused:
        export_run(folder, "tensorboard", None, silent)
    assert "--to csv" in refused.value.hint


def test_no_text_of_a_table_is_a_formula_and_numbers_stay_numbers(tmp_path: Path) -> None:
    odd = {
        "=1+1": "+cmd|' /C calc'!A0",
        "a": "-2",
        "b": "-1e-4",
        "c": "@SUM(A1)",
        "d": " =1",
        "e": "＝1",
        "f": "-x",
        "g": 1,
    }
    write_rows(tmp_path / "odd.csv", [{**odd, "h": "two\nlines\u202e", "i": -3.5, "j": None, "k": "a=b"}])
    (row,) = read(tmp_path / "odd.csv")
    assert row == {
        "'=1+1": "'+cmd|' /C calc'!A0", "a": "-2", "b": "-1e-4", "c": "'@SUM(A1)", "d": "' =1", "e": "'＝1", "f": "'-x",
        "g": "1", "h": "two\\nlines\\u202e", "i": "-3.5", "j": "", "k": "a=b",
    }  # fmt: skip
