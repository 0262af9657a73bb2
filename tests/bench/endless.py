"""A training of the demo's model that outlasts any bench, on a terminal."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec
import psutil
from pseudo_terminal import Terminal
from studies import demo_settings

from speedtui.engine import events as e
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.settings import Settings
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import list_runs

SPEEDTUI = str(Path(sys.executable).with_name("speedtui"))
STEPS = 100_000
"""More than there is time for: the bench ends the training."""
SOME_STEPS = 40
"""Of which the first ones, that are slow, are over."""
PATIENCE_SECONDS = 120.0


def endless_training() -> Settings:
    """The demo's model with short steps and nothing between them."""
    settings = demo_settings()
    replace = msgspec.structs.replace
    return replace(
        settings,
        train=replace(settings.train, max_steps=STEPS, effective_batch_size=2, micro_batch_size=2),
        schedule=replace(settings.schedule, eval_every="never", checkpoint_every="never"),
        window=replace(settings.window, length=None, margin="0s"),
    )


class Training:
    """It and the screen on it, in a terminal."""

    def __init__(self, folder: Path, columns: int, rows: int, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "speedtui.toml"
        config.write_text(dump_settings(endless_training()), encoding="utf-8")
        self.runs = folder / "runs"
        command = [SPEEDTUI, "train", "--config", str(config), "--runs", str(self.runs), *options]
        self.terminal = Terminal(command, columns, rows)
        self.worker: psutil.Process | None = None

    def wait(self) -> psutil.Process:
        """The process that trains, once the first steps are over."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            self.terminal.read(0.5)
            for folder in list_runs(self.runs):
                known = list(read_events(folder.events))
                if sum(isinstance(event, e.StepCompleted) for event in known) > SOME_STEPS:
                    pid = next(event for event in known if isinstance(event, e.RunStarted)).pid
                    self.worker = psutil.Process(pid)
                    return self.worker
        raise AssertionError("the training did not start")

    @property
    def processes(self) -> list[psutil.Process]:
        """The screen's and, where it is another one, the worker's."""
        pids = {self.terminal.pid, *([self.worker.pid] if self.worker is not None else [])}
        return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]

    def end(self) -> None:
        """Kills both."""
        worker = self.worker
        self.terminal.kill()
        if worker is not None and worker.pid not in (os.getpid(), self.terminal.pid) and worker.is_running():
            worker.kill()
