"""How soon there is something on the terminal, beside what importing Textual alone costs."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

from figures import Median, keep, median_of, table
from pseudo_terminal import Terminal
from synthetic import write_recording

ROUNDS = 11
COLUMNS, ROWS = 140, 40
REQUIRED_PAINT_SECONDS, REQUIRED_HELP_SECONDS = 0.5, 0.3
SPEEDTUI = str(Path(sys.executable).with_name("speedtui"))
READY = "painted-now"
BARE_APP = f"""
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static({READY!r})
Bare().run()
"""
IMPORT = f"import textual.app, textual.widgets; print({READY!r}, flush=True)"
PATIENCE_SECONDS = 30.0


class Start:
    """One start of a program: what it took until it had painted."""

    def __init__(self, command: list[str], marker: str, env: dict[str, str], *, exits: bool = False) -> None:
        terminal = Terminal(command, COLUMNS, ROWS, env)
        seen = terminal.read(PATIENCE_SECONDS, until=marker.encode())
        self.seconds = time.monotonic() - terminal.started
        assert marker.encode() in seen, seen[-2000:]
        self.cpu_seconds = 0.0 if exits else terminal.cpu_seconds()
        self.torch = not exits and b"libtorch" in Path(f"/proc/{terminal.pid}/maps").read_bytes()
        terminal.kill()


def test_the_first_frame_comes_soon(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "runs", 60)
    starts = {
        "python -c 'import textual.app, .widgets'": ([sys.executable, "-c", IMPORT], READY),
        "bare Textual app": ([sys.executable, "-c", BARE_APP], READY),
        "speedtui replay": ([SPEEDTUI, "replay", str(recording.path), "--speed", "1"], "Monitor"),
        "speedtui --help": ([SPEEDTUI, "--help"], "Commands"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in starts}
    cpu: dict[str, list[float]] = {name: [] for name in starts}
    with_torch = set()
    # modules are compiled once, as pip does for an installed package, whatever this environment forbids
    env = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    for turn in range(ROUNDS + 1):
        for name, (command, marker) in starts.items():
            exits = name == "speedtui --help" or "import" in name
            start = Start(command, marker, env, exits=exits)
            if turn == 0:
                continue  # the first round warms the page cache and the compiled modules
            seconds[name].append(start.seconds)
            cpu[name].append(start.cpu_seconds)
            if start.torch:
                with_torch.add(name)
    medians = {name: median_of(values) for name, values in seconds.items()}
    show(medians, {name: median_of(values) for name, values in cpu.items()})
    keep("first_paint", {"required_seconds": {"paint": REQUIRED_PAINT_SECONDS, "help": REQUIRED_HELP_SECONDS},
                         "seconds": medians, "torch_in": sorted(with_torch)})  # fmt: skip
    assert not with_torch
    assert medians["speedtui --help"].median <= REQUIRED_HELP_SECONDS
    assert medians["speedtui replay"].median <= REQUIRED_PAINT_SECONDS


def show(medians: dict[str, Median], cpu: dict[str, Median]) -> None:
    baseline = next(iter(medians.values())).median
    rows = [
        [name, found.median, found.low, found.high, found.median / baseline, cpu[name].median or None]
        for name, found in medians.items()
    ]
    print(table(["spawn to first paint", "s", "low", "high", "x the import", "CPU s"], rows))


def test_no_module_of_the_engine_that_the_screen_needs_imports_torch() -> None:
    pattern = re.compile(rb"'(torch|transformers|accelerate|peft|datasets)'")
    code = "import speedtui.tui.app, speedtui.tui.commands.replay, sys; print([*sys.modules])"
    terminal = Terminal([sys.executable, "-c", code], COLUMNS, ROWS)
    modules = terminal.read(PATIENCE_SECONDS, until=b"]\r\n")
    os.close(terminal.fd)
    os.waitpid(terminal.pid, 0)
    assert b"'speedtui.tui.app'" in modules
    assert pattern.search(modules) is None
