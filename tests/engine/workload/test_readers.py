"""Data files, good and bad."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # has no stubs
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # has no stubs
import pytest
from datasets import Dataset, DatasetDict

from speedtui.engine.config.settings import DataSettings
from speedtui.engine.errors import DataError
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.data import check_table, table_of

PAIR = DataSettings(prompt="question", response="answer")
TEXT = DataSettings(text="text")
MESSAGES = DataSettings(messages="messages")

ROWS = [{"question": "1 + 1", "answer": "2"}, {"question": "Größe?", "answer": "neun, \n zehn"}]


def contents(path: Path, data: DataSettings = PAIR) -> list[Any]:
    return [content for _, content in table_of(str(path), data).contents()]


def refusal(path: Path, data: DataSettings = PAIR) -> DataError:
    with pytest.raises(DataError) as caught:
        check_table(table_of(str(path), data), silent)
    return caught.value


def write_json_lines(path: Path) -> None:
    path.write_text("\ufeff" + "\n\n".join(map(json.dumps, ROWS)), encoding="utf-8")


def write_json(path: Path) -> None:
    path.write_text(json.dumps(ROWS, indent=2), encoding="utf-8")


def write_csv(path: Path) -> None:
    path.write_text('question,answer\n1 + 1,2\nGröße?,"neun, \n zehn"\n', encoding="utf-8")


def write_tsv(path: Path) -> None:
    path.write_text('question\tanswer\n1 + 1\t2\nGröße?\t"neun, \n zehn"\n', encoding="utf-8")


def write_parquet(path: Path) -> None:
    Dataset.from_list(ROWS).to_parquet(path)


def write_saved(path: Path, format: str | None = None) -> None:
    Dataset.from_list(ROWS).with_format(format).save_to_disk(path)


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("data.jsonl", write_json_lines),
        ("data.json", write_json),
        ("data.csv", write_csv),
        ("data.tsv", write_tsv),
        ("data.parquet", write_parquet),
        ("saved", write_saved),
        *[
            (f"data.{kind}{packed}", write)
            for packed in (".gz", ".zst")
            for kind, write in (
                ("jsonl", write_json_lines),
                ("json", write_json),
                ("csv", write_csv),
                ("TSV", write_tsv),
            )
        ],
        ("list.jsonl", write_json),
        *[(f"saved as {format}", partial(write_saved, format=format)) for format in ("numpy", "torch", "arrow")],
    ],
)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    path = tmp_path / name
    write(path)
    if path.suffix in PACK:
        path.write_bytes(PACK[path.suffix](path.read_bytes()))
    assert contents(path) == [("1 + 1", "2"), ("Größe?", "neun, \n zehn")]


def test_json_lines_may_hold_nan_in_a_column_that_is_not_read(write_rows: Any) -> None:
    path = write_rows("nan.jsonl", ['{"question": "q", "answer": "a", "score": NaN}'])
    assert contents(path) == [("q", "a")]


def test_a_file_called_json_may_hold_json_lines(write_rows: Any) -> None:
    assert len(contents(write_rows("lines.json", ROWS))) == 2


def test_a_csv_value_stays_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text("question,answer\nagent?,007\nmissing?,NA\n")
    assert contents(path) == [("agent?", "007"), ("missing?", "NA")]


def test_the_limit_takes_the_first_rows_only(pairs_file: Path) -> None:
    assert check_table(table_of(str(pairs_file), PAIR, limit=2), silent) == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere.jsonl").message == f"{tmp_path}/nowhere.jsonl: no such file"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert "the file is empty" in refusal(tmp_path / "empty.jsonl").message


def test_a_csv_with_a_header_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "header.csv").write_text("question,answer\n")
    assert "no rows" in refusal(tmp_path / "header.csv").message


def test_an_unknown_extension_names_those_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_text("x")
    error = refusal(tmp_path / "data.xlsx")
    assert ".xlsx" in error.message
    assert ".parquet" in error.hint


def test_a_line_that_is_not_json_is_named(write_rows: Any) -> None:
    path = write_rows("broken.jsonl", [ROWS[0], '{"question": "q", '])
    assert f"{path} line 2: not JSON" in refusal(path).message


def test_a_line_that_is_no_object_is_named(write_rows: Any) -> None:
    path = write_rows("list.jsonl", [ROWS[0], '["q", "a"]'])
    assert refusal(path).message == f"{path} line 2: expected a JSON object, got a list"


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin1.jsonl"
    path.write_bytes(b'{"question": "q", "answer": "a"}\n{"question": "Gr\xf6\xdfe", "answer": "a"}\n')
    assert refusal(path).message == f"{path} line 2: not UTF-8 text"


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("lenient", [False, True])
def test_a_row_nested_too_deeply_is_named(tmp_path: Path, listed: bool, lenient: bool) -> None:
    deep = '{"question": "a", "answer": "b", "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
    first = '{"question": "a", "answer": "b", "x": ' + ("NaN}" if lenient else "1}")
    path = tmp_path / "deep.json"
    path.write_text(f"[{first},\n{deep}]" if listed else f"{first}\n{deep}\n")
    error = refusal(path)
    assert error.message.startswith(str(path)) and error.message.endswith("too many to be read")
    assert listed or "line 2" in error.message


def test_half_a_surrogate_pair_is_named(write_rows: Any) -> None:
    path = write_rows("surrogate.jsonl", ['{"question": "\\ud83d", "answer": "a"}'])
    assert "line 1: half of a surrogate pair" in refusal(path).message


def test_a_missing_column_names_the_columns_there_are_and_the_nearest(write_rows: Any) -> None:
    path = write_rows("renamed.jsonl", [{"question": "q", "answers": "a"}])
    error = refusal(path)
    assert error.message == f'{path} line 1: no column "answer"; did you mean answers?'
    assert "question, answers" in error.hint


def test_a_column_missing_in_a_later_row_is_refused_with_its_line(write_rows: Any) -> None:
    path = write_rows("ragged.jsonl", [ROWS[0], {"question": "q"}])
    assert f'{path} line 2: no column "answer"' in refusal(path).message


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_saved])
def test_tables_are_checked_for_their_columns(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / {"write_csv": "t.csv", "write_parquet": "t.parquet"}.get(write.__name__, "t")
    write(path)
    assert 'no column "text"' in refusal(path, TEXT).message


NUMBERS = ["42", "-0", "4.50", "1e3", "9" * 23, "0.1", "true", "false", "1" * 5000]


@pytest.mark.parametrize("written", NUMBERS, ids=lambda value: value[:8])
@pytest.mark.parametrize("listed", [False, True])
def test_a_number_is_the_text_that_stands_in_the_file(tmp_path: Path, written: str, listed: bool) -> None:
    row = f'{{"question": "q", "answer": {written}}}'
    path = tmp_path / ("n.json" if listed else "n.jsonl")
    path.write_text(f"[{row}]" if listed else row)
    assert contents(path) == [("q", written)]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "[1]", '{"a": 1}'])
def test_what_is_neither_text_nor_a_number_is_named_with_its_row(write_rows: Any, value: str) -> None:
    path = write_rows("number.jsonl", [ROWS[0], f'{{"question": "q", "answer": {value}}}'])
    assert f'{path} line 2: column "answer": expected text or a number, got ' in refusal(path).message


def test_numbers_of_parquet_are_their_shortest_text(tmp_path: Path) -> None:
    columns = {
        "whole": pa.array([7]), "wide": pa.array([0.1]), "narrow": pa.array([0.1], pa.float32()),
        "half": pa.array([0.1], pa.float16()), "exact": pa.array([Decimal("4.50")]), "yes": pa.array([True]),
    }  # fmt: skip
    pq.write_table(pa.table({"question": ["q"], **columns}), tmp_path / "n.parquet")
    Dataset(pa.table({"question": ["q"], **columns})).save_to_disk(tmp_path / "saved")
    for file in ("n.parquet", "saved"):
        read = {
            name: contents(tmp_path / file, DataSettings(prompt="question", response=name))[0][1] for name in columns
        }
        assert read == {
            "whole": "7", "wide": "0.1", "narrow": "0.1", "half": "0.1", "exact": "4.50", "yes": "true",
        }  # fmt: skip


def test_a_csv_row_with_too_many_fields_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("question,answer\nq,a\nq,a,b\n")
    assert "line 3: 3 fields, but the header names 2 columns" in refusal(path).message


def test_an_open_quote_in_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "quote.csv"
    path.write_text('question,answer\nq,"a\n')
    assert "not CSV" in refusal(path).message


def test_a_file_that_only_claims_to_be_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fake.parquet"
    path.write_text("not parquet at all")
    assert "not a Parquet file" in refusal(path).message


def test_a_folder_that_is_no_saved_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "not a folder written by save_to_disk" in refusal(tmp_path / "folder").message


def test_a_saved_dataset_of_several_splits_asks_for_one(tmp_path: Path) -> None:
    DatasetDict({"train": Dataset.from_list(ROWS)}).save_to_disk(tmp_path / "splits")
    assert str(tmp_path / "splits" / "train") in refusal(tmp_path / "splits").hint


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("hello", 'expected a list of {"role": ..., "content": ...}'),
        ([["user", "hi"]], "message 1: expected an object with role and content"),
        ([{"role": "user", "content": None}], "message 1 (user): expected content that is text"),
    ],
)
def test_messages_that_are_no_messages_are_refused(write_rows: Any, value: Any, says: str) -> None:
    error = refusal(write_rows("bad.jsonl", [{"messages": value}]), MESSAGES)
    assert f'line 1: column "messages": {says}' in error.message


def test_rows_with_nothing_to_learn_from_count_as_none(write_rows: Any) -> None:
    rows = [{"question": "q", "answer": ""}, {"question": "", "answer": "a"}, {"question": "q", "answer": None}]
    assert contents(write_rows("gaps.jsonl", rows)) == [None, ("", "a"), None]


def test_data_in_which_every_row_is_empty_is_refused(write_rows: Any) -> None:
    path = write_rows("blank.jsonl", [{"text": "  "}, {"text": ""}])
    assert refusal(path, TEXT).message == f"{path}: nothing to learn from in any of its 2 rows: every text is empty"
