"""What a data file and a model's folder say of themselves, for a configuration that names what is there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.errors import DataError
from speedtui.engine.workload.files import kind_of
from speedtui.engine.workload.hub import cached_file
from speedtui.engine.workload.readers import LOOKED_AT, columns_of, read_rows, whole_columns

PAIRS = (
    ("prompt", "response"), ("prompt", "completion"), ("question", "answer"), ("instruction", "output"),
    ("instruction", "response"), ("instruction", "answer"), ("question", "response"), ("query", "response"),
    ("query", "answer"), ("problem", "solution"), ("problem", "answer"), ("input", "output"), ("input", "target"),
    ("inputs", "targets"), ("source", "target"), ("src", "tgt"), ("article", "highlights"), ("document", "summary"),
    ("dialogue", "summary"), ("text", "summary"), ("text", "label"), ("sentence", "label"),
)  # fmt: skip
"""(what is asked, what is to be answered) as common data sets call them, the plainest first."""
CONTEXTS = ("input", "context", "passage")
"""What belongs to the question where it stands beside it."""
AFTER = ("instruction",)
"""What is asked with these comes before its context, and after it otherwise."""
TEXTS = ("text", "content")

EVALUATION_NAMES = ("validation", "valid", "val", "dev", "eval", "test")
"""Of files beside the training data, the most fitting first."""

DTYPES = ("dtype", "torch_dtype")
"""As transformers 5 and earlier ones call it."""
POSITIONS = ("max_position_embeddings", "n_positions")


class Recognized(msgspec.Struct, frozen=True, kw_only=True):
    """What a data file is like."""

    columns: list[str]
    values: dict[str, str | list[str]]
    """Settings of [data] by their last name; empty where the columns say nothing."""
    rows: int
    """That were looked at, no more than `LOOKED_AT`."""
    problem: str = ""
    """Why the file could not be read."""


def recognize(path: Path) -> Recognized:
    """The columns of any file that can be trained on, and which of them are meant, by their names and their values."""
    try:
        columns = list(columns_of(path))
        rows = [row for _, row in islice(read_rows(path, whole_columns(path)), LOOKED_AT)]
    except DataError as error:
        return Recognized(columns=[], values={}, rows=0, problem=error.in_one)
    return Recognized(columns=columns, values=_values(columns, rows), rows=len(rows))


def _values(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, str | list[str]]:
    for name in columns:
        if rows and all(_is_conversation(row.get(name)) for row in rows):
            return {"format": "sharegpt"} if name == "conversations" else {"messages": name}
    plain = {name.strip().lower(): name for name in columns if all(_is_plain(row.get(name)) for row in rows)}
    if {"instruction", "input", "output"} <= plain.keys() and {"instruction", "input", "output"} <= set(columns):
        return {"format": "alpaca"}
    for asked, answer in PAIRS:
        if asked in plain and answer in plain:
            return {"prompt": _with_context(asked, plain), "response": plain[answer]}
    text = next((plain[name] for name in TEXTS if name in plain), None)
    if text is None and len(columns) == 1 and len(plain) == 1:
        text = columns[0]
    return {"text": text} if text is not None else {}


def _with_context(asked: str, plain: Mapping[str, str]) -> str | list[str]:
    context = next((name for name in CONTEXTS if name in plain and name != asked), None)
    if context is None or asked not in (*AFTER, "question", "query"):
        return plain[asked]
    both = [plain[asked], plain[context]]
    return both if asked in AFTER else both[::-1]


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _is_conversation(value: Any) -> bool:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            return False
    return isinstance(value, list) and bool(value) and all(
        isinstance(message, Mapping) and ({"role", "content"} <= message.keys() or {"from", "value"} <= message.keys())
        for message in value
    )  # fmt: skip


def evaluation_beside(path: Path) -> Path | None:
    """A file beside the training data that is called as evaluation data is, with the same ending; None without one."""
    stem = path.name[: -len("".join(path.suffixes[-2:] if kind_of(path)[1] else path.suffixes[-1:])) or None]
    ending = path.name[len(stem) :]
    for name in EVALUATION_NAMES if "train" in stem.lower() else ():
        at = stem.lower().index("train")
        found = path.with_name(f"{stem[:at]}{name}{stem[at + len('train') :]}{ending}")
        if found.exists():
            return found
    return None


# -- the model -------------------------------------------------------------------------------------


class ModelLike(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's config.json says that a configuration must know."""

    known: bool = False
    """There is one that can be read here."""
    encoder_decoder: bool = False
    positions: int | None = None
    """Tokens that it has places for; None where it sets no bound."""
    dtype: str | None = None
    """That its weights are kept in, such as `bfloat16`; None where it does not say."""
    chat_template: bool | None = None
    """Its tokenizer has one; None where that is not known."""


def model_like(name: str) -> ModelLike:
    """Of a folder, or of a model in the local cache of the hub; nothing is downloaded."""
    config = _read(name, "config.json")
    if not isinstance(config, dict):
        return ModelLike()
    text = {**config, **(config.get("text_config") or {})}
    encoder_decoder = bool(config.get("is_encoder_decoder"))
    counts = [text.get(key) for key in POSITIONS[: 1 if encoder_decoder else None]]  # T5's n_positions bounds nothing
    tokenizer = _read(name, "tokenizer_config.json")
    return ModelLike(
        known=True,
        encoder_decoder=encoder_decoder,
        positions=next((count for count in counts if isinstance(count, int) and count > 0), None),
        dtype=next((text[key] for key in DTYPES if isinstance(text.get(key), str)), None),
        chat_template=_templates(name, tokenizer) if isinstance(tokenizer, dict) else None,
    )


def _templates(name: str, tokenizer: Mapping[str, Any]) -> bool:
    return bool(tokenizer.get("chat_template")) or cached_file(name, "chat_template.jinja") is not None


def _read(name: str, file: str) -> Any:
    path = cached_file(name, file)
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path is not None else None
    except (OSError, ValueError):
        return None
