"""All that the screens use of Textual, and of plotext below it, behind their public interfaces; no other file does.

Tried with `TRIED_WITH`. `tests/tui/test_textual_privates.py` names what another version has moved.
"""

from __future__ import annotations

from queue import Queue
from threading import Thread
from typing import Any

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Region, Size
from textual.screen import Screen
from textual.widget import Widget

TRIED_WITH = {"textual": "8.2.8", "plotext": "5.3.2"}
NOTICES = "-textual-system"
"""Class of what Textual itself lays over a screen; the notices stand in it."""
CACHED_SOURCES = 1024
"""Of styles that are kept parsed: Textual's 64 are fewer than there are kinds of widgets on the screens and dialogs."""


def driver_of(app: App[Any]) -> Driver | None:
    """What stands between an app and its terminal; None before it runs. Textual hands it to nobody, and its own `bell`
    is all that may be written: titles, notifications and the state of the terminal need it."""
    return app._driver


def cache_all_sources(stylesheet: Stylesheet) -> None:
    """Has it forget nothing that it parsed: with Textual's size each new screen has most of them parsed again."""
    stylesheet._parse_cache = LRUCache(CACHED_SOURCES)


def set_plot_size(figure: Any, columns: int, lines: int) -> None:
    """`figure`: a `textual_plotext.Plot`; its public `plotsize` cuts it to the size of a terminal that is not there."""
    figure._set_size(columns, lines)


class PatchedApp(App[None]):
    """Styles a new screen once, and sends the cells that changed and no others."""

    def _load_screen_css(self, screen: Screen[Any]) -> None:
        """Textual styles a screen when it is registered and, as its count says it is behind, again a moment later."""
        super()._load_screen_css(screen)
        screen._css_update_count = self._css_update_count

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Whatever is sent to the terminal goes through here; nothing public does."""
        super()._display(screen, tightened(renderable))


def tightened(update: RenderableType | None) -> RenderableType | None:
    """The same update in fewer bytes; what is no update of some spans stays as it is."""
    if type(update) is not ChopsUpdate:
        return update
    return TightUpdate(update.chops, update.spans, update.chop_ends)


class TightUpdate(ChopsUpdate):
    """An update of some spans that is cut at both ends.

    Textual marks spans of cells as changed, but sends each from the left edge of the widget that it is in, and every
    piece of text in its style's codes even where the next has the same: about twice the bytes.
    """

    def render_segments(self, console: Console) -> str:
        """The cells between the marks, each stretch of one style in its codes once."""
        pieces: list[str] = []
        for y, start, end in self.spans:
            for chop_end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(x, start), min(chop_end, end)
                if strip is not None and left < right:
                    pieces.append(Control.move_to(left, y).segment.text)
                    pieces.append(strip.crop(left - x, right - x).simplify().render(console))
        return "".join(pieces)


class PatchedScreen(Screen[None]):
    """A full screen, which a dialog may stand before."""

    def __init__(self) -> None:
        super().__init__()
        self.notices_at: dict[Widget, Region] = {}
        """Where each is since the last layout."""

    def _refresh_layout(self, size: Size | None = None, scroll: bool = False) -> None:
        """Where a notice was is drawn again: Textual compares a layout with the one before, but may have made the new
        one before it compares, and then a notice that is gone stays on the terminal."""
        super()._refresh_layout(size, scroll)
        before = self.notices_at
        self.notices_at = {
            widget: region.intersection(clip)
            for widget, (region, clip) in self._compositor.visible_widgets.items()
            if any(ancestor.has_class(NOTICES) for ancestor in widget.ancestors)
        }
        left = [region for widget, region in before.items() if self.notices_at.get(widget) != region]
        if left:
            self.refresh(*left)

    def _compositor_refresh(self) -> None:
        """Behind a dialog only what changed is sent: Textual would paint the whole screen again and again."""
        dialog, dirty = self.app.screen, self._compositor._dirty_regions
        if dialog is self:
            super()._compositor_refresh()
            return
        if dirty and dialog.styles.background.a < 1:
            dialog.refresh(*dirty)
        dirty.clear()
        self._dirty_widgets.clear()


class PatchedDriver(LinuxDriver):
    """Lets it be known how much waits for the terminal, and the mouse be switched while the screen is open."""

    @property
    def write_queue(self) -> Queue[str | None] | None:
        """What waits for the terminal; None while that is not taken over. Textual's `write` would wait for as long as
        the terminal takes nothing."""
        return self._writer_thread._queue if self._writer_thread is not None else None

    @property
    def writer(self) -> Thread | None:
        """What sends it; it ends at a None. Textual's `close` would wait for it for ever."""
        return self._writer_thread

    @property
    def mouse(self) -> bool:
        """Whether the terminal sends mouse events; Textual asks for them where this is so when it takes it over."""
        return self._mouse

    @mouse.setter
    def mouse(self, on: bool) -> None:
        self._mouse = on
