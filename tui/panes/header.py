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
    """Tabs at the left; of what there is to say at the right, as much as fits.

    What the run and the connection are doing comes before the names of the other screens.
    """
    right, variants = _right(frame), _tabs(screen_name)
    *_, states, least = right
    tabs = next((tabs for tabs in variants if width_of(tabs) + width_of(states) < width), None)
    if tabs is None:
        tabs = next((tabs for tabs in variants if width_of(tabs) + width_of(least) < width), variants[-1])
    room = width - width_of(tabs) - 1
    chosen = next((line for line in right if width_of(line) <= room), ())
    return fit(spread(tabs, chosen, width), width)


def _tabs(screen_name: str) -> list[Row]:
    """The four screens, from their names after the program's to the one in front alone."""
    full = row(*(_tab(name, f" {text} ", screen_name) for name, text in TABS))
    here = row(*(_tab(name, f" {text if name == screen_name else text[:1]} ", screen_name) for name, text in TABS))
    digits = row(*(_tab(name, f" {text[:1]} ", screen_name) for name, text in TABS))
    alone = row(*(_tab(name, f" {text} ", screen_name) for name, text in TABS if name == screen_name))
    return [row(Span(" speedtui ", "strong"), full), full, here, digits, alone]


def _tab(name: str, text: str, screen_name: str) -> Span:
    return Span(text, "tab" if name == screen_name else "dim")


def _right(frame: Frame) -> list[Row]:
    """What there is to say, from all of it to the least."""
    run = frame.run
    status = row(status_span(run), _which(frame))
    remarks = row(*(Span(f"  {word}", "warn") for word in _remarks(frame)))
    states = row(status, remarks, _sent(frame))
    rate, traffic = Span("" if frame.slow_link else f"{frame.rate_hz:g} Hz", "dim"), _traffic(frame)
    name = Span(clean(run.run), "dim")
    label = Span(clean(run.training.label) if run.training is not None else "", "dim")
    over = run.status is RunStatus.FINISHED  # nothing changes any more, so nothing is sent any more
    time_of_day = Span("" if over or frame.slow_link else clock(frame.clock, frame.clock), "dim")
    bar = Span("  │  ", "frame")
    return [_joined(bar, parts) for parts in (
        (label, name, states, row(rate, traffic), time_of_day),
        (label, name, states, rate, time_of_day),
        (name, states, row(rate, traffic), time_of_day),
        (name, states, rate, time_of_day),
        (name, states, rate),
        (states, row(rate, traffic), time_of_day),
        (states, rate, time_of_day),
        (states, rate),
        (states,),
        (row(status, remarks),),
        (status,),
    )]  # fmt: skip


def _which(frame: Frame) -> Row:
    """`2/3`: the second of three runs that are open."""
    return row(Span(f" {frame.at + 1}/{frame.runs}", "accent")) if frame.runs > 1 else ()


def _traffic(frame: Frame) -> Span:
    over = frame.run.status is RunStatus.FINISHED
    return Span("" if over or frame.kib_per_second is None else f" {frame.kib_per_second} KiB/s", "dim")


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
    if frame.run.suspended is not None:
        remarks.append("suspended")
    elif frame.run.stalled is not None:
        remarks.append("stalled")
    if frame.run.status.busy and frame.run.training is not None and frame.run.training.nonfinite is not None:
        remarks.append("diverged" if frame.run.training.nonfinite.certain else "not finite")
    silent = frame.silent_seconds
    if frame.catching_up is not None:
        remarks.append(f"reading the log, {frame.catching_up * 100:.0f} %")
    elif frame.run.status.busy and not frame.read_only and frame.run.run and silent > SILENT_SECONDS:
        remarks.append(f"silent for {silent:.0f} s")
    if frame.frozen:
        remarks.append("frozen")
    if frame.slow_link:
        remarks.append(f"{frame.held_back_by or 'slow link'}, {frame.rate_hz:g} Hz")
    if frame.read_only:
        remarks.append("read only")
    return remarks
