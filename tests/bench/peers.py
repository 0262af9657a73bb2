"""Other terminals on trainings and devices, in an environment of their own, and programs in a terminal with all that
they start.

The environment is the folder in SPEEDTUI_PEERS; it is made there on first use. The packages of this environment can be
imported in it as well, so that torch is not installed twice.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import psutil
from pseudo_terminal import Terminal

PEERS = os.environ.get("SPEEDTUI_PEERS", "")
PACKAGES = ("wandb==0.31.0", "nvitop==1.7.2", "traceml-ai==0.5.0")
HINT = "set SPEEDTUI_PEERS to a folder outside the repository, into which they are installed from PyPI"


def peers() -> Path | None:
    """Where their programs are; None where there is no such environment."""
    if not PEERS:
        return None
    folder = Path(PEERS).resolve()
    if not (folder / "bin" / "wandb").exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES]
        subprocess.run(pip, check=True)
    ours = [path for path in sys.path if path.endswith("site-packages") or "editable" in path]
    for packages in folder.glob("lib/python*/site-packages"):
        (packages / "zz_training.pth").write_text("\n".join(ours) + "\n")  # read last: their own packages come first
    return folder / "bin"


class Shown:
    """A program in a terminal, with the processes that it starts."""

    def __init__(self, command: list[str], columns: int, rows: int, *, training: str = "") -> None:
        """`training`: a word of the command lines of those that train, which are not counted."""
        self.terminal = Terminal(command, columns, rows)
        self._training = training
        self._known: dict[int, psutil.Process] = {}

    def processes(self) -> list[psutil.Process]:
        """All that were ever seen and still are."""
        try:
            root = psutil.Process(self.terminal.pid)
            self._known |= {process.pid: process for process in (root, *root.children(recursive=True))}
        except psutil.NoSuchProcess:  # it has ended, and what it started may go on
            pass
        return [process for process in self._known.values() if process.is_running()]

    def cpu_seconds(self) -> float:
        """Of all that show something."""
        used = 0.0
        for process in self.processes():
            try:
                if not self._trains(process):
                    times = process.cpu_times()
                    used += times.user + times.system
            except psutil.Error:  # it has just ended
                continue
        return used

    def _trains(self, process: psutil.Process) -> bool:
        return bool(self._training) and any(self._training in word for word in process.cmdline())

    def measure(self, seconds: float) -> dict[str, float]:
        """Traffic and CPU for a while."""
        before, began = self.cpu_seconds(), time.monotonic()
        count = len(self.terminal.read(seconds))
        took = time.monotonic() - began
        return {"seconds": took, "bytes": count, "kib_per_second": count / 1024 / took,
                "cpu_share": (self.cpu_seconds() - before) / took}  # fmt: skip

    def end(self) -> None:
        """Kills all of them."""
        started = self.processes()
        self.terminal.kill()
        for process in started:
            if process.is_running() and process.pid != self.terminal.pid:
                process.kill()
