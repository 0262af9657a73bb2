"""What every bench does with its figures: medians with intervals, a table to read, a file to keep."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from math import comb
from pathlib import Path
from typing import Any

import msgspec

RESULTS = Path(__file__).parent / "results"
CONFIDENCE = 0.95
PACKAGES = ("torch", "transformers", "textual")


class Median(msgspec.Struct, frozen=True, kw_only=True):
    """The middle of some measurements, and where the true middle lies with 95 % confidence."""

    median: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.median:.4g} [{self.low:.4g}, {self.high:.4g}] n={self.count}"


def median_of(values: Sequence[float]) -> Median:
    """From order statistics, without assuming how the noise is distributed; all of the range where n < 6."""
    ordered = sorted(values)
    n = len(ordered)
    rank = 0
    while rank + 1 < n - rank - 1 and _outside(n, rank + 1) <= 1 - CONFIDENCE:
        rank += 1
    return Median(median=statistics.median(ordered), low=ordered[rank], high=ordered[n - 1 - rank], count=n)


def _outside(n: int, rank: int) -> float:
    """The chance that the true median is below the value of this rank (0-based) or above its mirror image."""
    return 2 * sum(comb(n, i) for i in range(rank + 1)) / 2**n


def pearson(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Correlation of two series of measurements."""
    return statistics.correlation(xs, ys)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned columns; the first to the left, the others to the right."""
    texts = [list(headers), *([_text(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(headers))]
    lines = ["  ".join(_align(value, width, i) for i, (value, width) in enumerate(zip(row, widths, strict=True)))
             for row in texts]  # fmt: skip
    return "\n".join(["", lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _align(value: str, width: int, column: int) -> str:
    return value.ljust(width) if column == 0 else value.rjust(width)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return "–" if value is None else str(value)


def machine() -> dict[str, Any]:
    """What a figure depends on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    with open("/proc/cpuinfo") as file:
        return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown")


def keep(name: str, figures: dict[str, Any]) -> None:
    """Writes results/<name>.json; on disk before anything is asserted."""
    RESULTS.mkdir(exist_ok=True)
    content = {"bench": name, "machine": machine(), **msgspec.to_builtins(figures)}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
