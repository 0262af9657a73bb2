"""Pictures of both screens at named moments of recorded runs, as SVG and PNG.

python -m speedtui.tui.screenshots RECORDINGS_DIR OUT_DIR
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.commands import AnyCommand
from speedtui.engine.errors import ExitCode
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.base import OnLine
from speedtui.engine.state import RunState, fold
from speedtui.tui.options import ScreenOptions, StartScreen

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp

SIZES = ((80, 24), (140, 40))
"""The smallest terminal that shows everything, and a large one."""
SCREENS: tuple[StartScreen, ...] = ("monitor", "trials")
SETTLE_SECONDS = 0.2
"""Textual switches screens after 50 ms; then the panes are laid out and drawn."""
FONT = "DejaVu Sans Mono"
"""Has braille and box drawing; the SVG itself asks for a web font."""

Log = Sequence[e.AnyEvent]
Moment = Callable[[Log], int | None]
"""The index of the last event that is seen; None where the recording has no such moment."""


def _first(log: Log, wanted: Callable[[e.AnyEvent], bool]) -> int | None:
    return next((i for i, event in enumerate(log) if wanted(event)), None)


def _loading(log: Log) -> int | None:
    return _first(log, lambda event: isinstance(event, e.ProgressMade))


def _measuring(log: Log) -> int | None:
    """Some steps into the third throughput probe, so that there are results beside it; or into the last one."""
    probed = [i for i, event in enumerate(log) if isinstance(event, e.StepCompleted) and event.probe == "throughput"]
    trials = list(dict.fromkeys(_trial(log[i]) for i in probed))
    if not trials:
        return None
    chosen = trials[min(2, len(trials) - 1)]
    steps = [i for i in probed if _trial(log[i]) == chosen]
    return steps[len(steps) // 2]


def _trial(event: e.AnyEvent) -> int | None:
    return event.trial if isinstance(event, e.StepCompleted) else None


def _out_of_memory(log: Log) -> int | None:
    return _first(
        log, lambda event: isinstance(event, e.TrialFinished) and event.result.status is TrialStatus.OUT_OF_MEMORY
    )


def _study_finished(log: Log) -> int | None:
    return _first(log, lambda event: isinstance(event, e.StudyFinished))


def _training(log: Log) -> int | None:
    """Two thirds through the training's steps."""
    steps = [i for i, event in enumerate(log) if isinstance(event, e.StepCompleted) and event.trial is None]
    return steps[len(steps) * 2 // 3] if steps else None


def _finished(log: Log) -> int | None:
    return _first(log, lambda event: isinstance(event, e.RunFinished))


MOMENTS: dict[str, Moment] = {
    "loading": _loading, "measuring": _measuring, "out_of_memory": _out_of_memory, "study_finished": _study_finished,
    "training": _training, "finished": _finished,
}  # fmt: skip


class StillSession(msgspec.Struct, frozen=True):
    """One state that nothing happens to."""

    folder: RunFolder
    state: RunState

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Over at once."""
        return ExitCode.DONE

    def snapshot(self) -> RunState:
        """The state."""
        return self.state

    def send(self, command: AnyCommand) -> None:
        """Nobody is there."""

    def detach(self) -> None:
        """Nothing runs."""

    def interrupt(self, exit_code: ExitCode) -> None:
        """Nothing runs."""


def moments(log: Log) -> Iterator[tuple[str, RunState]]:
    """The named moments that a recording has."""
    for name, find in MOMENTS.items():
        index = find(log)
        if index is not None:
            yield name, fold(log[: index + 1])


def keys_to(moment: str, state: RunState) -> list[str]:
    """What to press on the Trials so that the cursor is on the trial that the moment is about."""
    wanted = TrialStatus.OUT_OF_MEMORY if moment == "out_of_memory" else TrialStatus.RUNNING
    rows = state.study.rows if state.study is not None else ()
    at = next((i for i, trial in enumerate(rows) if trial.status is wanted), None)
    if at is None and state.study is not None:
        at = next((i for i, trial in enumerate(rows) if trial.candidate.id == state.study.best), None)
    return ["j"] * (at or 0)


async def picture(app: SpeedtuiApp, size: tuple[int, int], keys: Sequence[str]) -> str:
    """The screen as SVG."""
    async with app.run_test(size=size) as pilot:
        await pilot.pause(SETTLE_SECONDS)
        await pilot.press(*keys)
        await pilot.pause(SETTLE_SECONDS)
        return app.export_screenshot(title="speedtui")


def write_pictures(recording: Path, out: Path) -> Iterator[Path]:
    """Writes and yields the files of one recording."""
    import resvg_py  # a development dependency, not needed to run anything

    from speedtui.tui.app import SpeedtuiApp

    log = list(read_events(recording))
    for moment, state in moments(log):
        session = StillSession(RunFolder(recording.parent), state)
        for screen in SCREENS:
            keys = keys_to(moment, state) if screen == "trials" else []
            for columns, rows in SIZES:
                options = ScreenOptions(start_screen=screen, clock=lambda now=state.now: now)  # type: ignore[misc]
                svg = asyncio.run(picture(SpeedtuiApp(session, options), (columns, rows), keys))
                path = out / f"{recording.stem}-{moment}-{screen}-{columns}x{rows}.svg"
                path.write_text(svg, encoding="utf-8")
                png = resvg_py.svg_to_bytes(svg_string=svg, monospace_family=FONT, font_family=FONT)
                path.with_suffix(".png").write_bytes(bytes(png))
                yield path


def main(arguments: Sequence[str]) -> int:
    """Pictures of every recording in a folder."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return int(ExitCode.USAGE)
    recordings, out = Path(arguments[0]), Path(arguments[1])
    out.mkdir(parents=True, exist_ok=True)
    os.environ.update({"TEXTUAL_ANIMATIONS": "none", "COLORTERM": "truecolor"})
    os.environ.pop("NO_COLOR", None)
    for recording in sorted(recordings.glob("*.jsonl")):
        for path in write_pictures(recording, out):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
