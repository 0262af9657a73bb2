"""Draws scenes as PNG, the same from the same recordings."""

from __future__ import annotations

import asyncio
import html
import io
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.cells import cell_len

from speedtui.engine.commands import AnyCommand
from speedtui.engine.errors import ExitCode
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.base import OnLine
from speedtui.engine.state import RunState, fold
from speedtui.tui.options import ScreenOptions
from speedtui.tui.screenshots.moments import MOMENTS, Log
from speedtui.tui.screenshots.scenes import Scene, Size, keys_of_scene

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp

SETTLE_SECONDS = 0.2
"""Textual switches screens after 50 ms; then the panes are laid out and drawn."""
FONT = "DejaVu Sans Mono"
"""Has box drawing; the SVG itself asks for a web font."""
TEXT = re.compile(
    r'(?P<before><text [^>]*?)x="(?P<x>[\d.]+)"(?P<between>[^>]*?) textLength="(?P<length>[\d.]+)"[^>]*>'
    r"(?P<text>[^<]*)</text>"
)
SAME_EVERYWHERE = {"TZ": "UTC", "TEXTUAL_ANIMATIONS": "none", "COLORTERM": "truecolor"}
COLORS = 128
"""Of a picture: a screen has some forty, and the edges of its letters shades between them."""
NOT_HERE = Path("/srv/finetune/runs")
"""Where the runs seem to lie; nothing is read there."""


class StillSession:
    """One state that nothing happens to. It goes on as long as it is looked at, as its run did."""

    ending = ""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._over = threading.Event()
        if state.outcome is not None:
            self._over.set()

    @property
    def folder(self) -> RunFolder:
        """By the run's name."""
        return RunFolder(NOT_HERE / self._state.run)

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Until it is left, or over at once where the run is."""
        self._over.wait()
        return ExitCode.told(self._state.exit_code or 0)

    def snapshot(self) -> RunState:
        """The state."""
        return self._state

    def send(self, command: AnyCommand) -> None:
        """Nobody is there."""

    def detach(self) -> None:
        """Leaves."""
        self._over.set()

    def interrupt(self, exit_code: ExitCode) -> None:
        """Leaves."""
        self._over.set()

    def kill(self) -> None:
        """There is nothing to kill."""


class Picture(msgspec.Struct, frozen=True):
    """One that was drawn."""

    scene: Scene
    size: Size
    svg: str

    @property
    def png(self) -> bytes:
        """The same in pixels, in a palette: a fifth of the bytes that a photograph's colours take."""
        import resvg_py  # both are development dependencies, not needed to run anything
        from PIL import Image

        svg = cell_by_cell(self.svg)
        drawn = bytes(resvg_py.svg_to_bytes(svg_string=svg, monospace_family=FONT, font_family=FONT))
        pixels, out = Image.open(io.BytesIO(drawn)).convert("RGB"), io.BytesIO()
        pixels.quantize(COLORS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        return out.getvalue()


def cell_by_cell(svg: str) -> str:
    """The same with a place for each character of a text that is not plain: its dots may come from another font, whose
    characters are wider, and what draws the pixels knows no `textLength`."""
    return TEXT.sub(_in_cells, svg)


def _in_cells(found: re.Match[str]) -> str:
    text = html.unescape(found["text"])
    if text.isascii() or cell_len(text) != len(text):
        return found[0]
    start, length = float(found["x"]), float(found["length"])
    places = " ".join(f"{start + i * length / len(text):.1f}" for i in range(len(text)))
    return f'{found["before"]}x="{places}"{found["between"]}>{found["text"]}</text>'


def same_everywhere() -> None:
    """Colours and time zone that do not depend on who draws; called before Textual is imported."""
    os.environ.update(SAME_EVERYWHERE)
    os.environ.pop("NO_COLOR", None)
    time.tzset()


def drawn(recordings: Path, scenes: Sequence[Scene], sizes: Sequence[Size]) -> Iterator[Picture]:
    """The scenes whose recording has their moment, at these sizes."""
    from speedtui.tui.app import SpeedtuiApp

    logs: dict[str, Log] = {}
    for scene in scenes:
        if scene.recording not in logs:
            logs[scene.recording] = list(read_events(recordings / f"{scene.recording}.jsonl"))
        log = logs[scene.recording]
        index = MOMENTS[scene.moment](log)
        if index is None:
            continue
        state = fold(log[: index + 1])
        for size in sizes:
            options = ScreenOptions(start_screen=scene.screen, clock=lambda now=state.now: now)  # type: ignore[misc]
            app = SpeedtuiApp(StillSession(state), options)
            yield Picture(scene, size, asyncio.run(_svg(app, size, keys_of_scene(scene, state))))


async def _svg(app: SpeedtuiApp, size: Size, keys: Sequence[str]) -> str:
    """The screen after some keys, with no cursor that blinks."""
    from textual.widgets import Input

    async with app.run_test(size=size) as pilot:
        await pilot.pause(SETTLE_SECONDS)
        await pilot.press(*keys)
        await pilot.pause(SETTLE_SECONDS)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        return app.export_screenshot(title="speedtui")
