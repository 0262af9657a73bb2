"""The first line: which screen, which run, what it is doing, how often it is drawn."""

from __future__ import annotations

from speedtui.engine.state import RunStatus
from speedtui.tui.drawing.text import Row, Span, clean, clock, fit, plain, row, spread, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, status_span

SILENT_SECONDS = 15.0
"""Without an event from a busy run before that is said; hardware is sampled every second."""
TABS = (("monitor", "1 Monitor"), ("trials", "2 Trials"), ("plan", "3 Plan"), ("advisor", "4 Advisor"))


class Header(Pane):
    """Shows the header of the screen that it is on."""

    def __init__(self, screen_name: str) -> None:
        super().__init__(id="header")
        self._screen_name = screen_name

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return [draw_header(frame, self._screen_name, width)]


def draw_header(frame: Frame, screen_name: str, width: int) -> Row:
    """Tabs at the left; of what there is to say at the right, as much as fits."""
    tabs = _tabs(screen_name, short=width < 60)
    brand = row(Span(" speedtui ", "strong")) if width >= 60 else ()
    left = row(brand, tabs)
    room = width - width_of(left) - 1
    right = next((line for line in _right(frame) if width_of(line) <= room), ())
    return fit(spread(left, right, width), width)


def _tabs(screen_name: str, *, short: bool) -> Row:
    spans: list[Span] = []
    for name, text in TABS:
        label = f" {text[:1] if short and name != screen_name else text} "
        spans.append(Span(label, "tab" if name == screen_name else "dim"))
    return row(*spans)


def _right(frame: Frame) -> list[Row]:
    run = frame.run
    status = status_span(run)
    states = row(status, *(Span(f"  {word}", "warn") for word in _remarks(frame)), _sent(frame))
    rate = Span(f"{frame.rate_hz:g} Hz", "dim")
    name = Span(clean(run.run), "dim")
    label = Span(clean(run.training.label) if run.training is not None else "", "dim")
    over = run.status is RunStatus.FINISHED  # nothing changes any more, so nothing is sent any more
    time_of_day = Span("" if over else clock(frame.clock, frame.clock), "dim")
    bar = Span("  │  ", "frame")
    return [_joined(bar, parts) for parts in (
        (label, name, states, rate, time_of_day),
        (name, states, rate, time_of_day),
        (name, states, rate),
        (states, rate, time_of_day),
        (states, rate),
        (states,),
        (row(status),),
    )]  # fmt: skip


def _joined(bar: Span, parts: tuple[Row | Span, ...]) -> Row:
    rows = [row(part) for part in parts]
    filled = [part for part in rows if plain(part)]
    line: Row = ()
    for part in filled:
        line = row(line, bar, part) if line else part
    return row(line, " ")


def _sent(frame: Frame) -> Row:
    """Commands that the job has not answered; those of another screen once it has read them."""
    waiting = [*frame.unanswered, *(name for name in frame.run.pending_commands if name not in frame.unanswered)]
    if not waiting or not frame.run.status.busy:
        return ()
    names = ", ".join(dict.fromkeys(name.replace("_", " ") for name in waiting))
    return row(Span(f"  {names} sent", "accent"))


def _remarks(frame: Frame) -> list[str]:
    remarks = []
    if frame.run.stalled is not None:
        remarks.append("stalled")
    silent = frame.clock - frame.run.now
    if frame.run.status.busy and not frame.read_only and frame.run.run and silent > SILENT_SECONDS:
        remarks.append(f"silent for {silent:.0f} s")
    if frame.frozen:
        remarks.append("frozen")
    if frame.slow_link:
        remarks.append("slow link")
    if frame.read_only:
        remarks.append("read only")
    return remarks
