"""Beside the terminals of others, each on what it can show on this machine: bytes, CPU, first paint."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from endless import Training
from figures import keep, table
from peers import HINT, PACKAGES, Shown, peers
from synthetic import write_recording

COLUMNS, ROWS = 140, 40
PAINT_SECONDS, SETTLE_SECONDS, MEASURED_SECONDS = 40.0, 6.0, 15.0
LOOP_SECONDS = 120.0
LOOP = Path(__file__).with_name("peer_loop.py")
SPEEDTUI = str(Path(sys.executable).with_name("speedtui"))
LOG_SECONDS = 40.0
"""Until wandb has made its folder and written something to it."""
METRIC = b"loss"
"""The chart that is waited for; its name stands in the log as it is."""
RECORDED_SECONDS = 10


def test_beside_other_terminals(tmp_path: Path) -> None:
    programs = peers()
    figures: dict[str, dict[str, Any]] = {
        "speedtui, a training": of_ours(tmp_path / "ours"), "speedtui, a run that is over": of_ours_over(tmp_path),
    }  # fmt: skip
    shows: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
        "LEET, a training": of_leet, "LEET, a run that is over": of_leet_over, "nvitop": of_nvitop,
        "TraceML": of_traceml,
    }  # fmt: skip
    for name, show in shows.items():
        figures[name] = {"left_out": HINT} if programs is None else told(show, programs, tmp_path / name.split(",")[0])
    names = ("first_byte_seconds", "painted_seconds", "kib_per_second", "cpu_share")
    print(table([f"{COLUMNS}x{ROWS}", "first byte s", "painted s", "KiB/s", "CPU"],
                [[name, *(found.get(key) for key in names)] for name, found in figures.items()]))  # fmt: skip
    for name, found in figures.items():
        if "left_out" in found:
            print(f"{name} is left out: {found['left_out']}")
    keep("peers_screen", {"columns": COLUMNS, "rows": ROWS, "packages": PACKAGES, "figures": figures})
    ours = figures["speedtui, a training"]
    for name in shows:
        if "cpu_share" in figures[name]:
            assert ours["cpu_share"] <= figures[name]["cpu_share"], (name, figures)
    assert figures["speedtui, a run that is over"]["bytes"] == 0


def told(show: Callable[[Path, Path], dict[str, Any]], programs: Path, folder: Path) -> dict[str, Any]:
    """What was measured, or why nothing was: a peer that fails is no failure of ours."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return show(programs, folder)
    except (OSError, subprocess.SubprocessError, TimeoutError) as error:
        return {"left_out": f"{type(error).__name__}: {error}"}


def measured(shown: Shown, painted: bytes) -> dict[str, Any]:
    """First byte, first paint of what it is there for, then some seconds of it."""
    try:
        seen = b""
        while not seen and time.monotonic() - shown.terminal.started < PAINT_SECONDS:
            seen = shown.terminal.read(0.02)
        first = time.monotonic() - shown.terminal.started
        while painted not in seen:
            if time.monotonic() - shown.terminal.started > PAINT_SECONDS:
                raise TimeoutError(f"{painted!r} was not seen within {PAINT_SECONDS:g} s: {seen[-300:]!r}")
            seen += shown.terminal.read(0.02)
        paint = time.monotonic() - shown.terminal.started
        shown.measure(SETTLE_SECONDS)
        return {"first_byte_seconds": first, "painted_seconds": paint, **shown.measure(MEASURED_SECONDS)}
    finally:
        shown.end()


# -- ours ----------------------------------------------------------------------------------------------


def of_ours(folder: Path) -> dict[str, Any]:
    """`speedtui attach` to a training that goes on in another process."""
    training = Training(folder, COLUMNS, ROWS)
    try:
        training.wait()
        attach = [SPEEDTUI, "attach", "--runs", str(training.runs)]
        with drained(training):
            return measured(Shown(attach, COLUMNS, ROWS, training="speedtui.engine"), b"Monitor")
    finally:
        training.end()


@contextmanager
def drained(training: Training) -> Iterator[None]:
    """The screen that started it is left, so that only one is shown."""
    training.terminal.type("q")
    training.terminal.read(1.0)
    training.terminal.type("\r")  # detach is what is proposed
    training.terminal.read(2.0)
    yield


def of_ours_over(folder: Path) -> dict[str, Any]:
    """A recorded run at its end."""
    recording = write_recording(folder / "over", RECORDED_SECONDS)
    return measured(Shown([SPEEDTUI, "replay", str(recording.path), "--speed", "100"], COLUMNS, ROWS), b"Monitor")


# -- others --------------------------------------------------------------------------------------------


def of_leet(programs: Path, folder: Path) -> dict[str, Any]:
    """On an offline run that is being logged."""
    loop = [str(programs / "python"), str(LOOP), "wandb", str(LOOP_SECONDS), str(folder)]
    with subprocess.Popen(loop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as logging:
        try:
            run = wait_for_run(folder)
            return measured(Shown([str(programs / "wandb"), "leet", str(run)], COLUMNS, ROWS), METRIC)
        finally:
            logging.kill()


def wait_for_run(folder: Path) -> Path:
    """The run's folder, once there is something to show in its log, which wandb writes in blocks."""
    give_up = time.monotonic() + LOG_SECONDS
    while time.monotonic() < give_up:
        for log in folder.glob("wandb/offline-run-*/*.wandb"):
            if METRIC in log.read_bytes():
                return log.parent
        time.sleep(0.2)
    raise TimeoutError(f"wandb wrote nothing within {LOG_SECONDS:g} s")


def of_leet_over(programs: Path, folder: Path) -> dict[str, Any]:
    """On what our export wrote of a recorded run."""
    recording = write_recording(folder / "runs", RECORDED_SECONDS)
    export = [str(programs / "python"), "-m", "speedtui.tui.cli", "export", str(recording.path), "--to", "wandb",
              "--out", str(folder)]  # fmt: skip
    subprocess.run(export, check=True, capture_output=True, timeout=LOG_SECONDS)
    shown = Shown([str(programs / "wandb"), "leet", str(wait_for_run(folder))], COLUMNS, ROWS)
    return measured(shown, METRIC)


def of_nvitop(programs: Path, folder: Path) -> dict[str, Any]:
    """Devices; without NVIDIA's library it says so and ends."""
    if shutil.which("nvidia-smi") is None:
        said = subprocess.run([str(programs / "nvitop")], capture_output=True, text=True, timeout=30, check=False)
        return {"left_out": (said.stdout + said.stderr).strip().partition("\n")[0]}
    return measured(Shown([str(programs / "nvitop"), "--monitor", "full"], COLUMNS, ROWS), b"GPU")


def of_traceml(programs: Path, folder: Path) -> dict[str, Any]:
    """Its live view; the training process is not counted."""
    command = [str(programs / "traceml"), "run", "--mode", "cli", "--logs-dir", str(folder / "logs"), str(LOOP),
               "--args", "traceml", str(LOOP_SECONDS)]  # fmt: skip
    return measured(Shown(command, COLUMNS, ROWS, training=LOOP.name), b"Model Step Summary")
