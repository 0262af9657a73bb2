"""The trials as a table with a cursor."""

from __future__ import annotations

from msgspec.structs import replace
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Size
from textual.message import Message

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState, StudyState, TrialRow
from speedtui.engine.units import format_count, format_seconds, format_share, format_size
from speedtui.tui.candidates.listing import PLAIN, Listing, listed
from speedtui.tui.drawing.text import Row, Span, cell, clean, crop, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, lit, middle
from speedtui.tui.panes.trial_columns import LEFT, TableContext, TrialColumn, chosen_columns

LEAD = 6
"""Cursor, mark, number and a gap, before the configuration."""
LEAST_ROWS = 8
"""So that the panes below do not jump with the first few candidates."""


class TrialsPane(Pane):
    """Holds the cursor; by the candidate's id, so that it stays when rows come and go or change places."""

    FILTERED = True

    class Selected(Message):
        """The cursor is on another row."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.selected: int | None = None
        self.listing = PLAIN
        self._rows_wanted = LEAST_ROWS
        self._before: frozenset[int] | None = None
        """Candidates there were when another one was asked for; None while none is awaited."""
        self.first = 0
        """Row at the top."""

    @property
    def study(self) -> StudyState | None:
        """What it lists; None before the first frame and for a run without a study."""
        return self.frame.study.study if self.frame is not None else None

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are candidates, and the heading."""
        return self._rows_wanted

    def redraw(self) -> None:
        study = self.study
        wanted = max(LEAST_ROWS, len(study.rows) + 2) if study is not None else LEAST_ROWS
        if wanted != self._rows_wanted:
            self._rows_wanted = wanted
            self.refresh(layout=True)
        super().redraw()

    def list_by(self, listing: Listing) -> None:
        """Another order, filter or marks."""
        self.listing = listing
        self.redraw()

    def filter(self, text: str) -> None:
        super().filter(text)
        self.list_by(replace(self.listing, filter=text))

    def shown(self) -> list[TrialRow]:
        """The rows listed, in their order."""
        study = self.study
        return listed(study, self.listing) if study is not None else []

    def selected_row(self) -> TrialRow | None:
        """The row under the cursor."""
        study = self.study
        return study.row(self.selected) if study is not None and self.selected is not None else None

    def move(self, rows: int) -> None:
        """Moves the cursor, not past the ends."""
        ids = [trial.candidate.id for trial in self.shown()]
        if ids:
            at = ids.index(self.selected) if self.selected in ids else 0
            self.select(ids[max(0, min(len(ids) - 1, at + rows))])

    def page(self) -> int:
        """Rows that a page key goes: one less than are seen, so that one stays in sight."""
        return max(1, self.size.height - 2)

    def select(self, trial: int) -> None:
        """Puts the cursor on a candidate."""
        if trial != self.selected:
            self.selected = trial
            self.redraw()
            self.post_message(self.Selected())

    def await_candidate(self) -> None:
        """Puts the cursor on the next candidate that comes."""
        study = self.study
        self._before = frozenset(trial.candidate.id for trial in study.rows) if study is not None else frozenset()

    def _select_awaited(self, ids: list[int]) -> None:
        come = [number for number in ids if self._before is not None and number not in self._before]
        if come:
            self.selected, self._before = come[0], None
            self.post_message(self.Selected())

    def on_click(self, event: Click) -> None:
        rows, at = self.shown(), self.first + event.y - 1
        if event.y > 0 and at < len(rows):
            self.select(rows[at].candidate.id)

    def on_mouse_scroll_down(self, _: MouseScrollDown) -> None:
        self.move(1)

    def on_mouse_scroll_up(self, _: MouseScrollUp) -> None:
        self.move(-1)

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        study = frame.study.study
        if study is None or not study.rows:
            return [crop(line, width) for line in draw_empty(frame.study, height)]
        ids = [trial.candidate.id for trial in listed(study, self.listing)]
        if not ids:
            return [crop(line, width) for line in draw_none_found(study, self.listing, height)]
        self._select_awaited(ids)
        if self.selected not in ids:
            self.selected = ids[0]
            self.post_message(self.Selected())
        at = ids.index(self.selected or ids[0])
        shown = max(1, height - 1)
        self.first = max(0, min(self.first, at, len(ids) - shown), at - shown + 1)
        return draw_trials(frame.study, self.selected, self.first, width, height, self.listing)


def draw_empty(run: RunState, height: int) -> list[Row]:
    """What to do where there are no trials."""
    if run.study is not None:
        lines = [row(" No candidates yet. ", Span("a", "key"), " adds one.")]
    elif run.job == "train":
        lines = [row(" This run trains; it has no study."), *_trained(run), (),
                 row(" `speedtui tune` tries other settings beside these."),
                 row(" ", Span("4", "key"), " says what may help, ", Span("1", "key"), " shows the run.")]  # fmt: skip
    elif run.status.busy:
        text = " The candidates come when model and data are loaded. "
        lines = [row(text, Span("1", "key"), " shows how far it is.")]
    else:
        lines = [row(" No trials were run. ", Span("q", "key"), " leaves; `speedtui tune` starts a study.")]
    return middle(lines, height)


