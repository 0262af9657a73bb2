"""Listing 1,500 runs: with what was kept of those that are over, and without."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from figures import keep, median_of, table

from speedtui.engine.report import listing
from speedtui.engine.report.listing import list_entries

RUNS, ROUNDS = 1_500, 3
RECORDED = Path(__file__).parents[1] / "data" / "recordings" / "failed.jsonl"
"""A run of a minute; a longer one only widens the difference."""
MOST_OF_READING = 0.5
"""Of the time that reading the logs takes."""


def test_a_list_of_many_runs_does_not_read_their_logs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = RECORDED.read_bytes()
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    for number in range(RUNS):
        folder = runs / f"20260101-{number // 3600:02d}{number // 60 % 60:02d}{number % 60:02d}-train-{number:04x}"
        folder.mkdir(parents=True)
        (folder / "events.jsonl").write_bytes(recorded)
    monkeypatch.setattr(listing, "SETTLED_SECONDS", -1.0)  # those that were written just now count as settled
    first = list_entries(runs, kept=cache)
    seconds: dict[str, list[float]] = {"kept": [], "read": []}
    for _ in range(ROUNDS):
        for name, folder in (("kept", cache), ("read", None)):
            began = time.process_time()
            assert list_entries(runs, kept=folder) == first and len(first) == RUNS
            seconds[name].append(time.process_time() - began)
    medians = {name: median_of(values) for name, values in seconds.items()}
    ratio = medians["kept"].median / medians["read"].median
    rows = [[name, value.median, value.low, value.high] for name, value in medians.items()]
    print(table(["CPU seconds for 1,500 runs", "median", "low", "high"], rows), f"\nratio {ratio:.3f}")
    keep("many_runs", {"runs": RUNS, "log_bytes": len(recorded), "cpu_seconds": medians, "kept_of_read": ratio})
    assert ratio < MOST_OF_READING
