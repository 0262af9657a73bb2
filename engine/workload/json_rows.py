"""Rows of JSON lines and of one JSON list, with numbers as they are written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.errors import DataError
from speedtui.engine.workload.files import kind_of, open_bytes, require_columns, twice

BOM = b"\xef\xbb\xbf"
_LIST_OF_OBJECTS = re.compile(rb"\s*\[\s*(\{|\]|$)")


class WrittenInt(int):
    """A whole number that knows its text in the file."""

    written: str


class WrittenFloat(float):
    """A number that knows its text in the file: 4.50 stays 4.50."""

    written: str


def read_json(path: Path, wanted: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """An object on each line, or one list of objects, whatever the file is called.

    Raises:
        DataError: a line or the file is not JSON, a row is no object, or a wanted column is missing or there twice.
    """
    with open_bytes(path) as file:
        start = file.read(4096).removeprefix(BOM)
    named_json = kind_of(path)[0] == ".json" and start.lstrip().startswith(b"[")
    rows = _listed(path) if named_json or _LIST_OF_OBJECTS.match(start) else _lines(path)
    decode = msgspec.json.Decoder().decode
    keys = [json.dumps(name, ensure_ascii=False).encode() for name in wanted]
    for place, text in rows:
        where = f"{path} {place}"
        try:
            row = decode(text)
        except RecursionError:
            raise _too_deep(where) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            row = _decode_leniently(text, where)
        if not isinstance(row, dict):
            raise _no_object(row, where)
        require_columns(where, wanted, list(row))
        if any(type(row[name]) in (int, float) for name in wanted) or any(text.count(key) > 1 for key in keys):
            row = _decode_exactly(text, where, wanted)
        yield place, row


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    with open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(BOM) if number == 1 else line
            if not text.isspace():
                yield f"line {number}", text


def _listed(path: Path) -> Iterator[tuple[str, bytes]]:
    with open_bytes(path) as file:
        whole = file.read().removeprefix(BOM)
    try:
        rows: Sequence[Any] = msgspec.json.decode(whole, type=list[msgspec.Raw])
    except RecursionError:
        raise _too_deep(str(path)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        rows = _split(whole.decode("utf-8"), path)
    for number, row in enumerate(rows, start=1):
        yield f"row {number}", bytes(row)


def _split(whole: str, path: Path) -> list[bytes]:
    """The texts of a list's rows, in which Python's own json accepts NaN.

    Raises:
        DataError: it is no JSON.
    """
    try:
        json.loads(whole)
    except RecursionError:
        raise _too_deep(str(path)) from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path} line {error.lineno}: not JSON: {error.msg}", "The file must be one list of objects."
        ) from None
    decoder, at = json.JSONDecoder(), whole.index("[") + 1
    rows: list[bytes] = []
    while True:
        while whole[at] in " \t\r\n,":
            at += 1
        if whole[at] == "]":
            return rows
        end = decoder.raw_decode(whole, at)[1]
        rows.append(whole[at:end].encode())
        at = end


def _decode_leniently(line: bytes, where: str) -> Any:
    """For what the fast decoder refuses: says where it is wrong, and lets pass the NaN that Python itself writes."""
    text = line.decode("utf-8").rstrip("\r\n")
    try:
        row = json.loads(text, parse_int=_int)
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise _too_deep(where) from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: not JSON: {error.msg} at column {error.colno}",
            "Each line must be one JSON object.",
        ) from None
    except UnicodeEncodeError:
        raise DataError(
            f"{where}: half of a surrogate pair in a text", "Write the character out, or leave it away."
        ) from None
    return row


def _decode_exactly(text: bytes, where: str, wanted: Sequence[str]) -> Mapping[str, Any]:
    """With numbers that know how they are written.

    Raises:
        DataError: a wanted column is there twice: a decoder would take the last one without a word.
    """
    pairs: list[tuple[str, Any]] = []

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal pairs
        pairs = found  # the outermost object is the last one
        return dict(found)

    row: Mapping[str, Any] = json.loads(text, parse_int=_int, parse_float=_float, object_pairs_hook=keep)
    names = [name for name, _ in pairs]
    for name in wanted:
        if names.count(name) > 1:
            raise twice(where, name)
    return row


def written(value: float, text: str) -> WrittenFloat:
    """A number with its text."""
    number = WrittenFloat(value)
    number.written = text
    return number


def _int(text: str) -> int | float:
    try:
        number = WrittenInt(text)
    except ValueError:  # thousands of digits, over Python's own limit
        return _float(text)
    number.written = text
    return number


def _float(text: str) -> float:
    return written(float(text), text)


def _too_deep(where: str) -> DataError:
    return DataError(f"{where}: lists or objects in one another, too many to be read", "Shorten or leave out that row.")


def _no_object(row: Any, where: str) -> DataError:
    kind = {list: "a list", str: "text", type(None): "null"}.get(type(row), "a number or true/false")
    return DataError(f"{where}: expected a JSON object, got {kind}", "Each row must be an object of columns.")
