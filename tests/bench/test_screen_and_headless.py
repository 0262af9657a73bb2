"""A trial measures the same whether the screen is open or not."""

from __future__ import annotations

import math
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from figures import keep, median_of, table
from pseudo_terminal import Terminal
from studies import demo_settings, with_candidates

from speedtui.engine import events as e
from speedtui.engine.config.load import dump_settings
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder, list_runs

PAIRS = int(os.environ.get("BENCH_PAIRS", "8"))
"""Of studies; fewer to see whether it runs."""
BATCHES = 40
"""Measured of each trial: four times as many as by default, since 3 % is less than ten tell."""
CANDIDATES = [{"train.micro_batch_size": 2}, {"train.micro_batch_size": 4}]
REQUIRED = 0.03
COLUMNS, ROWS = 140, 40
PATIENCE_SECONDS = 180.0
SPEEDTUI = str(Path(sys.executable).with_name("speedtui"))


def test_a_trial_is_as_fast_under_the_screen_as_headless(tmp_path: Path) -> None:
    settings = with_candidates(
        demo_settings(batches=BATCHES, early_stop=False), tmp_path / "candidates.json", CANDIDATES
    )  # fmt: skip
    (tmp_path / "speedtui.toml").write_text(dump_settings(settings), encoding="utf-8")
    ways = {"screen": on_screen, "headless": headless}
    found: dict[str, list[list[float]]] = {name: [] for name in ways}
    for turn in range(PAIRS):
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            found[name].append(ways[name](tmp_path, f"{name}-{turn}"))
    ratios = [of_pair(*pair) for pair in zip(found["screen"], found["headless"], strict=True)]
    ratio = median_of(ratios)
    seconds = {name: [statistics.median(trial) for trial in zip(*runs, strict=True)] for name, runs in found.items()}
    print(table([f"{PAIRS} pairs of studies, in turns", *(str(c) for c in CANDIDATES)],
                [[f"step seconds, {name}", *values] for name, values in seconds.items()]))  # fmt: skip
    print(f"\nthroughput under the screen to headless: {ratio}")
    keep("screen_and_headless", {"required": REQUIRED, "pairs": PAIRS, "batches": BATCHES, "ratio": ratio,
                                 "ratios": ratios, "step_seconds": found, "medians": seconds})  # fmt: skip
    assert abs(ratio.median - 1) <= REQUIRED, ratio


def of_pair(screen: list[float], headless: list[float]) -> float:
    """Throughput under the screen to headless: the geometric mean over the candidates."""
    return math.exp(statistics.fmean(math.log(b / a) for a, b in zip(screen, headless, strict=True)))


def on_screen(folder: Path, name: str) -> list[float]:
    """Step seconds of each candidate, with a terminal that is read."""
    terminal = Terminal([*command(folder, name)], COLUMNS, ROWS)
    try:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not over(folder / name) and time.monotonic() < give_up:
            terminal.read(0.5)
    finally:
        terminal.kill()
        for run in list_runs(folder / name):
            end_worker(run)
    return step_seconds(folder / name)


def end_worker(run: RunFolder) -> None:
    """A study that a screen was opened on waits for more, and outlives the screen."""
    pids = [event.pid for event in read_events(run.events) if isinstance(event, e.RunStarted)]
    if pids and run.worker_alive():
        os.kill(pids[-1], signal.SIGKILL)


def headless(folder: Path, name: str) -> list[float]:
    """The same as JSON lines."""
    subprocess.run([*command(folder, name), "--json"], stdout=subprocess.DEVNULL, timeout=PATIENCE_SECONDS, check=True)
    return step_seconds(folder / name)


def command(folder: Path, name: str) -> list[str]:
    return [SPEEDTUI, "tune", "--config", str(folder / "speedtui.toml"), "--runs", str(folder / name)]


def events_of(runs: Path) -> list[Any]:
    return [event for run in list_runs(runs) for event in read_events(run.events)]


def over(runs: Path) -> bool:
    return sum(isinstance(event, e.TrialFinished) for event in events_of(runs)) == len(CANDIDATES)


def step_seconds(runs: Path) -> list[float]:
    results = [event.result for event in events_of(runs) if isinstance(event, e.TrialFinished)]
    measured = [result.measurement.step_seconds for result in results if result.measurement is not None]
    assert len(measured) == len(CANDIDATES), [msgspec.to_builtins(result) for result in results]
    return measured
