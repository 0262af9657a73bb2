"""Rows of a data file, one at a time, with the line or row to name when something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from speedtui.engine.workload.files import clear_errors, kind_of, require_file
from speedtui.engine.workload.json_rows import read_json
from speedtui.engine.workload.tables import csv_header, parquet_facts, read_csv, read_parquet, read_saved, saved_dataset

DataRow = tuple[str, Mapping[str, Any]]
"""Where it stands (`line 17`) and its columns, at least the wanted ones. Numbers of JSON know how they are written."""

LOOKED_AT = 100
"""Rows whose columns are looked at where a file's rows need not all have the same ones."""


def read_rows(path: Path, wanted: Sequence[str], optional: Sequence[str] = ()) -> Iterator[DataRow]:
    """The rows of a JSON lines, JSON, CSV, TSV or Parquet file or of a folder written by `save_to_disk`.

    `optional`: columns that come along where there are any of that name. All but Parquet may be compressed.

    Raises:
        DataError: there is no such file, it is empty, of another kind or broken, or a wanted column is missing.
    """
    require_file(path)
    with clear_errors(path):
        if optional and (path.is_dir() or kind_of(path)[0] == ".parquet"):  # there only what is asked for is read
            wanted = [*wanted, *(name for name in optional if name in columns_of(path) and name not in wanted)]
        read = read_saved if path.is_dir() else _READERS[kind_of(path)[0]]
        yield from read(path, wanted)


def columns_of(path: Path) -> Sequence[str]:
    """All columns of a file: of CSV, Parquet and saved datasets as they say, of JSON as the first rows have them.

    Raises:
        DataError: as `read_rows`.
    """
    require_file(path)
    with clear_errors(path):
        if path.is_dir():
            return saved_dataset(path).column_names  # type: ignore[no-any-return]  # datasets is untyped
        kind = kind_of(path)[0]
        if kind == ".parquet":
            return parquet_facts(path)[0]
        if kind in (".csv", ".tsv"):
            return csv_header(path)
        return list(dict.fromkeys(name for _, row in islice(read_json(path, ()), LOOKED_AT) for name in row))


def whole_columns(path: Path) -> Sequence[str]:
    """The columns that must be asked for to get whole rows: none where a row is read whole anyway.

    Raises:
        DataError: as `read_rows`.
    """
    require_file(path)
    return columns_of(path) if path.is_dir() or kind_of(path)[0] == ".parquet" else ()


def count_rows(path: Path) -> int:
    """Rows of the file; where it does not say, it is read once.

    Raises:
        DataError: as `read_rows`.
    """
    require_file(path)
    with clear_errors(path):
        if path.is_dir():
            return len(saved_dataset(path))
        if kind_of(path)[0] == ".parquet":
            return parquet_facts(path)[1]
    return sum(1 for _ in read_rows(path, ()))


_READERS: Mapping[str, Callable[[Path, Sequence[str]], Iterator[DataRow]]] = {
    ".jsonl": read_json,
    ".ndjson": read_json,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
}
