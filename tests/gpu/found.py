"""What a block has found, on disk as soon as it is known: what it had when it crashed or hung is not lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HOLDS, REFUTED, NOT_REACHED, REHEARSED = "holds", "refuted", "not reached", "rehearsed"
"""What can be said of a claim. A rehearsal's figures are a CPU's and prove nothing of a GPU."""


class Findings:
    """A block's own file, one JSON line for each thing found. Written by the block, read by whoever started it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def claim(self, key: str, held: bool | None, found: str) -> None:
        """`held`: None where it could not be seen, which `found` gives the reason of."""
        self._write({"claim": key, "held": held, "found": found})

    def figures(self, values: Mapping[str, Any]) -> None:
        """Adds to the block's figures, by name."""
        self._write({"figures": dict(values)})

    def _write(self, record: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, default=str) + "\n")

    def read(self) -> tuple[dict[str, tuple[bool | None, str]], dict[str, Any]]:
        """(what was said of each claim, the figures) so far; a line cut off by a crash is left out."""
        claims: dict[str, tuple[bool | None, str]] = {}
        figures: dict[str, Any] = {}
        if not self.path.exists():
            return claims, figures
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            figures.update(record.get("figures", {}))
            if "claim" in record:
                claims[record["claim"]] = (record["held"], record["found"])
        return claims, figures


def verdict(held: bool | None, *, rehearsal: bool) -> str:
    """Of one claim."""
    if held is None:
        return NOT_REACHED
    if rehearsal:
        return REHEARSED
    return HOLDS if held else REFUTED
