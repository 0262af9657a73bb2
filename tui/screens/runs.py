"""The list of all runs: those that are alive first, then the newest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key

from speedtui.engine.log.run_summary import RunSummaries, RunSummary
from speedtui.tui.drawing.border import EDGES
from speedtui.tui.drawing.text import Row, Span, row
from speedtui.tui.panes.run_rows import draw_runs, matching
from speedtui.tui.runs.open_runs import OpenRuns
from speedtui.tui.screens.dialog import CURSOR_KEYS, Dialog

LOOK_SECONDS = 1.0
"""Between two looks at the folder; only logs that have grown are read, and of those the ends."""


class RunsScreen(Dialog[RunSummary | None]):
    """Comes back with the run that is to be shown, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", show=False),
        Binding("5", "dismiss(None)", "back", show=False),
        *CURSOR_KEYS,
        Binding("g,home", "step(-100000)", "top", show=False),
        Binding("G,end", "step(100000)", "bottom", show=False),
        Binding("slash", "type", "filter", show=False),
        Binding("x", "close", "close", show=False),
        Binding("enter", "choose", "open", show=False),
    ]
    WIDEST = 124

    def __init__(self, open_runs: OpenRuns, runs: Path, clock: Callable[[], float]) -> None:
        super().__init__("Runs")
        self._open_runs, self._runs, self._clock = open_runs, runs, clock
        self._summaries = RunSummaries(runs)
        self._found: list[RunSummary] | None = None
        self._chosen: Path | None = None
        """The run under the cursor, which stays there when others come."""
        self._filter = ""
        self._typing = False

    def on_mount(self) -> None:
        self._look()
        self.set_interval(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self.run_worker(self._read(), exclusive=True, group="runs", exit_on_error=False)

    async def _read(self) -> None:
        found = await asyncio.to_thread(self._summaries.look)
        if self._found is None and self._open_runs.front is not None:
            self._chosen = self._open_runs.front.session.folder.path
        self._found = found
        self.draw()

    @property
    def shown(self) -> list[RunSummary]:
        """Those that have all words of the filter."""
        return matching(self._found or [], self._filter)

    @property
    def at(self) -> int:
        """Row of the cursor among those shown."""
        return next((i for i, summary in enumerate(self.shown) if summary.folder.path == self._chosen), 0)

    # --- what is drawn ---

    def body(self, width: int) -> Sequence[Row]:
        if self._found is None:
            return [row(Span("reading the folder …", "dim"))]
        if not self._found:
            return [row(f"No runs in {self._runs}."), row("Start one with `speedtui tune` or `speedtui demo`.")]
        height = self.app.size.height - EDGES
        opened = [one.session.folder.path for one in self._open_runs.open]
        return draw_runs(
            self.shown, self.at, width, height, opened=opened, front=self._open_runs.front.session.folder.path,
            now=self._clock(), entry=f"/{self._filter}{'▏' if self._typing else ''}" if self._asks else "",
        )  # fmt: skip

    @property
    def _asks(self) -> bool:
        return self._typing or bool(self._filter)

    def hint(self, *, cut: bool) -> Row:
        keys = [("enter", "open"), ("x", "close"), ("/", "filter"), ("esc", "back")]
        if self._typing:
            keys = [("enter", "keeps the filter"), ("esc", "takes it away")]
        return row(*(part for key, word in keys for part in (Span(f" {key}", "key"), Span(f" {word} ", "dim"))))

    # --- keys ---

    def on_key(self, event: Key) -> None:
        if not self._typing or event.key == "escape":
            return
        event.stop()
        event.prevent_default()
        if event.key == "enter":
            self._typing = False
        elif event.key == "backspace":
            self._filter = self._filter[:-1]
        elif event.is_printable and event.character is not None:
            self._filter += event.character
        self.draw()

    def action_type(self) -> None:
        """The keys that follow are words to filter by."""
        self._typing = True
        self.draw()

    def action_back(self) -> None:
        """Takes away the filter, or the list."""
        if not self._asks:
            self.dismiss(None)
        self._typing, self._filter = False, ""
        if self.is_current:
            self.draw()

    def action_step(self, rows: int) -> None:
        shown = self.shown
        if shown:
            self._chosen = shown[max(0, min(len(shown) - 1, self.at + rows))].folder.path
            self.draw()

    def action_choose(self) -> None:
        shown = self.shown
        if shown:
            self.dismiss(shown[self.at])

    def action_close(self) -> None:
        """Lets an open run go; it goes on without this screen."""
        shown = self.shown
        following = self._open_runs.opened(shown[self.at].folder) if shown else None
        if following is None:
            self.notify("It is not open.", severity="warning")
        elif len(self._open_runs.open) == 1:
            self.notify("It is the only one that is open; q leaves.", severity="warning")
        elif following.in_thread and not following.ended:
            self.notify("Its job runs in this very program: end it with s first.", severity="warning")
        else:
            self._open_runs.close(following)
        self.draw()
