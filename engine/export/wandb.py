"""Weights & Biases: online where it is logged in, else as files that `wandb sync` sends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any, Literal

import psutil
import wandb

from speedtui.engine.export.base import TrackedRun
from speedtui.engine.export.metrics import MetricPoint
from speedtui.engine.files import make_folder

INIT_SECONDS = 30.0
"""For the first answer of its server."""
FINISH_SECONDS = 8.0
"""For what is still to be sent at the end; the live trackers give up at ten."""
SERVICE = "wandb-core"
"""The program that sends; a child of this process."""

WandbMode = Literal["online", "offline", "disabled", "shared"]


class WandbSink:
    """One run there, by the run's own id. It never asks anything and says nothing on the terminal."""

    def __init__(self, run: TrackedRun) -> None:
        """Begins it; a live one that was begun by an earlier worker goes on, and an export takes its place.

        Raises:
            wandb.Error: it cannot be begun.
            OSError: the folder cannot be written.
        """
        make_folder(run.folder)
        settings = _settings(live=run.live)
        wandb.setup(settings)  # before anything that would print
        mode = choose_mode()
        if not run.live:
            for earlier in (run.folder / "wandb").glob(f"offline-run-*-{run.id}"):
                shutil.rmtree(earlier)
        online = mode == "online"
        self._run: Any = wandb.init(
            project=run.project, name=run.name, id=run.id, config=run.config, dir=str(run.folder), mode=mode,
            # without `resume`, a run of the same id is overwritten
            resume="allow" if run.live and run.resumed and online else None,
            settings=settings,
        )  # fmt: skip
        self._where = self._run.url if online else f"wandb sync {os.path.dirname(self._run.dir)}"
        self._last_step = 0

    @property
    def where(self) -> str:
        """Its page, or the command that sends it."""
        return str(self._where)

    def write(self, points: Sequence[MetricPoint]) -> None:
        """Points of one step become one row; a step that goes back would be refused."""
        for point in points:
            self._last_step = max(self._last_step, point.step)
            self._run.log({**point.values, "_timestamp": point.time}, step=self._last_step)

    def close(self) -> None:
        """Waits for what is still to be sent, for a while."""
        self._run.finish()


def choose_mode() -> WandbMode:
    """What WANDB_MODE says; without it online where there is a key, since otherwise it would ask for one."""
    said = os.environ.get("WANDB_MODE")
    known: dict[str, WandbMode] = {"online": "online", "offline": "offline", "disabled": "disabled", "shared": "shared",
                              "dryrun": "offline", "run": "online"}  # fmt: skip
    if said in known:
        return known[said]
    return "online" if wandb.login(prompt=False, verify=False) else "offline"


def let_go() -> None:
    """Ends the program that sends. At its exit Python would else wait for it, minutes where there is no network."""
    for child in psutil.Process().children():
        try:
            if child.name() == SERVICE:
                child.kill()
        except psutil.Error:  # it has ended by itself
            pass


def _settings(*, live: bool) -> wandb.Settings:
    """The machine is sampled for a live run only: an export may happen on another one."""
    return wandb.Settings(
        silent=True, console="off", disable_git=True, save_code=False, init_timeout=INIT_SECONDS,
        finish_timeout=FINISH_SECONDS, x_disable_stats=not live, x_disable_meta=not live,
    )  # fmt: skip
