"""Whether the files of a checkpoint are whole, by what their formats say of themselves."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from speedtui.engine.checkpoint.facts import FACTS_NAME, STATE_NAME, decode_json, read_facts

WEIGHTS = ("model.safetensors", "adapter_model.safetensors", "pytorch_model.bin", "adapter_model.bin",
           "model.safetensors.index.json", "pytorch_model.bin.index.json")  # fmt: skip
"""Any one of them; transformers and peft name them so."""
STATE = ("optimizer.pt", "scheduler.pt", "rng_state*.pth", STATE_NAME)
"""Each of them, or the training would go on differently."""
LENGTH_BYTES = 8
"""At the beginning of a safetensors file, little-endian: the length of its header."""


class _Tensor(msgspec.Struct, frozen=True):
    data_offsets: tuple[int, int] = (0, 0)
    """Begin and end after the header, bytes."""


def flaw_of_checkpoint(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, such as `optimizer.pt: cut off`; None where it is whole.

    Against its own list of files where it has one, and by content.
    """
    try:
        facts = read_facts(checkpoint)
        names = facts.files or file_sizes(checkpoint)
        return _flaw_of_sizes(checkpoint, facts.files) or missing_part(names) or flaw_of_files(checkpoint, names)
    except FileNotFoundError:
        return f"{STATE_NAME}: missing"
    except (OSError, ValueError) as error:
        return f"{FACTS_NAME if (checkpoint / FACTS_NAME).exists() else STATE_NAME}: {_words(error)}"


def missing_part(names: Iterable[str]) -> str | None:
    """What a training cannot go on without and is not among these relative names; None where all of it is."""
    names = list(names)
    if not any(name in WEIGHTS for name in names):
        return "no weights"
    for pattern in STATE:
        if not any(Path(name).match(pattern) for name in names):
            return f"{pattern.replace('*', '')}: missing"
    return None


def flaw_of_files(folder: Path, names: Iterable[str]) -> str | None:
    """The first of the files of these relative names that is not whole, and what it lacks; None where all are."""
    for name in names:
        flaw = flaw_of_file(folder / name)
        if flaw is not None:
            return f"{name}: {flaw}"
    return None


def file_sizes(folder: Path) -> dict[str, int]:
    """Bytes by relative name of all files below, but for the facts.

    Raises:
        OSError: one cannot be looked at.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files if path.name != FACTS_NAME}


def flaw_of_file(path: Path) -> str | None:
    """What is wrong with a file by its format; None where it is whole, or the format does not tell."""
    check = {".safetensors": _check_safetensors, ".pt": _check_zip, ".pth": _check_zip, ".bin": _check_zip,
             ".json": _check_json}.get(path.suffix)  # fmt: skip
    if check is None:
        return None if path.exists() else "missing"
    try:
        return check(path)
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        return _words(error)


def _flaw_of_sizes(checkpoint: Path, listed: Mapping[str, int]) -> str | None:
    for name, size in listed.items():
        try:
            there = (checkpoint / name).stat().st_size
        except FileNotFoundError:
            return f"{name}: missing"
        if there != size:
            return f"{name}: {there} bytes instead of {size}"
    return None


def _check_safetensors(path: Path) -> str | None:
    """The header's length, the header, and the tensors up to the last offset that it names.

    https://huggingface.co/docs/safetensors/index#format
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(LENGTH_BYTES)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == LENGTH_BYTES else size
        if LENGTH_BYTES + length > size:
            return "cut off in its header"
        header = msgspec.json.decode(file.read(length), type=dict[str, _Tensor])
    wanted = LENGTH_BYTES + length + max((tensor.data_offsets[1] for tensor in header.values()), default=0)
    return None if size == wanted else f"{size} bytes instead of {wanted}"


def _check_zip(path: Path) -> str | None:
    """torch writes zip files; their directory is at the end, and every entry lies before it."""
    with zipfile.ZipFile(path) as archive:
        return None if archive.infolist() else "empty"


def _check_json(path: Path) -> str | None:
    content = decode_json(path.read_bytes())
    if not path.name.endswith(".index.json") or not isinstance(content, dict):
        return None
    for name in sorted(set(content.get("weight_map", {}).values())):
        if not (path.parent / name).exists():
            return f"{name} is missing"
    return None


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "cut off or damaged"
