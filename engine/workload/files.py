"""A data file as bytes: of which kind it is, whether it is compressed, and what is wrong with it."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from speedtui.engine.clean import shell_line
from speedtui.engine.config.paths import nearest
from speedtui.engine.errors import DataError, first_line

KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""By the last part of a name, with the program that unpacks it. Parquet is compressed inside."""

GZIP, ZSTANDARD, UTF16 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", (b"\xff\xfe", b"\xfe\xff")
"""What such files begin with."""

CORRECT = "Correct data.train or data.eval."


def kind_of(path: Path) -> tuple[str, str]:
    """(kind, compression) by the name: `.jsonl` and `.gz` of `train.jsonl.gz`; the second is empty without one."""
    last = path.suffix.lower()
    if last in COMPRESSIONS:
        inner = Path(path.stem).suffix.lower()
        return (inner, last) if inner != ".parquet" else (last, "")
    return last, ""


def require_file(path: Path) -> None:
    """Refuses what is not there, is of no kind that can be read, or is empty; opens nothing.

    Raises:
        DataError: saying which of them.
    """
    if path.is_dir():
        return
    if kind_of(path)[0] == ".py":
        raise DataError(
            f"{path}: a dataset script, whose code would have to run to get the rows",
            "Run it once by itself, write what it gives with to_json or save_to_disk, and name that.",
        )
    if not path.exists():
        raise _absent(path)
    if kind_of(path)[0] not in KINDS:
        raise DataError(
            f"{path}: {path.suffix or 'a file without an extension'} is not a kind of data that can be read",
            "Give JSON lines (.jsonl), .json, .csv, .tsv, each also as .gz or .zst, .parquet or a folder written by "
            "save_to_disk.",
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty", CORRECT)


def _absent(path: Path) -> DataError:
    if re.match(r"(https?|hf|s3|gs):$", next((part for part in path.parts if part.endswith(":")), "")):
        return DataError(f"{path}: an address and no file", "Download it, and name the file.")
    hub = "/".join(path.parts[-2:]) if not path.parent.exists() and path.parent.parent.exists() else path.name
    if path.suffix or path.parent.name == hub:
        return DataError(f"{path}: no such file", CORRECT)
    return DataError(
        f"{path}: no such file",
        f'{CORRECT} A data set of the hub is downloaded first: python -c "from datasets import load_dataset; '
        f"load_dataset('{hub}', split='train').to_json('train.jsonl')\", then train = \"train.jsonl\".",
    )


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


def twice(where: str, name: str) -> DataError:
    """The refusal of a column of which it is not known which one is meant."""
    return DataError(f'{where}: column "{name}" is there twice', "Rename one of the two, or leave it out.")


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """What the file holds, unpacked as it is read.

    Raises:
        DataError: it is not what its name says, damaged or cut off.
    """
    compression = kind_of(path)[1]
    if not compression:
        with path.open("rb") as file:
            yield file
        return
    try:
        with _unpacked(path, compression) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, compression, error) from None
    except OSError as error:
        if error.errno is not None:  # the disk's word, not the packer's
            raise
        raise _damaged(path, compression, error) from None


def _unpacked(path: Path, compression: str) -> IO[bytes]:
    if compression == ".gz":
        return cast(IO[bytes], gzip.open(path))
    from pyarrow import CompressedInputStream, OSFile  # type: ignore[import-untyped]  # has no stubs

    return io.BufferedReader(CompressedInputStream(OSFile(str(path)), "zstd"))


def _damaged(path: Path, compression: str, error: Exception) -> DataError:
    program = COMPRESSIONS[compression]
    with path.open("rb") as file:
        start = file.read(4)
    if not start.startswith(GZIP if program == "gzip" else ZSTANDARD):
        return DataError(
            f"{path}: not compressed with {program}, as its name says", f"Take {compression} off its name."
        )
    return DataError(
        f"{path}: damaged or cut off: {first_line(error)}", f"`{program} -t {path}` tests it; copy or download it anew."
    )


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turns what reading a file raises into one line.

    Raises:
        DataError: it is not UTF-8, or cannot be read.
    """
    try:
        yield
    except UnicodeDecodeError:
        raise _not_text(path) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _not_text(path: Path) -> DataError:
    with open_bytes(path) as file:
        start = file.read(4)
    program = next((name for name, magic in (("gzip", GZIP), ("zstd", ZSTANDARD)) if start.startswith(magic)), None)
    if program is not None:
        suffix = next(suffix for suffix, name in COMPRESSIONS.items() if name == program)
        return DataError(f"{path}: compressed with {program}", f"Call it {path.name}{suffix}.")
    wide = start.startswith(UTF16)
    encoding, check = ("UTF-16", "") if wide else ("WINDOWS-1252", " and look at its accents and signs")
    compression = kind_of(path)[1]
    plain = path.name.removesuffix(compression)
    read = f"{COMPRESSIONS[compression]} -dc {shell_line(str(path))} | " if compression else ""
    given = "" if compression else f" {shell_line(str(path))}"
    convert = f"{read}iconv -f {encoding} -t UTF-8{given} > {shell_line(f'utf8-{plain}')}"
    return DataError(
        f"{path} line {_first_undecodable_line(path)}: not UTF-8 text",
        f"It may be {encoding}: `{convert}`, name that file{check}.",
    )


def _first_undecodable_line(path: Path) -> int:
    with open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 0
