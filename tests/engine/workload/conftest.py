"""Real tiny models and data files, made once a session."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from speedtui.engine.config.settings import ModelSettings
from speedtui.engine.workload.architecture import build_architecture, train_tokenizer, wrap_tokenizer

TINY: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}

PAIRS = [("2 + 2 =", "4"), ("the capital of France is", "Paris"), ("say hello five times", "hello " * 5)]

WriteRows = Callable[[str, Iterable[Any]], Path]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for each test, and no network."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 40 thousand parameters and its tokenizer, as save_pretrained writes them."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    texts = (text for pair in PAIRS * 20 for text in pair)
    tokenizer = wrap_tokenizer(train_tokenizer(texts, 300))
    model = build_architecture(ModelSettings(architecture=TINY), tokenizer, torch.device("cpu"), seed=1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def write_rows(tmp_path: Path) -> WriteRows:
    """Writes rows as JSON lines; a row that is text is written as it stands."""

    def write(name: str, rows: Iterable[Any]) -> Path:
        path = tmp_path / name
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def pairs_file(write_rows: WriteRows) -> Path:
    return write_rows("pairs.jsonl", ({"question": q, "answer": a} for q, a in PAIRS))
