"""Where a step goes without a strategy and with it, in the phases of the two trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from speedtui.engine.candidate import Measurement
from speedtui.engine.state import StudyState
from speedtui.engine.state.event_words import phase_words
from speedtui.engine.units import format_seconds
from speedtui.tui.drawing.bars import in_order, phase_bar, phase_mark
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, cell, row, wrap
from speedtui.tui.frame import Frame
from speedtui.tui.panes.advisor_detail import measured_pair
from speedtui.tui.panes.advisor_pane import AdvisorPane, AdvisorPicture
from speedtui.tui.panes.pane import title

LABEL = 8
TIME = 8
NOT_MEASURED = "Drawn when trials without and with it were measured."
LITTLE = 0.005
"""Share of a step below which a phase gets no row of its own."""


class PhasesPane(AdvisorPane):
    """Two bars on one scale, and the phases below them."""

    def lines(self, shown: AdvisorPicture, frame: Frame, width: int, height: int) -> Sequence[Row]:
        return draw_phases(shown, frame.study.study, width, height)


def draw_phases(shown: AdvisorPicture, study: StudyState | None, width: int, height: int) -> list[Row]:
    inner, room = width - EDGES - INSET, height - EDGES
    pair = measured_pair(shown.selected, study) if shown.selected is not None else []
    heading = title("Where the step goes")
    if len(pair) < 2:
        return bordered(
            heading, (), [row(Span(line, "dim")) for line in wrap(NOT_MEASURED, inner, room)], width, height
        )
    scaled = [_of_the_step(measured) for measured in pair]
    longest = max(sum(phases.values()) for phases in scaled)
    bars = [_bar(label, phases, inner, longest) for label, phases in zip(("without", "with"), scaled, strict=True)]
    rows = [*bars, *([()] if room > 5 else []), *_table(scaled[0], scaled[1], room - len(bars) - 1)]
    return bordered(heading, (), rows, width, height)


def _of_the_step(measured: Measurement) -> dict[str, float]:
    """A probe makes fewer micro-steps than a step of the training: its shares laid over the step's own time."""
    total = sum(measured.phases.values())
    scale = measured.step_seconds / total if total else 0.0
    return {name: seconds * scale for name, seconds in measured.phases.items()}


def _bar(label: str, phases: Mapping[str, float], width: int, longest: float) -> Row:
    room = max(0, width - LABEL - TIME)
    total = sum(phases.values())
    drawn = max(1, round(room * total / longest)) if longest else 0
    return row(cell(label, LABEL, style="dim"), phase_bar(phases, drawn), " " * (room - drawn),
               cell(format_seconds(total), TIME, right=True, style="strong"))  # fmt: skip


def _table(without: Mapping[str, float], with_it: Mapping[str, float], room: int) -> list[Row]:
    least = LITTLE * sum(without.values())
    names = [name for name in in_order(without) if max(without[name], with_it.get(name, 0.0)) > least]
    return [_phase(name, without[name], with_it.get(name, 0.0)) for name in names[: max(0, room)]]


def _phase(name: str, before: float, after: float) -> Row:
    change = f"{(after / before - 1) * 100:+.0f} %" if before else ""
    return row(
        phase_mark(name), cell(f" {phase_words(name)}", 11),
        cell(format_seconds(before), 8, right=True), Span(" → ", "dim"), cell(format_seconds(after), 8, right=True),
        cell(change, 8, right=True, style="dim"),
    )  # fmt: skip
