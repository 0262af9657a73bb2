"""A training that goes on until it is let go: one tiny model, two loader processes, a checkpoint every few steps."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from speedtui.engine import events as e
from speedtui.engine.config.settings import ModelSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.log.tail import EventTail, read_events
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.start import StartOptions, start_training

RECIPE = """
import ctypes, sys, time, torch
from pathlib import Path
from speedtui.engine.workload import Recipe

HERE = Path(__file__).parent

def hang_in_python():
    while (HERE / "hang").exists():
        time.sleep(0.02)

def hang_with_the_lock_of_the_interpreter():
    libc, name, before = ctypes.PyDLL(None), bytes(HERE / "gil"), sys.getswitchinterval()
    sys.setswitchinterval(600)  # a signal ends the sleep, and between two of them no other thread is to get in
    while libc.access(name, 0) == 0:
        libc.usleep(100_000)
    sys.setswitchinterval(before)

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)

    def forward(self, x, y):
        if (HERE / "slow").exists():
            time.sleep(0.02)
        for name, hang in (("hang", hang_in_python), ("gil", hang_with_the_lock_of_the_interpreter)):
            if (HERE / name).exists():
                (HERE / "hung").touch()
                hang()
                (HERE / "hung").unlink()
        return {"loss": ((self.layer(x).squeeze(-1) - y) ** 2).mean()}

def build():
    data = [{"x": torch.randn(8), "y": torch.tensor(1.0)} for _ in range(40_000)]
    return Recipe(model=Model(), train_dataset=data)
"""
STEPS = 800
"""Of a fiftieth of a second each until it is let go."""
CHECKPOINT_STEPS = 10
MARK = "SPEEDTUI_TEST_MARK"
"""In the environment of everything that a test starts, whoever its parent is by then."""
PATIENCE_SECONDS = 200.0
"""A hung process fails its test; nothing is measured by it."""


class SlowTraining:
    """The recipe and its configuration in a folder; slow until `let_go`."""

    def __init__(self, folder: Path, steps: int = STEPS) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.py").write_text(RECIPE)
        (folder / "slow").touch()
        self.runs = folder / "runs"
        self.settings = Settings(
            model=ModelSettings(kind="python", recipe=str(folder / "recipe.py") + ":build"),
            train=TrainSettings(
                effective_batch_size=4, micro_batch_size=4, max_steps=steps, loader_workers=2, method="full"
            ),
            schedule=ScheduleSettings(checkpoint_every=f"{CHECKPOINT_STEPS} steps", eval_every="never"),
        )

    def create(self) -> RunFolder:
        """A run that nobody has started yet."""
        return start_training(self.settings, self.options()).folder

    def options(self) -> StartOptions:
        return StartOptions(runs=self.runs, where="test", train_command=["speedtui", "train"])

    def let_go(self) -> None:
        """From now on as fast as it can."""
        (self.folder / "slow").unlink()

    def hang(self, *, with_lock: bool) -> None:
        """Until it is to go on; `with_lock`: so that no thread of the process can. Waits until it does."""
        (self.folder / ("gil" if with_lock else "hang")).touch()
        wait_for(self.hangs)

    def hangs(self) -> bool:
        """Whether it hangs now."""
        return (self.folder / "hung").exists()

    def go_on(self) -> None:
        """What hangs does not hang any more."""
        for name in ("gil", "hang"):
            (self.folder / name).unlink(missing_ok=True)


def wait_for(what: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.03)
    return found


def events_of(folder: RunFolder, kind: type[Any]) -> list[Any]:
    """The events of a type in the log as it is now."""
    return [event for event in read_events(folder.events) if isinstance(event, kind)] if folder.events.exists() else []


def last_step(folder: RunFolder) -> int:
    """Of the last step in the log."""
    steps = events_of(folder, e.StepCompleted)
    return steps[-1].step if steps else 0


def torn_lines(folder: RunFolder) -> int:
    """Lines that are no events."""
    tail = EventTail(folder.events)
    for _ in tail.pieces():
        pass
    return tail.passed_over.lines


def segments(folder: RunFolder) -> list[list[e.AnyEvent]]:
    """The log, cut where a worker took up the run."""
    found: list[list[e.AnyEvent]] = []
    for event in read_events(folder.events):
        if isinstance(event, e.RunStarted):
            found.append([])
        if found:
            found[-1].append(event)
    return found


def check_steps(folder: RunFolder) -> None:
    """Each worker's steps follow one another from where it began, which is no earlier than the last checkpoint."""
    saved = 0
    for segment in segments(folder):
        expected = None
        for event in segment:
            if isinstance(event, e.TrainingStarted):
                assert event.first_step >= saved, "a finished step before the last checkpoint was lost"
                expected = event.first_step
            elif isinstance(event, e.StepCompleted):
                assert expected is not None and event.step - event.steps == expected, "a step is missing in the log"
                expected = event.step
            elif isinstance(event, e.CheckpointSaved) and not event.final:
                saved = max(saved, event.step)


def marked(mark: str) -> list[psutil.Process]:
    """Every process with this mark in its environment, this one left out."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


def as_events(lines: str) -> list[Any]:
    """JSON lines."""
    return [json.loads(line) for line in lines.splitlines()]
