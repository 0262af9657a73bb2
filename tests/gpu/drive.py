"""Runs blocks one after the other, a process each, and writes down every one as soon as it is over."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.gpu.apart import Ended, run_apart
from tests.gpu.found import Findings, verdict
from tests.gpu.rows import ALLOWED, STARTING_SECONDS, Block

Start = Callable[[Block, Findings], None]
"""Runs a block in the process that calls it."""
LEFT_OUT = Ended("left out", "no time was left for it", 0.0)


class Lines:
    """A file of JSON lines that is on disk with every line."""

    def __init__(self, path: Path) -> None:
        """A file of an earlier check is begun anew."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self._path = path

    def add(self, line: dict[str, Any]) -> None:
        """Appends one line and waits for the disk."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def drive(
    blocks: Sequence[Block], start: Start, lines: Lines, log: Path, folder: Path, *, seconds: float, rehearsal: bool,
    patience: float = 1.0, starting: float = STARTING_SECONDS,
) -> list[dict[str, Any]]:  # fmt: skip
    """Begins no block that may not end within `seconds` from now; each line has the block's claims and figures.

    `log` takes what the blocks print; `folder` holds what they found until they are over;
    `patience`: times that a machine which does other things besides may take longer; `starting`: what a block may take
    besides.
    """
    deadline = time.monotonic() + patience * seconds
    told = []
    for block in blocks:
        findings = Findings(folder / f"{block.name}.found")
        left = deadline - time.monotonic()
        ended = LEFT_OUT
        if left >= block.seconds:
            print(f"{block.name:<20} ", end="", flush=True)
            most = min(patience * (ALLOWED * block.seconds + starting), left)
            ended = run_apart(partial(start, block, findings), log, most)
            print(f"{ended.status}, {ended.seconds:.1f} s{ended.reason and ': '}{ended.reason}", flush=True)
        line = line_of(block, ended, findings, rehearsal=rehearsal)
        lines.add(line)
        told.append(line)
    return told


def line_of(block: Block, ended: Ended, findings: Findings, *, rehearsal: bool) -> dict[str, Any]:
    """All that is known of a block that is over."""
    said, figures = findings.read()
    why = ended.reason or "the block did not come to it"
    claims = []
    for key, text in block.claims.items():
        held, found = said.get(key, (None, why))
        claims.append({"claim": text, "key": key, "verdict": verdict(held, rehearsal=rehearsal), "held": held,
                       "found": found})  # fmt: skip
    return {
        "block": block.name, "status": ended.status, "reason": ended.reason, "seconds": round(ended.seconds, 2),
        "cpu_seconds": round(ended.cpu_seconds, 2), "claims": claims, "figures": figures,
    }  # fmt: skip


def summary(lines: Sequence[dict[str, Any]]) -> str:
    """A table of the claims, and how many of them hold."""
    rows = [(claim["verdict"], line["block"], claim["claim"], claim["found"])
            for line in lines for claim in line["claims"]]  # fmt: skip
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
    texts = [f"{verdict:<{widths[0]}}  {block:<{widths[1]}}  {claim}: {found}" for verdict, block, claim, found in rows]
    counts = {verdict: sum(row[0] == verdict for row in rows) for verdict in dict.fromkeys(row[0] for row in rows)}
    broken = [f"{line['block']} {line['status']}: {line['reason']}" for line in lines if line["status"] not in FINE]
    return "\n".join([*texts, "", *broken, ", ".join(f"{count} {verdict}" for verdict, count in counts.items())])


FINE = ("ok", LEFT_OUT.status)
"""Ends of a block that are no fault of what it ran."""


def sound(lines: Sequence[dict[str, Any]], *, rehearsal: bool) -> bool:
    """Whether all that is claimed was seen to hold; of a rehearsal, whether every block came to its end."""
    if rehearsal:
        return all(line["status"] == "ok" for line in lines)
    return all(line["status"] == "ok" and all(c["held"] for c in line["claims"]) for line in lines)
