"""Trials side by side: the settings that differ, and every figure of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from speedtui.engine.candidate import Measurement
from speedtui.engine.state import RunState, TrialRow
from speedtui.engine.state.event_words import phase_words
from speedtui.engine.units import format_count, format_figure, format_seconds, format_share, format_size, format_span
from speedtui.tui.candidates import figures
from speedtui.tui.drawing.bars import in_order
from speedtui.tui.drawing.border import EDGES, INSET
from speedtui.tui.drawing.text import Row, Span, cell, clean, clock, row, wrap
from speedtui.tui.keys.table import screen_bindings
from speedtui.tui.panes.results import TRIAL_STYLES, status_word
from speedtui.tui.screens.dialog import Dialog
from speedtui.tui.values import format_value, value_at

LABEL, NARROWEST, WIDEST_COLUMN = 18, 20, 32
"""Cells of a row's name, of a trial's column at least (its ratio with the interval, and a gap) and at most."""
NOTE = "ratios: samples/s against the first; 95 % interval from both step times, drift between them not in it"
MOST_WIDTH = 132
"""Of the box; the eye loses a longer row."""

Cell = tuple[str, str]
"""Text and style."""
NONE: Cell = ("–", "dim")


class CompareScreen(Dialog[None]):
    """A table to be read; the first trial is what the others are held against."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,m,q,enter", "dismiss(None)", "back", show=False),
        Binding("down,j", "scroll_rows(1)", "down", show=False),
        Binding("up,k", "scroll_rows(-1)", "up", show=False),
        Binding("right,l", "shift(1)", "next trials", show=False),
        Binding("left,h", "shift(-1)", "trials before", show=False),
        *screen_bindings(),
    ]

    def __init__(self, run: RunState, trials: Sequence[TrialRow]) -> None:
        super().__init__(f"Compare {len(trials)} trials")
        self.WIDEST = min(MOST_WIDTH, LABEL + WIDEST_COLUMN * len(trials) + EDGES + INSET)
        self._run, self._trials = run, tuple(trials)
        self._skipped = 0
        """Trials after the first that are to the left of what is seen."""

    def body(self, width: int) -> list[Row]:
        room = _columns(width)
        self._skipped = max(0, min(self._skipped, len(self._trials) - room))
        first, *others = self._trials
        return draw_compare(self._run, [first, *others[self._skipped : self._skipped + room - 1]], width)

    def hint(self, *, cut: bool) -> Row:
        scroll = row(Span("↑ ↓", "key"), Span(" scroll  ", "dim")) if cut else ()
        room = _columns(min(self.WIDEST, self.app.size.width) - EDGES - INSET)
        shift = row(Span("← →", "key"), Span(" trials  ", "dim")) if len(self._trials) > room else ()
        return row(shift, scroll, Span("esc", "key"), Span(" back", "dim"))

    def action_shift(self, trials: int) -> None:
        """To the trials that found no room; the first stays."""
        self._skipped += trials
        self.draw()


