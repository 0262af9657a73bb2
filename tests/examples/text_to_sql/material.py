"""Writes the example: databases, pairs, a T5 with its tokenizer, and its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from speedtui.engine.config.settings import ModelSettings
from speedtui.engine.workload.imports import quiet_libraries
from tests.examples.text_to_sql.databases import DOMAINS, write_database
from tests.examples.text_to_sql.questions import Question, questions

METRIC = Path(__file__).with_name("metric.py")
VOCABULARY = 768
"""Enough for every word of the questions and of SQL as one token; most numbers are one or two."""

T5: dict[str, Any] = {
    "model_type": "t5", "d_model": 128, "d_ff": 256, "d_kv": 32, "num_layers": 2, "num_decoder_layers": 2,
    "num_heads": 4, "dropout_rate": 0.0, "relative_attention_num_buckets": 16, "feed_forward_proj": "gated-gelu",
}  # fmt: skip
"""0.9 million parameters: it writes queries that run after some hundred steps."""


def write_example(
    folder: Path, *, train_rows: int, eval_rows: int, links: int, seed: int = 0, model: Mapping[str, Any] = T5
) -> None:
    """train.jsonl, eval.jsonl, a database for each domain and the model in `folder`; the same for the same seed.

    `links`: rows of each database's largest table, which decide how long the metric takes.
    """
    (folder / "databases").mkdir(parents=True, exist_ok=True)
    for domain in DOMAINS:
        write_database(database_of(folder, domain.name), domain, links=links, seed=seed)
    made = questions(train_rows + eval_rows, seed)
    _write_rows(folder, "train.jsonl", made[:train_rows])
    _write_rows(folder, "eval.jsonl", made[train_rows:])
    _write_model(folder / "model", made[:train_rows], model)


def database_of(folder: Path, domain: str) -> Path:
    """Its SQLite file."""
    return folder.resolve() / "databases" / f"{domain}.sqlite"


def write_config(folder: Path, tables: Mapping[str, Mapping[str, Any]], name: str = "speedtui.toml") -> Path:
    """The example's configuration with these tables laid over it."""
    config: dict[str, dict[str, Any]] = {
        "model": {"path": "model", "kind": "seq2seq"},
        "data": {
            "train": "train.jsonl", "eval": "eval.jsonl", "prompt": "question", "response": "sql", "max_length": 128,
        },
        "train": {
            "method": "full", "epochs": 12.0, "effective_batch_size": 16, "micro_batch_size": 8,
            "learning_rate": 3e-3, "lr_schedule": "cosine", "lr_warmup_steps": 10,
        },
        "schedule": {
            "generate": True, "beams": 4, "max_new_tokens": 72, "metric": f"{METRIC}:execution_match",
            "metric_timeout": "120s",
        },
    }  # fmt: skip
    for table, values in tables.items():
        config[table] = {**config.get(table, {}), **values}
    path = folder / name
    path.write_text(tomli_w.dumps(config), encoding="utf-8")
    return path


def _write_rows(folder: Path, name: str, made: list[Question]) -> None:
    lines = [
        json.dumps(
            {"question": one.text, "sql": one.sql, "database": str(database_of(folder, one.domain.name))}
        )
        for one in made
    ]  # fmt: skip
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_model(folder: Path, made: list[Question], fields: Mapping[str, Any]) -> None:
    """Imported here, so that the metric's and the data's tests need no torch."""
    import torch

    from speedtui.engine.workload.architecture import build_architecture, train_tokenizer, wrap_tokenizer

    quiet_libraries()
    texts = (text for one in made for text in (one.text, one.sql))
    tokenizer = wrap_tokenizer(train_tokenizer(texts, VOCABULARY))
    settings = ModelSettings(architecture=dict(fields), kind="seq2seq")
    build_architecture(settings, tokenizer, torch.device("cpu"), seed=1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
