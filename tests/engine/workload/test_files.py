"""Data files that are not what they seem: packed, cut off, in another encoding, or no files at all."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # has no stubs
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # has no stubs
import pytest

from speedtui.engine.config.settings import DataSettings
from speedtui.engine.workload.recognize import recognize
from speedtui.engine.workload.tables import csv_header
from tests.engine.workload.test_readers import PACK, ROWS, contents, refusal, write_parquet


@pytest.mark.parametrize("packed", PACK)
def test_a_compressed_file_cut_anywhere_is_one_clear_line(tmp_path: Path, packed: str) -> None:
    whole = PACK[packed]("".join(json.dumps({**ROWS[1], "n": n}) + "\n" for n in range(50)).encode())
    path = tmp_path / f"cut.jsonl{packed}"
    for end in range(4, len(whole), 7):
        path.write_bytes(whole[:end])
        assert refusal(path).message.startswith(f"{path}: damaged or cut off: ")


@pytest.mark.parametrize("packed", PACK)
def test_a_name_that_does_not_say_how_the_file_is_packed_is_told(tmp_path: Path, packed: str) -> None:
    (tmp_path / f"plain.jsonl{packed}").write_text(json.dumps(ROWS[0]))
    assert "not compressed with" in refusal(tmp_path / f"plain.jsonl{packed}").message
    (tmp_path / "packed.jsonl").write_bytes(PACK[packed](json.dumps(ROWS[0]).encode()))
    assert refusal(tmp_path / "packed.jsonl").hint == f"Call it packed.jsonl{packed}."


def test_a_column_that_is_there_twice_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("question,answer,answer\nwhat,RIGHT,other\n")
    (tmp_path / "t.jsonl").write_text('{"question": "what", "answer": "RIGHT", "answer": "other"}\n')
    pq.write_table(
        pa.Table.from_arrays([["q"], ["a"], ["b"]], ["question", "answer", "answer"]), tmp_path / "t.parquet"
    )
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        assert 'column "answer" is there twice' in refusal(tmp_path / name).message


def test_a_name_within_a_value_is_no_second_column(tmp_path: Path, write_rows: Any) -> None:
    row = {"question": "answer", "answer": '"answer"', "more": {"answer": 1}}
    assert contents(write_rows("nested.jsonl", [row])) == [("answer", '"answer"')]
    (tmp_path / "blank.csv").write_text("question,answer,,\nq,a,,\n")
    assert contents(tmp_path / "blank.csv") == [("q", "a")]


@pytest.mark.parametrize(("encoding", "text"), [("WINDOWS-1252", "café – naïve"), ("UTF-16", "café – größer")])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_the_command_for_another_encoding_gives_the_same_text(
    tmp_path: Path, encoding: str, text: str, packed: str
) -> None:
    path = tmp_path / f"it's old.csv{packed}"
    raw = f"question,answer\nq,{text}\n".encode(encoding)
    path.write_bytes(PACK[packed](raw) if packed else raw)
    hint = refusal(path).hint
    assert f"iconv -f {encoding} -t UTF-8" in hint
    command = hint.split("`")[1]
    assert shlex.split(command)[-1] == "utf8-it's old.csv"
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert contents(tmp_path / "utf8-it's old.csv") == [("q", text)]


def test_a_data_set_of_the_hub_and_its_script_say_what_to_do(tmp_path: Path) -> None:
    hub = refusal(tmp_path / "tatsu-lab/alpaca")
    assert "load_dataset('tatsu-lab/alpaca', split='train').to_json('train.jsonl')" in hub.hint
    assert "load_dataset('gsm8k'" in refusal(tmp_path / "gsm8k").hint
    assert "load_dataset" not in refusal(tmp_path / "nowhere/deeper/rows.jsonl").hint
    assert refusal(Path("https://huggingface.co/x.jsonl")).message.endswith("an address and no file")
    (tmp_path / "squad.py").write_text("import datasets\n")
    script = refusal(tmp_path / "squad.py")
    assert "a dataset script" in script.message
    assert "save_to_disk" in script.hint


def test_a_folder_of_data_files_names_them(tmp_path: Path) -> None:
    (tmp_path / "clone/data").mkdir(parents=True)
    write_parquet(tmp_path / "clone/data/train-0.parquet")
    assert str(tmp_path / "clone/data/train-0.parquet") in refusal(tmp_path / "clone").hint


def test_what_runs_have_written_is_not_taken_for_data(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "20260101-000000-train-abcd"
    run.mkdir(parents=True)
    (tmp_path / "train.jsonl").write_text("{}\n")
    for name in ("events.jsonl", "commands.jsonl", "report.json"):
        (run / name).write_text("{}\n")
    assert refusal(tmp_path).hint == f"Name a data file in it instead: {tmp_path / 'train.jsonl'}."


@pytest.mark.parametrize(
    ("name", "separator", "words"),
    [("t.csv", ";", "semicolons, not by commas"), ("t.csv", "\t", "tabs, not by commas"),
     ("t.csv.gz", "|", "bars, not by commas"), ("t.tsv", ",", "commas, not by tabs")],
)  # fmt: skip
def test_another_separator_is_named(tmp_path: Path, name: str, separator: str, words: str) -> None:
    path = tmp_path / name
    raw = "".join(separator.join(row) + "\n" for row in [("question", "answer"), ("1 + 1", "2")]).encode()
    path.write_bytes(PACK[".gz"](raw) if name.endswith(".gz") else raw)
    assert refusal(path).message == f"{path} line 1: the columns are separated by {words}"
    assert "question" not in recognize(path).values.values() and words in recognize(path).problem


def test_a_column_whose_name_holds_a_separator_is_a_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("title; body\nwhat; and so on\n")
    assert contents(tmp_path / "t.csv", DataSettings(text="title; body")) == [("what; and so on",)]


@pytest.mark.parametrize("name", ["prompt, response", "text|label", "a; b"])
def test_one_column_may_have_a_separator_in_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'"{name}"\nall of it is learned\n')
    assert csv_header(path) == [name]