def _columns(width: int) -> int:
    """Trials that find room, the first among them."""
    return max(2, (width - LABEL) // NARROWEST)


def draw_compare(run: RunState, trials: Sequence[TrialRow], width: int) -> list[Row]:
    """All rows at a width; a row that says nothing of any trial is left out."""
    column = max(1, min(WIDEST_COLUMN, (width - LABEL) // len(trials)))
    rows = [_heads(trials, column), *_settings(run, trials, column), ()]
    for name, figure in _figures(run, trials):
        cells = [figure(trial) for trial in trials]
        if any(text != NONE[0] for text, _ in cells):
            rows.append(_table_row(name, cells, column))
    return [*rows, (), *(row(Span(line, "dim")) for line in wrap(NOTE, width))]


def _table_row(name: str, cells: Sequence[Cell], width: int) -> Row:
    return row(cell(name, LABEL, style="dim"), *(cell(clean(text) + " ", width, style=style) for text, style in cells))


def _heads(trials: Sequence[TrialRow], width: int) -> Row:
    return _table_row("", [(f"#{t.candidate.id} {t.candidate.label}", "strong") for t in trials], width)


def _settings(run: RunState, trials: Sequence[TrialRow], width: int) -> list[Row]:
    """Those that are not the same in all of them, by their last name."""
    paths = dict.fromkeys(path for trial in trials for path in trial.candidate.values)
    rows = []
    for path in paths:
        values = [trial.candidate.values.get(path, value_at(run.config, path)) for trial in trials]
        if any(value != values[0] for value in values):
            cells = [(format_value(value), "" if value == values[0] else "accent") for value in values]
            rows.append(_table_row(path.rpartition(".")[2], cells, width))
    return rows or [row(cell("settings", LABEL, style="dim"), Span("the same in all of them", "dim"))]


def _figures(run: RunState, trials: Sequence[TrialRow]) -> list[tuple[str, Callable[[TrialRow], Cell]]]:
    first = trials[0]
    names = in_order({name: 0.0 for trial in trials if (found := figures.measured(trial)) for name in found.phases})
    return [
        ("status", lambda trial: (status_word(trial.status), TRIAL_STYLES[trial.status])),
        ("reason", lambda trial: (trial.result.reason, "") if trial.result and trial.result.reason else NONE),
        ("samples/s", _of(lambda found: format_count(found.samples_per_second))),
        ("against first", lambda trial: _against(run, trial, first)),
        ("tok/s", _of(lambda found: format_count(found.tokens_per_second))),
        ("step", _of(lambda found: format_seconds(found.step_seconds))),
        ("  95 %", _of(lambda f: f"[{format_seconds(f.step_seconds_low)} {format_seconds(f.step_seconds_high)}]")),
        *((f"  {phase_words(name)}", _phase(name)) for name in names),
        ("padding", _of(lambda found: format_share(found.padding_fraction))),
        ("loss", _of(lambda found: format_figure(found.loss))),
        ("peak", lambda trial: _size(memory.peak_bytes) if (memory := figures.memory_of(trial)) else NONE),
        ("predicted", lambda trial: (f"~{format_size(size)}", "") if (size := trial.predicted_bytes) else NONE),
        ("free", lambda trial: _free(trial)),
        ("whole run", lambda trial: _total(run, trial)),
        ("  p90", _p90),
        ("finish", lambda trial: (clock(at, run.now), "") if (at := figures.finish(run, trial)) is not None else NONE),
        ("fits", lambda trial: ((word := figures.fits(run, trial)), figures.FIT_STYLES.get(word, "dim"))),
    ]


def _of(text: Callable[[Measurement], str]) -> Callable[[TrialRow], Cell]:
    def figure(trial: TrialRow) -> Cell:
        found = figures.measured(trial)
        return (text(found), "") if found is not None else NONE

    return figure


def _phase(name: str) -> Callable[[TrialRow], Cell]:
    return _of(lambda found: format_seconds(found.phases.get(name)))


def _against(run: RunState, trial: TrialRow, first: TrialRow) -> Cell:
    """Dim and with a question mark where the interval contains no difference."""
    found = figures.ratio(run.study, trial, first) if run.study is not None else None
    if found is None:
        return NONE
    return str(found), "dim" if found.open else "" if trial is first else "strong"


def _free(trial: TrialRow) -> Cell:
    memory = figures.memory_of(trial)
    free = memory.headroom_fraction if memory is not None else None
    return (figures.free_cell(free, words=True), "") if free is not None else NONE


def _size(size: int | None) -> Cell:
    return (format_size(size), "") if size is not None else NONE


def _total(run: RunState, trial: TrialRow) -> Cell:
    total = figures.full_run_seconds(run.study, trial) if run.study is not None else None
    return (f"{'~' if total[1] else ''}{format_span(total[0])}", "") if total is not None else NONE


def _p90(trial: TrialRow) -> Cell:
    estimate = trial.result.estimate if trial.result is not None else None
    return (format_span(estimate.p90_seconds), "") if estimate is not None else NONE
