"""How a run is started from a command line; apart from the other options, since looking at a run needs none of it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from speedtui.engine.session.start import StartOptions
from speedtui.engine.trust import trusted_arguments
from speedtui.tui.commands.options import Common


def start_options(
    common: Common,
    engine: str,
    *,
    where: str | None = None,
    queued: bool = True,
    hold: bool = False,
    restarts: int = 0,
) -> StartOptions:
    """How a run is started from this command line; `where`: what its settings come from, by default --config."""
    return StartOptions(
        runs=common.runs,
        where=where if where is not None else str(common.config),
        train_command=[*program(), "train", "--runs", str(common.runs.resolve()), *trusted_arguments()],
        in_thread=engine == "thread",
        restarts=restarts,
        queued=queued,
        hold=hold,
    )


def program() -> list[str]:
    """How this program is called again: the installed script, or the module under this Python."""
    script = Path(sys.executable).with_name("speedtui")
    found = str(script) if script.exists() else shutil.which("speedtui")
    return [found] if found else [sys.executable, "-m", "speedtui.tui.cli"]
