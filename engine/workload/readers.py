"""Rows of a data file, one at a time, with the line or row to name when something is wrong."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.config.paths import nearest
from speedtui.engine.errors import DataError

Row = tuple[str, Mapping[str, Any]]
"""Where it stands (`line 17`) and its columns, at least the wanted ones."""

BATCH_ROWS = 1000
"""Rows read at a time from Parquet and saved datasets: a megabyte or so of text."""

LARGEST_FIELD = 2**31 - 1
"""The csv module refuses fields over 128 KiB unless told otherwise."""


def read_rows(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    """The rows of a JSON lines, JSON, CSV, TSV or Parquet file or of a folder written by `save_to_disk`.

    Raises:
        DataError: there is no such file, it is empty, of another kind or broken, or a wanted column is missing.
    """
    require_file(path)
    if path.is_dir():
        return _read_saved(path, wanted)
    return _with_clear_errors(path, _READERS[path.suffix.lower()](path, wanted))


def whole_columns(path: Path) -> Sequence[str]:
    """The columns that must be asked for to get whole rows: none where a row is read whole anyway.

    Raises:
        DataError: as `read_rows`.
    """
    require_file(path)
    if path.is_dir():
        return _saved_dataset(path).column_names  # type: ignore[no-any-return]  # datasets is untyped
    if path.suffix.lower() != ".parquet":
        return ()
    from pyarrow import ArrowException  # type: ignore[import-untyped]  # has no stubs
    from pyarrow.parquet import read_schema  # type: ignore[import-untyped]  # has no stubs

    try:
        return read_schema(path).names  # type: ignore[no-any-return]  # pyarrow is untyped
    except ArrowException as error:
        raise _not_parquet(path, error) from None


def require_file(path: Path) -> None:
    """Refuses what is not there, is of no kind that can be read, or is empty; opens nothing.

    Raises:
        DataError: saying which of them.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file", "Correct data.train or data.eval.")
    if path.is_dir():
        return
    if path.suffix.lower() not in _READERS:
        raise DataError(
            f"{path}: {path.suffix or 'a file without an extension'} is not a kind of data that can be read",
            "Give JSON lines (.jsonl), .json, .csv, .tsv, .parquet or a folder written by save_to_disk.",
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty", "Correct data.train or data.eval.")


def _with_clear_errors(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    try:
        yield from rows
    except UnicodeDecodeError:
        raise DataError(f"{path} line {_first_undecodable_line(path)}: not UTF-8 text", _UTF8_HINT) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


_UTF8_HINT = "Convert the file, for example with `iconv -t UTF-8`."


def _first_undecodable_line(path: Path) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 0


def require_columns(where: str, wanted: Sequence[str], have: Sequence[str]) -> None:
    """Refuses a row or a table without a wanted column.

    Raises:
        DataError: naming the columns there are and the nearest of them.
    """
    for name in wanted:
        if name not in have:
            columns = ", ".join(have) or "none"
            raise DataError(
                f'{where}: no column "{name}"{nearest(name, list(have))}',
                f"The columns are: {columns}. Correct [data].",
            )


# -- JSON ------------------------------------------------------------------------------------------


def _read_json_lines(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    decode = msgspec.json.Decoder().decode
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.isspace():
                continue
            try:
                row = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                row = _decode_leniently(line, f"{path} line {number}")
            yield f"line {number}", _checked_object(row, f"{path} line {number}", wanted)


def _decode_leniently(line: bytes, where: str) -> Any:
    """As Python's own json, which takes the NaN that Python's own json writes."""
    text = line.decode("utf-8").rstrip("\r\n")
    try:
        row = json.loads(text)
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: not JSON: {error.msg} at column {error.colno}", "Each line must be one JSON object."
        ) from None
    except UnicodeEncodeError:
        raise DataError(
            f"{where}: half of a surrogate pair in a text", "Write the character out, or leave it away."
        ) from None
    return row


def _checked_object(row: Any, where: str, wanted: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        kind = {list: "a list", str: "text", type(None): "null"}.get(type(row), "a number or true/false")
        raise DataError(f"{where}: expected a JSON object, got {kind}", "Each row must be an object of columns.")
    require_columns(where, wanted, list(row))
    return row


def _read_json(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    """A list of objects, or JSON lines under another name."""
    with path.open("rb") as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return _read_json_list(path, wanted) if start == b"[" else _read_json_lines(path, wanted)


def _read_json_list(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path} line {error.lineno}: not JSON: {error.msg}") from None
    for number, row in enumerate(rows, start=1):
        yield f"row {number}", _checked_object(row, f"{path} row {number}", wanted)


# -- CSV -------------------------------------------------------------------------------------------


def _read_csv(path: Path, wanted: Sequence[str], delimiter: str = ",") -> Iterator[Row]:
    """Every value is text, as it stands: `007` stays `007`."""
    csv.field_size_limit(LARGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            require_columns(str(path), wanted, header)
            for fields in reader:
                if fields:
                    _check_width(fields, header, f"{path} line {reader.line_num}")
                    yield f"line {reader.line_num}", dict(zip(header, fields, strict=True))
        except csv.Error as error:
            raise DataError(f"{path} line {reader.line_num}: not CSV: {error}", "Check the quotes there.") from None


def _check_width(fields: Sequence[str], header: Sequence[str], where: str) -> None:
    if len(fields) != len(header):
        raise DataError(
            f"{where}: {len(fields)} fields, but the header names {len(header)} columns",
            "Put a value that contains the separator or a line break into quotes.",
        )


def _read_tsv(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    return _read_csv(path, wanted, delimiter="\t")


# -- Arrow -----------------------------------------------------------------------------------------


def _read_parquet(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            require_columns(str(path), wanted, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(wanted)):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except ArrowException as error:
        raise _not_parquet(path, error) from None


def _not_parquet(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: not a Parquet file that can be read: {_first_line(error)}")


def _read_saved(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    saved = _saved_dataset(path)
    require_columns(str(path), wanted, saved.column_names)
    number = 0
    for batch in saved.select_columns(list(wanted)).iter(BATCH_ROWS):
        for values in zip(*(batch[name] for name in wanted), strict=True):
            number += 1
            yield f"row {number}", dict(zip(wanted, values, strict=True))


def _saved_dataset(path: Path) -> Any:
    from datasets import Dataset, load_from_disk

    try:
        saved = load_from_disk(path)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: not a folder written by save_to_disk: {_first_line(error)}", "Name a data file in it instead."
        ) from None
    if not isinstance(saved, Dataset):
        splits = " or ".join(str(path / name) for name in saved)
        raise DataError(f"{path}: holds several splits", f"Name one of them: {splits}.")
    return saved


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


_READERS: Mapping[str, Callable[[Path, Sequence[str]], Iterator[Row]]] = {
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
}
