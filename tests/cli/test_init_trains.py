"""What `speedtui init` writes for any kind of data and model is trained as it stands."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # has no stubs
import pytest
import torch
from datasets import Dataset

from speedtui.engine.clean import clean
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.timing.possible import require_possible
from speedtui.engine.workload.architecture import build_architecture, train_tokenizer, wrap_tokenizer
from speedtui.tui.cli import application
from tests.engine.workload.small import BART, LLAMA, T5, load, make_trainer

MODELS: dict[str, dict[str, Any]] = {
    "llama": LLAMA, "gemma2": {**LLAMA, "model_type": "gemma2", "head_dim": 16}, "t5": T5, "bart": BART,
    "gpt2": {"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 48},
}  # fmt: skip
SAID = [{"role": "user", "content": "say it"}, {"role": "assistant", "content": "it"}]
SHARED = [{"from": "human", "value": "say it"}, {"from": "gpt", "value": "it"}]

ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "alpaca": ({"instruction": "add", "input": "2 and 2", "output": "4"}, {"format": "alpaca"}),
    "no input": ({"instruction": "add", "output": "4"}, {"prompt": "instruction", "response": "output"}),
    "dolly": (
        {"instruction": "add", "context": "2 and 2", "response": "4"},
        {"prompt": ["instruction", "context"], "response": "response"},
    ),
    "sharegpt": ({"id": 1, "conversations": SHARED}, {"format": "sharegpt"}),
    "chatml": ({"messages": SAID}, {"messages": "messages"}),
    "JSON text": ({"id": 7, "chat": json.dumps(SAID)}, {"messages": "chat"}),
    "completion": ({"prompt": "say", "completion": "it"}, {"prompt": "prompt", "response": "completion"}),
    "numbers": ({"Question": "2 + 2", "Answer": 4}, {"prompt": "Question", "response": "Answer"}),
    "context": (
        {"id": 1, "question": "how many?", "context": "two apples", "answer": "two"},
        {"prompt": ["context", "question"], "response": "answer"},
    ),
    "labels": ({"text": "good", "label": 1}, {"prompt": "text", "response": "label"}),
    "text": ({"text": "a text to learn"}, {"text": "text"}),
    "alone": ({"story": "a text to learn"}, {"text": "story"}),
}  # fmt: skip
"""A row, and the settings of [data] that it is recognized by."""


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def csv_text(rows: list[Any]) -> bytes:
    return bytes(Dataset.from_list(rows).to_pandas().to_csv(index=False).encode())  # type: ignore[union-attr]


WRITERS: dict[str, Callable[[Path, list[Any]], Any]] = {
    "rows.jsonl": lambda path, rows: path.write_bytes(lines(rows)),
    "rows.json": lambda path, rows: path.write_text(json.dumps(rows, indent=1)),
    "rows.jsonl.gz": lambda path, rows: path.write_bytes(gzip.compress(lines(rows))),
    "rows.json.zst": lambda path, rows: path.write_bytes(zstd(json.dumps(rows).encode())),
    "rows.csv": lambda path, rows: Dataset.from_list(rows).to_csv(path),
    "rows.tsv": lambda path, rows: Dataset.from_list(rows).to_csv(path, sep="\t"),
    "rows.csv.gz": lambda path, rows: path.write_bytes(gzip.compress(csv_text(rows))),
    "rows.parquet": lambda path, rows: Dataset.from_list(rows).to_parquet(path),
    "saved": lambda path, rows: Dataset.from_list(rows).with_format("numpy").save_to_disk(path),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny models with a tokenizer each, as save_pretrained writes them."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = wrap_tokenizer(train_tokenizer(iter(["say it to me again and again"] * 20), 300))
    for name, fields in MODELS.items():
        kind: Any = "seq2seq" if name in ("t5", "bart") else "causal-lm"
        settings = ModelSettings(architecture=fields, kind=kind)
        build_architecture(settings, tokenizer, torch.device("cpu"), seed=1).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def initialized(model: Path | str, data: str) -> Settings:
    application.main(["init", "--model", str(model), "--data", data], prog_name="speedtui", standalone_mode=False)
    return load_settings(Path("speedtui.toml"), {"train.max_steps": 2, "train.effective_batch_size": 4})


def named(settings: Settings) -> dict[str, Any]:
    keys = ("format", "prompt", "prompt_template", "response", "text", "messages")
    return {key: value for key in keys if (value := getattr(settings.data, key)) is not None}


def makes_two_steps(settings: Settings, folder: Path) -> None:
    trainer = make_trainer(settings, load(settings), folder)
    trainer.train()
    assert trainer.state.global_step == 2
    assert len(trainer.losses) == 2 * settings.train.effective_batch_size
    assert all(loss > 0 for loss in trainer.losses)


@pytest.mark.parametrize("kind", ROWS)
def test_every_common_layout_is_recognized_and_trained(
    here: Path, models: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    row, expected = ROWS[kind]
    WRITERS["rows.jsonl"](here / "rows.jsonl", [row] * 40)
    settings = initialized(models / "llama", "rows.jsonl")
    assert named(settings) == expected
    assert capsys.readouterr().err == ""
    makes_two_steps(settings, here / "run")


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_is_read(here: Path, models: Path, name: str) -> None:
    row, expected = ROWS["alpaca"]
    WRITERS[name](here / name, [row] * 40)
    settings = initialized(models / "llama", name)
    assert named(settings) == expected
    makes_two_steps(settings, here / "run")


@pytest.mark.parametrize("name", [name for name in WRITERS if "sv" not in name])
def test_conversations_are_recognized_in_every_file_that_can_hold_them(here: Path, models: Path, name: str) -> None:
    row, expected = ROWS["chatml"]
    WRITERS[name](here / name, [row] * 3)
    assert named(initialized(models / "llama", name)) == expected


@pytest.mark.parametrize(
    ("model", "kind", "max_length"),
    [("gemma2", "causal-lm", 1024), ("t5", "seq2seq", 1024), ("bart", "seq2seq", 64), ("gpt2", "causal-lm", 48)],
)
def test_the_kind_of_model_and_its_places_are_those_of_its_config(
    here: Path, models: Path, model: str, kind: str, max_length: int
) -> None:
    row, expected = ROWS["no input"]
    WRITERS["rows.jsonl"](here / "rows.jsonl", [row] * 40)
    settings = initialized(models / model, "rows.jsonl")
    assert (named(settings), settings.model.kind, settings.data.max_length) == (expected, kind, max_length)
    makes_two_steps(settings, here / "run")


@pytest.mark.parametrize("columns", [("id", "sql_prompt", "sql"), ("one", "two"), ('we"ird\nname', "other")])
def test_columns_that_say_nothing_are_named_and_left_to_choose(
    here: Path, models: Path, capsys: pytest.CaptureFixture[str], columns: tuple[str, ...]
) -> None:
    WRITERS["rows.csv"](here / "rows.csv", [dict.fromkeys(columns, "value")] * 3)
    with pytest.raises(ConfigError, match="must name the columns in one way"):
        initialized(models / "llama", "rows.csv")
    told = capsys.readouterr().err
    assert f"which columns are meant cannot be told; they are: {clean(', '.join(columns))}" in told
    text = Path("speedtui.toml").read_text()
    assert '# prompt = "..."' in text
    assert columns[-1] in text
    assert 'prompt = "prompt"' not in text


def test_an_encoder_decoder_with_conversations_is_told(
    here: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    WRITERS["rows.jsonl"](here / "rows.jsonl", [ROWS["chatml"][0]] * 3)
    with pytest.raises(ConfigError):
        initialized(models / "t5", "rows.jsonl")
    assert "t5 learns a response to a prompt, and rows.jsonl has neither" in capsys.readouterr().err


def test_what_cannot_be_read_or_known_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError):
        initialized("nobody/knows-it", "absent.jsonl")
    told = capsys.readouterr().err
    assert "absent.jsonl: no such file" in told
    assert "the config of nobody/knows-it is not on this machine" in told


def test_evaluation_data_beside_the_training_data_is_taken_else_a_share_of_it(here: Path, models: Path) -> None:
    row = ROWS["no input"][0]
    WRITERS["rows.jsonl"](here / "train.jsonl", [row] * 100)
    assert initialized(models / "llama", "train.jsonl").data.validation_share == 0.05
    Path("speedtui.toml").unlink()
    WRITERS["rows.jsonl"](here / "test.jsonl", [{"other": "columns"}] * 3)
    assert initialized(models / "llama", "train.jsonl").data.eval is None
    Path("speedtui.toml").unlink()
    WRITERS["rows.jsonl"](here / "valid.jsonl", [row] * 3)
    settings = initialized(models / "llama", "train.jsonl")
    assert (settings.data.eval, settings.data.validation_share) == (str(here / "valid.jsonl"), None)
    makes_two_steps(settings, here / "run")
    Path("speedtui.toml").unlink()
    WRITERS["rows.jsonl"](here / "few.jsonl", [row] * 20)
    assert not initialized(models / "llama", "few.jsonl").data.evaluates


@pytest.mark.parametrize(("rows", "effective"), [(1, 1), (3, 2), (15, 8), (16, 16), (40, 16)])
def test_a_small_file_gets_an_effective_batch_that_a_step_can_have(
    here: Path, models: Path, rows: int, effective: int
) -> None:
    WRITERS["rows.jsonl"](here / "rows.jsonl", [ROWS["alpaca"][0]] * rows)
    initialized(models / "llama", "rows.jsonl")
    settings = load_settings(Path("speedtui.toml"))
    assert settings.train.effective_batch_size == effective
    require_possible(settings, load(settings))
