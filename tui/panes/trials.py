"""The trials as a table; columns go by priority as the screen gets narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Size
from textual.message import Message

from speedtui.engine.candidate import Measurement, TrialStatus
from speedtui.engine.state import RunState, StudyState, TrialRow
from speedtui.engine.units import format_count, format_seconds, format_share, format_size, format_span
from speedtui.tui.drawing.text import Row, Span, cell, clean, row, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, middle
from speedtui.tui.panes.results import TRIAL_STYLES, status_word

LEAD = 6
"""Cursor, mark, number and a gap, before the configuration."""
CONFIG_WIDTH = (22, 40)
"""A configuration's name gets as much as the longest one needs, within these and the screen."""


LEAST_ROWS = 8
"""So that the panes below do not jump with the first few candidates."""
LEFT = ("status", "note")
"""Columns of words; the others hold figures."""


class Column(NamedTuple):
    """A column after number and configuration."""

    name: str
    width: int
    priority: int
    """The highest number goes first where there is no room."""
    text: Callable[[StudyState, TrialRow], str]


class TrialsPane(Pane):
    """Holds the cursor; by the candidate's id, so that it stays when rows come and go."""

    class Selected(Message):
        """The cursor is on another row."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.selected: int | None = None
        self._rows_wanted = LEAST_ROWS
        self.first = 0
        """Row at the top."""

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are candidates, and the heading."""
        return self._rows_wanted

    def redraw(self) -> None:
        study = self.frame.study.study if self.frame is not None else None
        wanted = max(LEAST_ROWS, len(study.rows) + 2) if study is not None else LEAST_ROWS
        if wanted != self._rows_wanted:
            self._rows_wanted = wanted
            self.refresh(layout=True)
        super().redraw()

    def selected_row(self) -> TrialRow | None:
        """The row under the cursor."""
        study = self.frame.study.study if self.frame is not None else None
        return study.row(self.selected) if study is not None and self.selected is not None else None

    def move(self, rows: int) -> None:
        """Moves the cursor, not past the ends."""
        study = self.frame.study.study if self.frame is not None else None
        if study is None or not study.rows:
            return
        ids = [trial.candidate.id for trial in study.rows]
        at = ids.index(self.selected) if self.selected in ids else 0
        self.select(ids[max(0, min(len(ids) - 1, at + rows))])

    def select(self, trial: int) -> None:
        """Puts the cursor on a candidate."""
        if trial != self.selected:
            self.selected = trial
            self.redraw()
            self.post_message(self.Selected())

    def on_click(self, event: Click) -> None:
        study = self.frame.study.study if self.frame is not None else None
        at = self.first + event.y - 1
        if study is not None and event.y > 0 and at < len(study.rows):
            self.select(study.rows[at].candidate.id)

    def on_mouse_scroll_down(self, _: MouseScrollDown) -> None:
        self.move(1)

    def on_mouse_scroll_up(self, _: MouseScrollUp) -> None:
        self.move(-1)

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        study = frame.study.study
        if study is None or not study.rows:
            return draw_empty(frame.study, height)
        ids = [trial.candidate.id for trial in study.rows]
        if self.selected not in ids:
            self.selected = ids[0]
            self.post_message(self.Selected())
        at = ids.index(self.selected or ids[0])
        shown = max(1, height - 1)
        self.first = max(0, min(self.first, at, len(ids) - shown), at - shown + 1)
        return draw_trials(study, self.selected, self.first, width, height)


def draw_empty(run: RunState, height: int) -> list[Row]:
    """What to do where there are no trials."""
    if run.study is not None:
        lines = [row(" No candidates yet. ", Span("a", "key"), " adds one.")]
    elif run.job == "train":
        after = " shows the training. `speedtui tune` finds faster settings."
        lines = [row(" This run trains; it has no study."), row(" ", Span("1", "key"), after)]
    elif run.status.busy:
        lines = [
            row(
                " The candidates come when the model and the data are loaded. ",
                Span("1", "key"),
                " shows how far it is.",
            )
        ]
    else:
        lines = [row(" No trials were run. ", Span("q", "key"), " leaves; `speedtui tune` starts a study.")]
    return middle(lines, height)


def draw_trials(study: StudyState, selected: int | None, first: int, width: int, height: int) -> list[Row]:
    """Heading and rows from `first` on."""
    columns, config = _chosen(width, max(len(trial.candidate.label) for trial in study.rows) + 1)
    number = LEAD - 4
    heading = "".join(
        ["  ", cell("#", number, right=True).text, "  ", cell("configuration", config).text]
        + [cell(_heading(c), c.width, right=c.name not in LEFT).text for c in columns]
    )
    rows: list[Row] = [row(Span(heading, "dim"))]
    for trial in study.rows[first : first + height - 1]:
        under = trial.candidate.id == selected
        line = _line(study, trial, columns, config, number, under)
        rows.append(row(line, Span(" " * max(0, width - width_of(line)), "cursor")) if under else line)
    return rows


