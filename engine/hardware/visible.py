"""Which devices CUDA_VISIBLE_DEVICES leaves visible, read as CUDA and torch read it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"
HIDING = ("", "-1", "NoDevFiles", "none", "void")
"""Its values that ask for no GPU; the third is Slurm's, the last two NVIDIA's container runtime's."""
_LEADING_NUMBER = re.compile(r"\s*([+-]?\d+)", re.ASCII)


def asked_devices() -> str | None:
    """The variable's value where it asks for a GPU; None where it is not set or hides all of them."""
    asked = os.environ.get(VISIBLE)
    return None if asked is None or asked.strip() in HIDING else asked


def visible_indices(setting: str | None, uuids: Sequence[str]) -> list[int]:
    """Indices into all devices of the machine, in the order in which CUDA numbers the visible ones.

    `setting` is the variable's value, None where it is not set; `uuids` are those of all devices, such as
    `GPU-5a1c…`; a part of one is enough. As in CUDA, the first entry that names no device ends the list, and a
    device named twice empties it. A MIG slice (`MIG-…`) names none of these devices.
    """
    if setting is None:
        return list(range(len(uuids)))
    by_uuid = setting.startswith("GPU-")
    chosen: list[int] = []
    for entry in setting.split(","):
        index = _index_of_uuid(entry, uuids) if by_uuid else _index_of_number(entry, len(uuids))
        if index is None:
            break
        if index in chosen:
            return []
        chosen.append(index)
    return chosen


def _index_of_number(entry: str, count: int) -> int | None:
    match = _LEADING_NUMBER.match(entry)
    index = int(match[1]) if match else -1
    return index if 0 <= index < count else None


def _index_of_uuid(entry: str, uuids: Sequence[str]) -> int | None:
    matches = [index for index, uuid in enumerate(uuids) if entry.startswith("GPU-") and uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None