def _trained(run: RunState) -> list[Row]:
    """What it trains with, and what a trial of that would say."""
    training, steps = run.training, run.live_steps
    if training is None:
        return []
    batch = f"batch {training.micro_batch_size} × {training.grad_accum_steps}"
    lines = [row(" ", Span(clean(training.label), "strong"), Span(f"   {batch}", "dim"))]
    if steps is None or not steps.count:
        return [(), *lines]
    pieces = [
        row(Span(format_seconds(steps.seconds), "strong"), " a step"),
        row(f"{format_count(steps.samples_per_second)} samples/s"),
        row(f"{format_count(steps.tokens_per_second)} tok/s"),
        row("padding ", format_share(steps.padding_fraction)),
        row(f"peak {format_size(steps.peak_reserved_bytes)}") if steps.peak_reserved_bytes is not None else (),
    ]
    return [(), *lines, *(row(" ", piece) for piece in pieces if piece)]


def draw_none_found(study: StudyState, listing: Listing, height: int) -> list[Row]:
    """A filter that nothing passes."""
    text = f" None of {len(study.rows)} candidates has all of “{clean(listing.filter)}”. "
    return middle([row(text, Span("esc", "key"), " takes the filter away, ", Span("/", "key"), " changes it.")], height)


def draw_trials(
    run: RunState, selected: int | None, first: int, width: int, height: int, listing: Listing = PLAIN
) -> list[Row]:
    """Heading and rows from `first` on."""
    study = run.study
    if study is None or not study.rows:
        return []
    longest = max(len(trial.candidate.label) for trial in study.rows) + 1
    columns, config = chosen_columns(width, longest, LEAD)
    shown = listed(study, listing)
    last = first + height - 1
    part = f"{first + 1}–{min(last, len(shown))} of {len(shown)}" if first or last < len(shown) else ""
    told = TableContext.of(run, study)
    rows: list[Row] = [_heading(told, columns, config, listing, part)]
    for trial in shown[first:last]:
        under = trial.candidate.id == selected
        line = _line(told, trial, columns, config, under, trial.candidate.id in listing.marked)
        rows.append(lit(line, width, here=under))
    return rows


def _heading(told: TableContext, columns: list[TrialColumn], config: int, listing: Listing, part: str) -> Row:
    """Names of the columns, an arrow at the sorted one; `part`: which rows are seen, where not all are."""
    by_number = listing.sort == "#" and listing.reverse
    arrow, style = (listing.arrow, "accent") if by_number else ("", "dim")
    number = cell(f"{arrow}#", LEAD - 2, right=True, style=style)
    name = cell(f"  {part or 'configuration'}", config + 2, style="dim")
    return row(number, name, *(_head(told, column, listing) for column in columns))


def _head(told: TableContext, column: TrialColumn, listing: Listing) -> Span:
    words = column.name in LEFT
    name, style = column.heading(told), "dim"
    if column.name == listing.sort:
        name, style = f"{name}{listing.arrow}" if words else f"{listing.arrow}{name}", "accent"
    return cell(f" {name}" if words else name, column.width, right=not words, style=style)


def _line(
    told: TableContext, trial: TrialRow, columns: list[TrialColumn], config: int, under: bool, marked: bool
) -> Row:  # fmt: skip
    candidate = trial.candidate
    best = candidate.id == told.study.best and not told.unproven
    quiet = trial.status in (TrialStatus.WAITING, TrialStatus.QUEUED, TrialStatus.NOT_RUN)
    spans = [
        Span("›" if under else " ", "accent"),
        _sign(told, trial, marked),
        cell(str(candidate.id), LEAD - 4, right=True, style="dim"),
        Span("  "),
        cell(clean(candidate.label), config, style="strong" if best else "dim" if quiet else ""),
    ]
    for column in columns:
        text, style = column.text(told, trial)
        words = column.name in LEFT
        spans.append(cell(f" {text}" if words else text, column.width, right=not words, style=style))
    return row(*spans)


def _sign(told: TableContext, trial: TrialRow, marked: bool) -> Span:
    """Marked, promoted, best: the one that somebody set last in time comes first. A hollow star is not proven."""
    if marked:
        return Span("*", "accent")
    if trial.candidate.id == told.study.promoted:
        return Span("P", "good")
    if trial.candidate.id != told.study.best:
        return Span(" ", "good")
    return Span("☆", "warn") if told.unproven else Span("★", "good")