def _line(study: StudyState, trial: TrialRow, columns: list[Column], config: int, number: int, under: bool) -> Row:
    candidate = trial.candidate
    base = "cursor " if under else ""
    mark = "P" if candidate.id == study.promoted else "★" if candidate.id == study.best else " "
    quiet = trial.status in (TrialStatus.WAITING, TrialStatus.QUEUED)
    spans = [
        Span("›" if under else " ", base + "accent"),
        Span(mark, base + "good"),
        cell(str(candidate.id), number, right=True, style=base + "dim"),
        Span("  ", base),
        cell(
            clean(candidate.label),
            config,
            style=base + ("strong" if candidate.id == study.best else "dim" if quiet else ""),
        ),
    ]
    for column in columns:
        style = TRIAL_STYLES[trial.status] if column.name == "status" else "dim" if column.name == "note" else ""
        text = column.text(study, trial)
        right = column.name not in LEFT
        spans.append(cell(text, column.width, right=right, style=base + style))
    return row(*spans)


def _heading(column: Column) -> str:
    return f"  {column.name}" if column.name in LEFT else column.name


def _chosen(width: int, longest: int) -> tuple[list[Column], int]:
    """The columns that fit, and the width for the configuration's name."""
    chosen = list(COLUMNS)
    wanted = min(longest, CONFIG_WIDTH[0])
    while chosen and LEAD + wanted + sum(column.width for column in chosen) > width:
        chosen.remove(max(chosen, key=lambda column: column.priority))
    room = width - LEAD - sum(column.width for column in chosen)
    config = max(min(longest, room, CONFIG_WIDTH[1]), min(13, room))
    if chosen and chosen[-1].name == "note":
        chosen[-1] = chosen[-1]._replace(width=chosen[-1].width + max(0, room - config))
    return chosen, config


def _measured(trial: TrialRow) -> Measurement | None:
    return trial.result.measurement if trial.result is not None else None


def _status(study: StudyState, trial: TrialRow) -> str:
    if trial.status is TrialStatus.RUNNING:
        if trial.probe == "throughput":
            return f"  running {trial.batches_done}/{study.batches}"
        return f"  running {trial.probe}" if trial.probe else "  starting"
    return f"  {status_word(trial.status)}"


def _step(_: StudyState, trial: TrialRow) -> str:
    measured = _measured(trial)
    if measured is None:
        return f"~{format_seconds(trial.step_seconds_so_far)}" if trial.steps.count else "–"
    return format_seconds(measured.step_seconds)


def _interval(_: StudyState, trial: TrialRow) -> str:
    measured = _measured(trial)
    if measured is None:
        return "–"
    return f"±{(measured.step_seconds_high - measured.step_seconds_low) / 2 / measured.step_seconds * 100:.1f} %"


def _samples(_: StudyState, trial: TrialRow) -> str:
    measured = _measured(trial)
    return "–" if measured is None else format_count(measured.samples_per_second)


def _tokens(_: StudyState, trial: TrialRow) -> str:
    measured = _measured(trial)
    return "–" if measured is None else format_count(measured.tokens_per_second)


def _peak(study: StudyState, trial: TrialRow) -> str:
    """Measured; else what is expected."""
    memory = trial.result.memory if trial.result is not None else None
    if memory is None or memory.peak_bytes is None:
        return _predicted(study, trial)
    return format_size(memory.peak_bytes)


def _free(_: StudyState, trial: TrialRow) -> str:
    memory = trial.result.memory if trial.result is not None else None
    return "–" if memory is None else format_share(memory.headroom_fraction)


def _predicted(_: StudyState, trial: TrialRow) -> str:
    return "–" if trial.predicted_bytes is None else f"~{format_size(trial.predicted_bytes)}"


def _against_first(study: StudyState, trial: TrialRow) -> str:
    base, measured = _measured(study.rows[0]), _measured(trial)
    if base is None or measured is None or not base.samples_per_second:
        return "–"
    return f"{measured.samples_per_second / base.samples_per_second:.2f}×"


def _full_run(_: StudyState, trial: TrialRow) -> str:
    return "–" if trial.result is None else format_span(trial.result.full_run_seconds)


def _p90(_: StudyState, trial: TrialRow) -> str:
    estimate = trial.result.estimate if trial.result is not None else None
    return "–" if estimate is None else format_span(estimate.p90_seconds)


def _note(_: StudyState, trial: TrialRow) -> str:
    return "  " + clean(trial.result.reason) if trial.result is not None else ""


COLUMNS = (
    Column("status", 16, 0, _status),
    Column("step", 10, 5, _step),
    Column("±", 9, 8, _interval),
    Column("smp/s", 8, 1, _samples),
    Column("tok/s", 8, 6, _tokens),
    Column("peak", 10, 2, _peak),
    Column("free", 7, 4, _free),
    Column("predicted", 11, 9, _predicted),
    Column("vs #0", 8, 7, _against_first),
    Column("full run", 10, 3, _full_run),
    Column("p90", 10, 9, _p90),
    Column("note", 8, 10, _note),
)
"""The most telling ones have the lowest priority numbers; `vs #0` is against the first candidate listed."""
