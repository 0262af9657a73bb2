"""Which row of its file a sample was made of, and where its prompt ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from speedtui.engine.config.settings import DataSettings
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.data import answer_of, table_of
from speedtui.engine.workload.pairs import tokenize_pairs
from speedtui.engine.workload.token_store import open_tokens
from speedtui.engine.workload.tokenize import tokenize
from tests.engine.workload.conftest import WriteRows

PAIR = DataSettings(prompt="question", response="answer")
GAPS = [{"question": "q" * n, "answer": answer} for n, answer in enumerate(["", "a", "bb", None, "c", ""], start=1)]


@pytest.fixture
def tokenizer(model_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(model_folder)


def test_each_sample_knows_its_row_also_from_the_cache(write_rows: WriteRows, tokenizer: Any) -> None:
    table = table_of(str(write_rows("gaps.jsonl", GAPS)), PAIR)
    for _ in range(2):
        dataset = tokenize(table, tokenizer, 64, silent)
        assert (dataset.numbers.tolist(), dataset.counts.dropped_rows) == ([1, 2, 4], 3)
        assert tokenize_pairs(table, tokenizer, 64, silent).numbers.tolist() == [1, 2, 4]


def test_rows_are_counted_over_batches(write_rows: WriteRows, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speedtui.engine.workload.tokenize.BATCH_ROWS", 2)
    table = table_of(str(write_rows("gaps.jsonl", GAPS)), PAIR)
    assert tokenize(table, tokenizer, 64, silent).numbers.tolist() == [1, 2, 4]
    assert tokenize_pairs(table, tokenizer, 64, silent).numbers.tolist() == [1, 2, 4]


def test_a_file_of_the_format_before_is_made_anew(write_rows: WriteRows, tokenizer: Any, own_cache: Path) -> None:
    table = table_of(str(write_rows("gaps.jsonl", GAPS)), PAIR)
    first = tokenize(table, tokenizer, 64, silent)
    (kept,) = (own_cache / "speedtui" / "tokens").iterdir()
    data = kept.read_bytes()
    kept.write_bytes(data[:-1] + b"\x01")
    assert open_tokens(kept) is None
    assert tokenize(table, tokenizer, 64, silent).numbers.tolist() == first.numbers.tolist()
    assert kept.read_bytes() == data


def test_without_a_cache_the_rows_are_known_too(
    write_rows: WriteRows, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    table = table_of(str(write_rows("gaps.jsonl", GAPS)), PAIR)
    assert tokenize(table, tokenizer, 64, silent).numbers.tolist() == [1, 2, 4]


def test_whole_rows_come_with_what_is_to_be_answered(write_rows: WriteRows) -> None:
    talk = [
        {"role": "assistant", "content": "welcome"}, {"role": "user", "content": "why"},
        {"role": "assistant", "content": "because"}, {"role": "assistant", "content": "so"},
    ]  # fmt: skip
    path = write_rows("talks.jsonl", [{"m": talk, "id": 1}, {"m": talk[:2], "id": 2}, {"m": talk[1:], "id": 3}])
    table = table_of(str(path), DataSettings(messages="m"))
    found = [(row["id"], answer_of(content)) for row, content in table.answered_rows(whole=True)]
    assert found == [(1, "because"), (2, None), (3, "because")]
