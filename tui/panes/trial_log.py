"""What happened to the trial under the cursor, in order."""

from __future__ import annotations

from datetime import datetime

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState, TrialRow
from speedtui.engine.state.snapshot import LogLine
from speedtui.engine.units import format_seconds, format_span
from speedtui.tui.candidates.figures import measured
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import LEAST_TEXT, Row, Span, clean, hanging, row, wrap
from speedtui.tui.frame import Frame
from speedtui.tui.panes.events import LEVELS
from speedtui.tui.panes.pane import TrialPane, empty_pane, middle, selected_trial, title
from speedtui.tui.panes.trial_columns import live_status


class TrialLogPane(TrialPane):
    """The events of one trial; its last rows where not all find room."""

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_trial_log(frame.study, self.selected, width, height)


def draw_trial_log(run: RunState, selected: int | None, width: int, height: int) -> list[Row]:
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    trial = selected_trial(run, selected)
    if trial is None:
        return empty_pane(title("Log"), "No trial is selected.", width, height)
    lines = [line for line in run.log if line.trial == trial.candidate.id]
    rows = [part for line in lines for part in _wrapped(run, line, trial.candidate.id, inner_width)]
    rows += _after(run, trial, inner_width)
    if not rows:
        rows = middle([row(Span("Nothing has happened to it yet; ", "dim"), Span("r", "key"),
                           Span(" runs it.", "dim"))], inner_height)  # fmt: skip
    name = title(f"Log of #{trial.candidate.id}")
    return bordered(name, row(Span(f"{len(lines)}", "dim")) if lines else (), rows[-inner_height:], width, height)


def _wrapped(run: RunState, line: LogLine, trial: int, width: int) -> list[Row]:
    """Its number is in the title already."""
    mark, style = LEVELS.get(line.level, ("", ""))
    head = row(Span(f"{datetime.fromtimestamp(run.wall(line.t)):%H:%M:%S} ", "dim"), Span(mark, style))
    return hanging(head, clean(line.text).removeprefix(f"#{trial} "), width)


def _after(run: RunState, trial: TrialRow, width: int) -> list[Row]:
    """How far it is, or what its measurement rests on."""
    if trial.status is TrialStatus.RUNNING:
        so_far = trial.step_seconds_so_far
        pace = f", ~{format_seconds(so_far)} a step" if so_far is not None else ""
        since = f"{format_span(run.t - trial.started_at)}: " if trial.started_at is not None else ""
        return [row(Span("… ", "accent"), f"{since}{live_status(run.study, trial) if run.study else ''}{pace}")]
    found = measured(trial)
    if found is None or trial.result is None:
        return []
    text = f"steady after {found.warmup_batches} batches of warm-up; {found.batches} measured, all of it took "
    text += format_seconds(trial.result.seconds)
    return [row("  ", Span(part, "dim")) for part in wrap(text, max(LEAST_TEXT, width - 2))]
