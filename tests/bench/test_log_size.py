"""How large a log becomes at any pace, and that neither side of it grows in memory over twelve hours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from figures import keep, table

from speedtui.engine import events as e
from speedtui.engine.log.tail import EventTail
from speedtui.engine.state import StateReducer
from tests.engine.log.simulated_run import TWELVE_HOURS, SimulatedRun, Simulation, Written, allocator_of_a_gpu, simulate

REQUIRED_MEGABYTES = 100.0
"""In twelve hours; a megabyte is 10^6 bytes."""
REQUIRED_STEP_BYTES = 300
REQUIRED_GROWTH_MIB = 30.0
STEPS = 1_000_000
RATES = (0.2, 1.0, 5.0, 50.0, 1000.0)
"""Steps a second; each goes on for twelve hours or a million steps, whatever is first."""
SNAPSHOT_SECONDS = 0.5
"""Simulated, between two looks of a screen."""
MIB = 1 << 20
HERE = Path(__file__)
ROOT = HERE.parents[2]


def test_a_log_stays_small_at_any_pace(tmp_path: Path) -> None:
    rows: list[list[Any]] = []
    figures = []
    for devices in (0, 1, 8):
        for rate in RATES if devices < 8 else (5.0,):
            simulation = Simulation(
                steps_per_second=rate, seconds=min(TWELVE_HOURS, STEPS / rate), devices=devices
            )  # fmt: skip
            path = tmp_path / "events.jsonl"
            written = simulate(path, simulation)
            path.unlink()
            figures.append(_figures(simulation, written))
            rows.append([_name(devices), rate, written.steps, written.step_bytes / written.steps,
                         written.step_bytes / written.step_lines, written.bytes_per_step,
                         written.megabytes_in_12_hours])  # fmt: skip
    headers = ["run", "steps/s", "steps", "step lines B/step", "B/step line", "log B/step", "MB in 12 h"]
    print(table(headers, rows))
    keep("log_size", {
        "required_megabytes_in_12_hours": REQUIRED_MEGABYTES, "required_bytes_per_step": REQUIRED_STEP_BYTES,
        "figures": figures,
    })  # fmt: skip
    assert all(figure["megabytes_in_12_hours"] <= REQUIRED_MEGABYTES for figure in figures)
    assert all(figure["step_line_bytes"] <= REQUIRED_STEP_BYTES for figure in figures if not figure["devices"])
    fast = [figure for figure in figures if figure["steps_per_second"] >= 50]
    assert all(figure["bytes_per_step"] <= REQUIRED_STEP_BYTES for figure in fast)


def _name(devices: int) -> str:
    return "CPU" if not devices else f"{devices} GPU" + ("s" if devices > 1 else "")


def _figures(simulation: Simulation, written: Written) -> dict[str, Any]:
    return {
        "devices": simulation.devices, "steps_per_second": simulation.steps_per_second, "seconds": simulation.seconds,
        "steps": written.steps, "bytes": written.bytes, "bytes_per_step": written.bytes_per_step,
        "step_line_bytes": written.step_bytes / written.step_lines,
        "step_lines_bytes_per_step": written.step_bytes / written.steps,
        "longest_step_line": written.longest_step_line, "megabytes_in_12_hours": written.megabytes_in_12_hours,
        "bytes_per_second_by_type": {kind: size / simulation.seconds for kind, size in written.by_type.items()},
    }  # fmt: skip


def test_worker_and_session_do_not_grow_over_a_million_steps(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    found = {"worker": in_a_child("worker", log), "session": in_a_child("session", log)}
    print(table(
        ["a million steps in 12 h", "MiB at 5 %", "highest", "at the end", "growth", "CPU s"],
        [[side, f["start_mib"], f["highest_mib"], f["end_mib"], f["growth_mib"], f["cpu_seconds"]]
         for side, f in found.items()],
    ))  # fmt: skip
    keep("log_memory", {"steps": STEPS, "seconds": TWELVE_HOURS, "required_growth_mib": REQUIRED_GROWTH_MIB, **found})
    for side, figures in found.items():
        assert figures["growth_mib"] <= REQUIRED_GROWTH_MIB, side


def in_a_child(side: str, log: Path) -> dict[str, Any]:
    """What a process of its own measured of itself."""
    command = [sys.executable, str(HERE), side, str(log)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


class Memory:
    """This process's resident bytes as a simulated run goes on."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.samples: list[tuple[float, int]] = []

    def look(self, share: float) -> None:
        """At this share of the run."""
        self.samples.append((share, self._process.memory_info().rss))

    def figures(self) -> dict[str, Any]:
        """MiB; growth from 5 % of the run, when everything has been used once, to the highest after it."""
        settled = [rss for share, rss in self.samples if share >= 0.05]
        return {
            "start_mib": settled[0] / MIB, "highest_mib": max(settled) / MIB, "end_mib": settled[-1] / MIB,
            "growth_mib": (max(settled) - settled[0]) / MIB, "cpu_seconds": time.process_time(),
            "course_mib": [rss / MIB for _, rss in self.samples[:: max(len(self.samples) // 20, 1)]],
        }  # fmt: skip


def worker(log: Path) -> dict[str, Any]:
    """The worker's side: a million steps through the meter and the log."""
    memory = Memory()
    simulation = Simulation(steps_per_second=STEPS / TWELVE_HOURS, seconds=TWELVE_HOURS, shows=memory.look)
    with allocator_of_a_gpu():
        SimulatedRun(log, simulation).run()
    return memory.figures()


def session(log: Path) -> dict[str, Any]:
    """The session's side: its log read as it grows, folded, and looked at twice a second."""
    memory, folder = Memory(), StateReducer()
    looked, shown = 0.0, 0
    for t, event in _read(log):
        folder.apply(event)
        if t >= looked + SNAPSHOT_SECONDS:
            looked, shown = looked + SNAPSHOT_SECONDS, shown + 1
            folder.snapshot()
            if shown % 120 == 0:
                memory.look(t / TWELVE_HOURS)
    assert folder.snapshot().training is not None
    return {"snapshots": shown, **memory.figures()}


def _read(log: Path) -> Iterator[tuple[float, e.AnyEvent]]:
    tail = EventTail(log)
    for pairs in tail.pieces():
        for _, event in pairs:
            yield event.t, event


if __name__ == "__main__":
    print(json.dumps({"worker": worker, "session": session}[sys.argv[1]](Path(sys.argv[2]))))
