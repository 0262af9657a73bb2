"""Rows of CSV, TSV and Parquet files and of folders written by `save_to_disk`."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from speedtui.engine.errors import DataError, first_line
from speedtui.engine.runs import LOG_NAME
from speedtui.engine.workload.files import KINDS, kind_of, open_bytes, require_columns, twice
from speedtui.engine.workload.json_rows import written

BATCH_ROWS = 1000
"""Rows read at a time from Parquet and saved datasets: a megabyte or so of text."""

LARGEST_FIELD = 2**31 - 1
"""The csv module refuses fields over 128 KiB unless told otherwise."""

NAMED_FILES = 3
"""Data files of a folder that a hint names: enough to know what is meant."""

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
"""Between two columns of a line, by which programs write them."""

DataRows = Iterator[tuple[str, Mapping[str, Any]]]


def read_csv(path: Path, wanted: Sequence[str]) -> DataRows:
    """Every value is text, as it stands: `007` stays `007`.

    Raises:
        DataError: it is not CSV, a row has another width than the header, which lacks a column or names one twice.
    """
    csv.field_size_limit(LARGEST_FIELD)
    with open_bytes(path) as packed, io.TextIOWrapper(packed, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=_separator(path), strict=True)
        try:
            header = next(reader, [])
            _check_header(header, wanted, path)
            for fields in reader:
                if fields:
                    _check_width(fields, header, f"{path} line {reader.line_num}")
                    yield f"line {reader.line_num}", dict(zip(header, fields, strict=True))
        except csv.Error as error:
            raise DataError(f"{path} line {reader.line_num}: not CSV: {error}", "Check the quotes there.") from None


def csv_header(path: Path) -> list[str]:
    """The names in the first line; of a file with a header alone, too.

    Raises:
        DataError: it is not CSV.
    """
    with open_bytes(path) as packed, io.TextIOWrapper(packed, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=_separator(path), strict=True)
        try:
            header = next(rows, [])
            _refuse_other_separator(header, path, next(rows, header))
            return header
        except csv.Error as error:
            raise DataError(f"{path} line {rows.line_num}: not CSV: {error}", "Check the quotes there.") from None


def _refuse_other_separator(header: Sequence[str], path: Path, row: Sequence[str]) -> None:
    """A header in one piece that holds another separator, as a row of the file does."""
    own = SEPARATORS[_separator(path)]
    for separator, name in SEPARATORS.items():
        apart = separator != _separator(path) and len(header) == len(row) == 1
        if apart and separator in header[0] and separator in row[0]:
            named = f", or call it .tsv: {path.name.replace('.csv', '.tsv')}" if separator == "\t" else ""
            raise DataError(
                f"{path} line 1: the columns are separated by {name}, not by {own}", f"Save it with {own}{named}."
            )


def _separator(path: Path) -> str:
    return "\t" if kind_of(path)[0] == ".tsv" else ","


def _check_header(header: Sequence[str], wanted: Sequence[str], path: Path) -> None:
    if any(name not in header for name in wanted):
        _refuse_other_separator(header, path, header)
    require_columns(str(path), wanted, header)
    for name in header:
        if name and header.count(name) > 1:  # a spreadsheet's empty columns have no name and no use
            raise twice(f"{path} line 1", name)


def _check_width(fields: Sequence[str], header: Sequence[str], where: str) -> None:
    if len(fields) != len(header):
        raise DataError(
            f"{where}: {len(fields)} fields, but the header names {len(header)} columns",
            "Put a value that contains the separator or a line break into quotes.",
        )


# -- Arrow -----------------------------------------------------------------------------------------


def read_parquet(path: Path, wanted: Sequence[str]) -> DataRows:
    """The wanted columns only, as Python values.

    Raises:
        DataError: it is no Parquet file, or lacks a wanted column or has it twice.
    """
    from pyarrow import ArrowException  # type: ignore[import-untyped]  # has no stubs
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]  # has no stubs

    try:
        with ParquetFile(path) as file:
            _check_names(path, wanted, file.schema_arrow.names)
            yield from _rows(file.iter_batches(batch_size=BATCH_ROWS, columns=list(wanted)), wanted)
    except ArrowException as error:
        raise _not_parquet(path, error) from None


def parquet_facts(path: Path) -> tuple[list[str], int]:
    """(columns, rows) from the file's end, without reading the rest.

    Raises:
        DataError: it is no Parquet file.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            return list(file.schema_arrow.names), int(file.metadata.num_rows)
    except ArrowException as error:
        raise _not_parquet(path, error) from None


def read_saved(path: Path, wanted: Sequence[str]) -> DataRows:
    """The wanted columns only, as Python values, in whatever format the dataset was saved.

    Raises:
        DataError: it is no saved dataset, holds several splits, or lacks a wanted column.
    """
    saved = saved_dataset(path)
    _check_names(path, wanted, saved.column_names)
    yield from _rows(saved.select_columns(list(wanted)).with_format("arrow").iter(BATCH_ROWS), wanted)


def _check_names(path: Path, wanted: Sequence[str], names: Sequence[str]) -> None:
    require_columns(str(path), wanted, names)
    for name in wanted:
        if names.count(name) > 1:
            raise twice(str(path), name)


def _rows(batches: Iterator[Any], wanted: Sequence[str]) -> DataRows:
    """Half and single precision with the shortest text that is theirs: widened, 0.1 would read 0.10000000149011612."""
    number = 0
    for batch in batches:
        narrow = [
            (name, kind.to_pandas_dtype())
            for name, kind in zip(batch.schema.names, batch.schema.types, strict=True)
            if str(kind) in ("float", "halffloat")
        ]
        for row in batch.to_pylist():
            for name, kind in narrow:
                if row[name] is not None:
                    row[name] = written(float(row[name]), str(kind(row[name])))
            number += 1
            yield f"row {number}", row


def _not_parquet(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: not a Parquet file that can be read: {first_line(error)}")


def saved_dataset(path: Path) -> Any:
    """A folder written by `save_to_disk`, as datasets reads it.

    Raises:
        DataError: it is none, or holds several splits.
    """
    from datasets import Dataset, load_from_disk

    try:
        saved = load_from_disk(path)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not a folder written by save_to_disk: {first_line(error)}", _files_in(path)) from None
    if not isinstance(saved, Dataset):
        splits = " or ".join(str(path / name) for name in saved)
        raise DataError(f"{path}: holds several splits", f"Name one of them: {splits}.")
    return saved


def _files_in(folder: Path) -> str:
    """What else could be meant by a folder, such as one that was cloned from the hub."""
    shown = " or ".join(str(file) for file in islice(_data_files(folder), NAMED_FILES))
    return f"Name a data file in it instead{f': {shown}' if shown else ''}."


def _data_files(folder: Path) -> Iterator[Path]:
    """Below a folder, without what runs have written, whose logs are lines of JSON too."""
    for root, folders, names in os.walk(folder):
        if LOG_NAME in names:
            folders.clear()
            continue
        folders.sort()
        for name in sorted(names):
            file = Path(root, name)
            if kind_of(file)[0] in KINDS and file.stem != "dataset_info":
                yield file
