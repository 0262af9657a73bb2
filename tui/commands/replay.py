"""speedtui replay"""

from __future__ import annotations

import re

import click
import msgspec

from speedtui.engine.errors import ExitCode, RunFolderError, UsageError
from speedtui.engine.log.read import no_run_words
from speedtui.engine.runs import RunFolder, find_recording
from speedtui.engine.session.recording import end_of
from speedtui.engine.session.replay import ReplaySession
from speedtui.engine.state import RunState
from speedtui.engine.units import parse_duration
from speedtui.tui.commands.following import follow
from speedtui.tui.commands.options import Common, Number, Output, common_options, screen_options
from speedtui.tui.options import ScreenOptions
from speedtui.tui.streams import require_printed

PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


@click.command("replay")
@common_options
@screen_options
@click.argument("run")
@click.option(
    "--speed", type=Number(min=0, min_open=True), default=10.0, show_default=True, help="Times the pace it went."
)
@click.option(
    "--from", "start", metavar="WHEN", help="Begin there: so long after the run's start, such as 1h20m, or at 40%."
)
def command(common: Common, run: str, speed: float, start: str | None) -> ExitCode:
    """Show a recorded run again: RUN is its id, the beginning of it, its folder, or the path of a log.

    On the screen space holds it, + and - change its speed, the arrows go back and on in it.
    """
    require_printed()  # where nothing can be, nobody waits for the recording's end
    folder = find_recording(common.runs, run)
    on_screen = common.output is Output.SCREEN
    session = ReplaySession(folder, speed, start=_seconds(start, folder) if start else 0.0, stay=on_screen)
    follow(session, common, screen=ScreenOptions(read_only=True))
    require_printed()
    if not on_screen:  # which may be left before the first one is due
        _require_events(session)
    return ExitCode.DONE


def _require_events(session: ReplaySession) -> None:
    """Nothing was shown of what holds nothing, and that is no recording.

    Raises:
        RunFolderError: there is no event in it.
    """
    state, events = session.snapshot(), session.folder.events
    nothing = msgspec.structs.replace(RunState(), passed_over=state.passed_over, log=state.log)
    if state == nothing and all(line.kind == "log" for line in state.log):  # what was passed over is a line there
        raise RunFolderError(f"{events}: {no_run_words(state, events)}", "`speedtui runs` lists the runs.")


def _seconds(text: str, folder: RunFolder) -> float:
    """On the run's clock.

    Raises:
        UsageError: it is neither a time nor a share.
    """
    share = PERCENT.fullmatch(text.strip())
    if share is not None:
        return min(1.0, float(share[1]) / 100) * end_of(folder.events)
    try:
        return parse_duration(text)
    except ValueError:
        raise UsageError(f"--from {text!r} is no time", "Such as 90s, 1h20m or 40%.") from None
