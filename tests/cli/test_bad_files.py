"""Data, models and recipes that are seen to be unusable before a worker is started."""

from __future__ import annotations

import pytest

from speedtui.engine.errors import ExitCode
from tests.cli.program import Ended, Place


def refused(place: Place, *arguments: str) -> Ended:
    ended = place.run(*(arguments or ("tune",)))
    assert ended.code == ExitCode.USAGE, ended.err
    assert ended.out == ""
    assert ended.hint
    assert place.untouched
    return ended


@pytest.mark.parametrize("command", ["tune", "train"])
def test_a_missing_data_file_is_named(place: Place, command: str) -> None:
    (place.folder / "train.jsonl").unlink()
    ended = refused(place, command)
    assert ended.message == f"speedtui.toml: {place.folder / 'train.jsonl'}: no such file"
    assert "data.train" in ended.hint


def test_a_missing_evaluation_file_is_named(place: Place) -> None:
    place.configure({"data": {"eval": "absent.jsonl"}})
    assert refused(place).message.endswith("absent.jsonl: no such file")


@pytest.mark.parametrize(("content", "problem"), [("", "the file is empty"), ("\n\n", "there are no rows in it")])
def test_an_empty_data_file_is_refused(place: Place, content: str, problem: str) -> None:
    path = place.write("train.jsonl", content)
    assert refused(place).message == f"speedtui.toml: {path}: {problem}"


def test_data_that_is_no_json_is_named_with_its_line_and_column(place: Place) -> None:
    path = place.write("train.jsonl", '\n{"question": "a", answer: "b"}\n')
    ended = refused(place)
    assert ended.message.startswith(f"speedtui.toml: {path} line 2: not JSON: ")
    assert ended.message.endswith("at column 19")


def test_a_missing_column_is_named_with_the_nearest_one(place: Place) -> None:
    path = place.write_rows([{"question": "a", "answers": "b"}])
    ended = refused(place)
    assert ended.message == f'speedtui.toml: {path} line 1: no column "answer"; did you mean answers?'
    assert "question, answers" in ended.hint


def test_a_column_that_is_no_text_is_named_with_its_value(place: Place) -> None:
    path = place.write_rows([{"question": "a", "answer": [7]}])
    assert (
        refused(place).message == f'speedtui.toml: {path} line 1: column "answer": expected text or a number, got [7]'
    )


def test_a_missing_column_of_a_table_is_named(place: Place) -> None:
    path = place.write("train.csv", "question,reply\na,b\n")
    place.configure({"data": {"train": "train.csv"}})
    assert refused(place).message == f'speedtui.toml: {path}: no column "answer"'


def test_a_kind_of_file_that_cannot_be_read_is_refused_with_those_that_can(place: Place) -> None:
    place.write("train.xlsx", "PK")
    place.configure({"data": {"train": "train.xlsx"}})
    ended = refused(place)
    assert "train.xlsx: .xlsx is not a kind of data that can be read" in ended.message
    assert ".jsonl" in ended.hint


def test_a_missing_model_folder_is_named(place: Place) -> None:
    place.configure({"model": {"architecture": None, "path": "./models/absent"}})
    ended = refused(place)
    assert ended.message == f"speedtui.toml: {place.folder / 'models/absent'}: no such folder"
    assert "model.path" in ended.hint


def test_a_folder_that_holds_no_model_is_refused(place: Place) -> None:
    (place.folder / "empty").mkdir()
    place.configure({"model": {"architecture": None, "path": "empty"}})
    assert refused(place).message.endswith("empty: the folder holds no model: no config.json")


def test_a_missing_recipe_is_named(place: Place) -> None:
    place.configure({"model": {"architecture": None, "kind": "python", "recipe": "mine.py:build"}})
    ended = refused(place)
    assert ended.message == f"speedtui.toml: {place.folder / 'mine.py'}: no such recipe"
    assert "model.recipe" in ended.hint


def test_with_v_an_error_before_the_start_has_its_traceback(place: Place) -> None:
    (place.folder / "train.jsonl").unlink()
    ended = place.run("tune", "-qv")
    assert "Traceback" in ended.err
    assert ended.err.splitlines()[-2].endswith("train.jsonl: no such file")
    assert place.untouched
