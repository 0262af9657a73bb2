"""One long training whose screens, sessions and workers are killed at random points, over and over."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from speedtui.engine import events as e
from speedtui.engine.config.load import dump_settings
from speedtui.engine.runs import RunFolder, list_runs
from tests.engine.session.survival_run import (
    MARK,
    STEPS,
    SlowTraining,
    check_steps,
    events_of,
    last_step,
    marked,
    torn_lines,
    wait_for,
)
from tests.tui.pseudo_terminal import PATIENCE_SECONDS, Seen, Terminal

PROGRAM = [sys.executable, "-m", "speedtui.tui.cli"]
SOON_SECONDS = 6.0
"""A round's victim dies within so long after its first sign: about as long as a worker takes to its first step."""
COLUMNS, ROWS = 100, 30


@dataclass
class Round:
    """What was killed, and what was left."""

    victim: str
    shown_by: str
    after_seconds: float
    step: int
    """Of the last finished step in the log when the victim died."""
    worker_survived: bool = False
    orphans: int = 0
    torn_lines: int = 0


class Front:
    """A command that shows the training: the screen on a terminal of its own, or lines without one."""

    def __init__(self, folder: Path, arguments: list[str], env: dict[str, str], *, screen: bool) -> None:
        self.terminal: Terminal | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if screen:
            before = Path.cwd()
            os.chdir(folder)
            self.terminal = Terminal([*PROGRAM, *arguments], COLUMNS, ROWS, env)
            self.seen = Seen(self.terminal, COLUMNS, ROWS)
            os.chdir(before)
            os.set_inheritable(self.terminal.fd, False)  # else a later one keeps this terminal's other end open
        else:
            self._process = subprocess.Popen(
                [*PROGRAM, *arguments, "-q"], cwd=folder, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
        self.pid = self.terminal.pid if self.terminal is not None else self._process.pid  # type: ignore[union-attr]

    def let_pass(self, seconds: float) -> None:
        """Reads what the screen draws meanwhile."""
        if self.terminal is not None:
            self.seen.feed(self.terminal.read(seconds))
        time.sleep(0 if self.terminal is not None else seconds)

    def end(self) -> tuple[int, str]:
        """Exit status and stderr, of what has ended or is about to."""
        if self._process is not None:
            _, errors = self._process.communicate(timeout=PATIENCE_SECONDS)
            return self._process.returncode, errors.decode()
        assert self.terminal is not None
        code = self.terminal.wait(PATIENCE_SECONDS)
        os.close(self.terminal.fd)
        assert code is not None
        return code, ""

    def kill(self) -> None:
        """As the kernel would."""
        os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.communicate()
        elif self.terminal is not None:
            self.terminal.kill()


class Killing:
    """Plays the rounds. Whoever shows the training is started anew each round: it attaches where the worker lives,
    else it resumes."""

    def __init__(self, folder: Path, seed: int, *, steps: int = STEPS) -> None:
        self.training = SlowTraining(folder, steps)
        (folder / "speedtui.toml").write_text(dump_settings(self.training.settings))
        self.env = {MARK: uuid.uuid4().hex}
        self.rounds: list[Round] = []
        self.front: Front | None = None
        self._random = random.Random(seed)

    @property
    def run(self) -> RunFolder:
        """The one that there is."""
        (found,) = list_runs(self.training.runs)
        return found

    def play(self, victim: str) -> Round:
        """One round; everything that has to hold after it is checked."""
        screen = victim == "screen" or (victim == "worker" and self._random.random() < 0.5)
        self.front = self._open(screen=screen)
        wait_for(lambda: list_runs(self.training.runs) and self.run.worker_alive())
        after = self._random.uniform(0.0, SOON_SECONDS)
        self.front.let_pass(after)
        played = Round(victim, "screen" if screen else "lines", round(after, 3), last_step(self.run))
        if victim == "worker":
            self._kill_worker()
        else:
            self._kill_front(played)
        played.orphans = len(self._orphans(played.worker_survived))
        played.torn_lines = torn_lines(self.run)
        check_steps(self.run)
        self.rounds.append(played)
        return played

    def _open(self, *, screen: bool) -> Front:
        if not list_runs(self.training.runs):
            arguments = ["train"]
        elif self.run.worker_alive():
            arguments = ["attach"]
        else:
            arguments = ["train", "--resume", self.run.id]
        return Front(self.training.folder, arguments, self.env, screen=screen)

    def _kill_worker(self) -> None:
        """What shows it has to notice; the screen is then left as one does."""
        assert self.front is not None
        started = len(events_of(self.run, e.RunFinished))
        owned = self.run.owned()
        os.kill(self._worker_pid(), signal.SIGKILL)
        if self.front.terminal is not None:
            if owned:
                wait_for(lambda: len(events_of(self.run, e.RunFinished)) > started)
            self.front.seen.shows("the worker was lost" if owned else "is gone and did not end it")
            self.front.seen.type("q")
        code, errors = self.front.end()
        if self.front.terminal is None:
            assert code == 1
            assert errors.strip().splitlines()[-1].endswith(f"--resume {self.run.id}"), errors

    def _worker_pid(self) -> int:
        """Of the worker, which leads a group of processes; its loader processes are called the same."""
        for process in marked(self.env[MARK]):
            if "speedtui.engine.jobs.worker" in process.cmdline() and os.getpgid(process.pid) == process.pid:
                return process.pid
        raise AssertionError("there is no worker")

    def _kill_front(self, played: Round) -> None:
        assert self.front is not None
        self.front.kill()
        step = last_step(self.run)
        wait_for(lambda: last_step(self.run) > step or not self.run.worker_alive())
        played.worker_survived = self.run.worker_alive()
        assert played.worker_survived, "the run did not outlive what showed it"

    def _orphans(self, worker_survived: bool) -> list[psutil.Process]:
        """What is left and belongs to no worker."""

        def left() -> list[psutil.Process]:
            found = marked(self.env[MARK])
            if not worker_survived:
                return found
            pids = {process.pid for process in family_of(self._worker_pid())}
            return [process for process in found if process.pid not in pids]

        end = time.monotonic() + PATIENCE_SECONDS
        while (found := left()) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def finish(self) -> None:
        """The last command, to the end of the training."""
        self.front = self._open(screen=False)
        wait_for(self.run.worker_alive)
        self.training.let_go()
        code, errors = self.front.end()
        assert code == 0, errors
        check_steps(self.run)

    def clean_up(self) -> None:
        """Nothing goes on after the test, whatever came of it."""
        for process in marked(self.env[MARK]):
            process.kill()

    def figures(self) -> dict[str, Any]:
        """To be kept."""
        return {"played": [asdict(played) for played in self.rounds]}


def family_of(pid: int) -> list[psutil.Process]:
    """A process and what it started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
