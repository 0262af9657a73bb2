"""The keys, from the table that also dispatches them, the signs, and how the screen itself is doing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key as KeyPress

from speedtui.tui.drawing.text import Row, Span, cell, fit, pack, row, width_of, wrap
from speedtui.tui.frame import Frame
from speedtui.tui.keys import Scope, keys_of
from speedtui.tui.keys.table import AS_SHIPPED, SCREENS, Keymap, grouped, screen_bindings
from speedtui.tui.panes.pane import matches
from speedtui.tui.screens.dialog import Dialog

SIGNS = (
    ("▶ ‖ ■", "running, paused, finished"),
    ("○ … ✗", "idle, starting, lost"),
    ("✓ ! ✗", "fits, tight, late/failed"),
    ("★ P ›", "best, promoted, cursor"),
    ("○ ◦", "evaluation, loss alone"),
    ("▲ ▼", "beyond the axis"),
    ("~", "an estimate, not measured"),
    ("–", "not measured"),
)
HELD_BACK = {
    "slow link": "slow link: the terminal takes no more",
    "traffic limit": "traffic limit: redraws less, not to flood the connection",
}
"""Why the screen is redrawn less often than was chosen."""
KEY_CELLS = 9
"""Of the keys at the left of a row, with a gap."""
COLUMN_GAP = 2
COLUMN_CELLS = 34
"""Of the narrowest column beside another one."""


class HelpScreen(Dialog[None]):
    """Closed with the key that opened it, escape or q."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "close", show=False),
        Binding("question_mark,q", "dismiss(None)", "close", show=False),
        Binding("up,k", "scroll_rows(-1)", "up", show=False),
        Binding("down,j", "scroll_rows(1)", "down", show=False),
        Binding("pageup", "scroll_rows(-10)", "up", show=False),
        Binding("pagedown,space", "scroll_rows(10)", "down", show=False),
        Binding("g,home", "scroll_rows(-1000)", "top", show=False),
        Binding("G,end", "scroll_rows(1000)", "bottom", show=False),
        Binding("slash", "search", "search", show=False),
        *screen_bindings(),
    ]

    WIDEST = 112

    def __init__(
        self, scope: Scope, *, keymap: Keymap = AS_SHIPPED, frame: Frame | None = None, replaying: bool = False
    ) -> None:
        """`frame`: the last one drawn, for how the screen is doing."""
        super().__init__(f"Help: {scope.capitalize()}")
        self._scope: Scope = scope
        self._keymap, self._frame, self._replaying = keymap, frame, replaying
        self._wanted = ""
        self._typing = False

    def body(self, width: int) -> list[Row]:
        if self._wanted:
            return found_keys(self._wanted, width, self._keymap)
        return draw_help(self._scope, width, self._keymap, replaying=self._replaying)

    def foot(self, width: int) -> Row:
        if self._typing or self._wanted:
            return row(Span("/ ", "key"), self._wanted, Span("█", "dim") if self._typing else "")
        return draw_own_state(self._frame, width)

    def hint(self, *, cut: bool) -> Row:
        more = row(Span("↑↓", "key"), Span(" more   ", "dim")) if cut else ()
        return row(more, Span("/", "key"), Span(" search   ", "dim"), Span("? or esc", "key"), Span(" closes", "dim"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While something is typed, every key is text."""
        return not self._typing

    def action_search(self) -> None:
        self._typing = True
        self.draw()

    def action_back(self) -> None:
        """Takes the search away, or closes."""
        if self._wanted:
            self._look_for("")
        else:
            self.dismiss(None)

    def on_key(self, event: KeyPress) -> None:
        if self._typing:
            event.stop()
            self._type(event)
        elif event.key in self._keymap.get("help", "").split(","):
            event.stop()
            self.dismiss(None)

    def _type(self, event: KeyPress) -> None:
        if event.key in ("enter", "escape"):
            self._typing = False
            self._look_for(self._wanted if event.key == "enter" else "")
        elif event.key == "backspace":
            self._look_for(self._wanted[:-1])
        elif event.is_printable and event.character:
            self._look_for(self._wanted + event.character)

    def _look_for(self, wanted: str) -> None:
        self._wanted, self.first = wanted, 0
        self.draw()


def draw_help(
    scope: Scope, width: int, keymap: Keymap = AS_SHIPPED, *, replaying: bool = False
) -> list[Row]:  # fmt: skip
    """All rows of the help: keys that work everywhere beside this screen's and the signs; below each other where
    there is no room for both.
    """
    half = (width - COLUMN_GAP) // 2
    columns = half >= COLUMN_CELLS
    cells = half if columns else width
    own = _section(scope.capitalize(), _keys((scope,), keymap), cells)
    replay = _section("A recording", _keys(("replay",), keymap), cells) if replaying else []
    general = _section("Everywhere", _keys(("everywhere",), keymap), cells)
    signs = _section("Signs", SIGNS, cells)
    if not columns:
        return [line for part in (own, replay, general, signs) if part for line in (*part, ())][:-1]
    left, right = general, [*own, *([(), *replay] if replay else [])]
    shorter = min(right, left, key=len)
    shorter += [(), *signs]
    count = max(len(left), len(right))
    pairs = zip(_filled(left, count), _filled(right, count), strict=True)
    return [row(fit(one, half), " " * COLUMN_GAP, other) for one, other in pairs]


def found_keys(wanted: str, width: int, keymap: Keymap = AS_SHIPPED) -> list[Row]:
    """The keys of all screens whose row has all words of a search, with where they work."""
    rows: list[Row] = []
    for scope in (*SCREENS, "replay", "everywhere"):
        heading = scope.capitalize()
        entries = [
            (key.shown, key.help) for key in keys_of(scope, keymap)
            if matches(f"{key.shown} {key.help} {key.label} {key.id}", wanted)
        ]  # fmt: skip
        rows += _section(heading, entries, width) if entries else []
    return rows or [row(Span("No key does that. esc takes the search away.", "dim"))]


def draw_own_state(frame: Frame | None, width: int) -> Row:
    """How often the screen is drawn, what that costs the connection, and where keys are changed."""
    if frame is None:
        return ()
    traffic = f"{frame.kib_per_second} KiB/s" if frame.kib_per_second is not None else "– KiB/s"
    link = HELD_BACK.get(frame.held_back_by, "slow link") if frame.slow_link else "link ok"
    pieces = (f"UI {frame.rate_hz:g} Hz", link, traffic, "remap: speedtui keys")
    return pack((row(Span(text, "dim")) for text in pieces), width, " · ")


def _keys(scopes: Sequence[Scope], keymap: Keymap) -> Iterable[tuple[str, str]]:
    return (entry for scope in scopes for entry in grouped(keys_of(scope, keymap)))


def _section(heading: str, entries: Iterable[tuple[str, str]], width: int) -> list[Row]:
    return [row(Span(heading, "title")), *(line for entry in entries for line in _entry(*entry, width))]


def _entry(left: str, right: str, width: int) -> list[Row]:
    """A row, or several where the words are too long for one."""
    taken = max(KEY_CELLS, width_of(row(left)) + 1)
    first, *rest = wrap(right, max(1, width - taken - 1)) or [""]
    keys = cell(left, taken, style="key")
    return [row(" ", keys, first), *(row(" " * (KEY_CELLS + 1), line) for line in rest)]


def _filled(rows: Sequence[Row], count: int) -> list[Row]:
    return [*rows, *[()] * (count - len(rows))]
