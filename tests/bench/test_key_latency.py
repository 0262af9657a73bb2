"""From a key to what it changes on the terminal, while a training runs in a process of its own or in the screen's."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil
from endless import Training
from figures import keep, table
from pseudo_terminal import Terminal

COLUMNS, ROWS = 140, 40
ENGINES = {"process": 0.060, "thread": 0.100}
"""Where the training runs, and the required p95 in seconds."""
KEYS = ("2", "1", "tab", "z", "z", "?", "?")
"""Screens there and back, a pane in focus, that pane alone and back, help and back: each changes what is seen. Not esc:
a lone one is told from the beginning of a longer sequence by waiting, which is the terminal's affair."""
NAMES = {
    "2": "to the Trials",
    "1": "to the Monitor",
    "tab": "next pane",
    "z": "zoom, there and back",
    "?": "help",
    "\x1b": "help closed",
}
TYPED = {"tab": "\t"}
TURNS, KEYS_A_TURN = 8, 2 * len(KEYS)
QUIET_SECONDS = 0.08
"""After a redraw by the clock, which then is over; the next one comes 500 ms after it."""
PATIENCE_SECONDS = 0.36
"""What comes later may be the next redraw by the clock and not the answer."""
REDRAW_SECONDS = 1.5
"""Within it there is one, unless nothing changes any more."""
AWAKE_SECONDS = 2.0
"""After it was stopped, until it is in its stride."""


def test_a_key_is_answered_soon_while_a_training_runs(tmp_path: Path) -> None:
    trainings = {
        engine: Training(tmp_path / engine, COLUMNS, ROWS, "--engine", engine) for engine in ENGINES
    }  # fmt: skip
    answers: dict[str, list[tuple[str, float | None]]] = {engine: [] for engine in ENGINES}
    try:
        for training in trainings.values():
            training.wait()
        for _ in range(TURNS):
            for engine, training in trainings.items():
                with alone(training, [other for other in trainings.values() if other is not training]):
                    answers[engine] += press(training.terminal)
    finally:
        for training in trainings.values():
            training.end()
    figures = {engine: figures_of(found, ENGINES[engine]) for engine, found in answers.items()}
    show(figures)
    keep("key_latency", {"columns": COLUMNS, "rows": ROWS, "load_1m": os.getloadavg()[0], "engines": figures})
    for engine, found in figures.items():
        assert found["answered"] >= 100, (engine, found)
        assert found["unanswered"] <= 0.02 * found["answered"], (engine, found)
        assert found["p95_seconds"] <= ENGINES[engine], (engine, found)


@contextmanager
def alone(training: Training, others: list[Training]) -> Iterator[None]:
    """The others stand still meanwhile, so that they take no core from it."""
    stopped = [process for other in others for process in other.processes]
    for process in stopped:
        process.suspend()
    try:
        training.terminal.read(AWAKE_SECONDS)
        yield
    finally:
        for process in stopped:
            try:
                process.resume()
            except psutil.NoSuchProcess:  # it has ended by itself
                continue


def press(terminal: Terminal) -> list[tuple[str, float | None]]:
    """Keys one after another, each between two redraws by the clock."""
    return [(key, answer_seconds(terminal, TYPED.get(key, key))) for key in islice(cycle(KEYS), KEYS_A_TURN)]


def answer_seconds(terminal: Terminal, text: str) -> float | None:
    """Until the first byte that the key brings about; None where none comes before the next redraw."""
    wait_for_a_redraw(terminal)
    began = time.perf_counter()
    terminal.type(text)
    answered = bool(select.select([terminal.fd], [], [], PATIENCE_SECONDS)[0])
    return time.perf_counter() - began if answered else None


def wait_for_a_redraw(terminal: Terminal) -> None:
    """Until one has come and ended; while help lies over the screen there is none."""
    if select.select([terminal.fd], [], [], REDRAW_SECONDS)[0]:
        while terminal.read(QUIET_SECONDS):
            pass


def figures_of(found: list[tuple[str, float | None]], required: float) -> dict[str, Any]:
    """All keys together, and each kind of key."""
    by_key = {NAMES[key]: seconds_of(found, key) for key in dict.fromkeys(KEYS)}
    seconds = [value for values in by_key.values() for value in values]
    return {
        "required_p95_seconds": required, "answered": len(seconds), "unanswered": len(found) - len(seconds),
        "p50_seconds": quantile(seconds, 0.5), "p95_seconds": quantile(seconds, 0.95), "worst_seconds": max(seconds),
        "by_key": {
            name: {"answered": len(values), "p50_seconds": quantile(values, 0.5), "p95_seconds": quantile(values, 0.95)}
            for name, values in by_key.items()
        },
    }  # fmt: skip


def seconds_of(found: list[tuple[str, float | None]], wanted: str) -> list[float]:
    return [seconds for key, seconds in found if key == wanted and seconds is not None]


def quantile(values: list[float], share: float) -> float | None:
    """The smallest value that so many are not above."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None


def show(figures: dict[str, dict[str, Any]]) -> None:
    rows: list[list[Any]] = []
    for engine, found in figures.items():
        rows.append([f"in a {engine}", found["answered"], found["unanswered"], ms(found["p50_seconds"]),
                     ms(found["p95_seconds"]), ms(found["worst_seconds"])])  # fmt: skip
        rows += [[f"  {name}", one["answered"], None, ms(one["p50_seconds"]), ms(one["p95_seconds"]), None]
                 for name, one in found["by_key"].items()]  # fmt: skip
    print(table(["key to first byte", "answered", "not", "p50 ms", "p95 ms", "worst ms"], rows))


def ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 1)
