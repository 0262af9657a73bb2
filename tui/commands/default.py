"""speedtui without a command"""

from __future__ import annotations

from pathlib import Path

from speedtui.engine.config.load import DEFAULT_NAME, load_settings
from speedtui.engine.errors import ExitCode, UsageError
from speedtui.engine.session.start import start_study
from speedtui.tui.commands.demo import run_demo
from speedtui.tui.commands.options import Common, Output, typed_look
from speedtui.tui.commands.screen import show
from speedtui.tui.commands.starting import start_options

NO_CONFIG = "There is no speedtui.toml here, so this is the demo. `speedtui init` writes one for your model and data."


def open_default() -> ExitCode:
    """The screen on ./speedtui.toml with its candidates waiting, or on the demo.

    Raises:
        UsageError: there is no terminal to open it on.
    """
    common = Common(
        config=Path(DEFAULT_NAME), runs=Path("runs"), json=False, quiet=False, verbose=False, look=typed_look()
    )  # fmt: skip
    if common.output is not Output.SCREEN:
        reason = common.no_screen or "there is no terminal to open the screen on"
        raise UsageError(reason, "Name a command; `speedtui --help` lists them.")
    if not common.config.exists():
        return run_demo(common, "process", "quick", said=(NO_CONFIG,))
    settings = load_settings(common.config)
    session = start_study(settings, start_options(common, "process", queued=False, hold=True))
    return show(session, common, "process", start_screen="trials")
