"""Throughput against peak memory: the fastest trial is the highest one left of the limit."""

from __future__ import annotations

from speedtui.engine.state import RunState, StudyState
from speedtui.engine.units import GIB, MIB, format_count
from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.plot import Axis, Series, draw_plot, value_axis
from speedtui.tui.drawing.text import Row, Span, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, middle, title

DOT, CURSOR, LIMIT = "●", "◆", "│"


class ScatterPane(Pane):
    """A chart that changes when a trial ends or the cursor moves."""

    SLOW = True

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.selected: int | None = None

    def due(self, frame: Frame) -> bool:
        if self.frame is None:
            return True
        return _points(frame.study.study) != _points(self.frame.study.study)

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_scatter(frame.study, self.selected, width, height)


def _points(study: StudyState | None) -> dict[int, tuple[float, float]]:
    """(peak bytes, tokens/s) by candidate, of those that have both."""
    found: dict[int, tuple[float, float]] = {}
    for trial in study.rows if study is not None else ():
        result = trial.result
        if result is None or result.measurement is None or result.memory is None:
            continue
        if result.memory.peak_bytes is not None:
            found[trial.candidate.id] = (result.memory.peak_bytes, result.measurement.tokens_per_second)
    return found


def draw_scatter(run: RunState, selected: int | None, width: int, height: int) -> list[Row]:
    """The pane at a size."""
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    name = title("Throughput against peak memory")
    points = _points(run.study)
    if not points or inner_height < 4:
        empty = middle([row(Span("Appears with the first trial that is measured.", "dim"))], inner_height)
        return framed(name, (), empty, width, height)
    limit = _limit(run)
    largest = max([size for size, _ in points.values()] + ([limit] if limit is not None else []))
    unit, unit_name = (GIB, "GiB") if largest >= 2 * GIB else (MIB, "MiB")
    points = {trial: (size / unit, rate) for trial, (size, rate) in points.items()}
    limit = limit / unit if limit is not None else None
    x = value_axis(
        [size for size, _ in points.values()] + ([limit] if limit is not None else []),
        parts=max(2, inner_width // 14),
        from_zero=True,
    )
    y = _rate_axis([rate for _, rate in points.values()], inner_height)
    others = [point for trial, point in points.items() if trial != selected]
    chosen = [points[selected]] if selected in points else []
    texts = [(size + (x.high - x.low) * 1.6 / inner_width, rate, str(trial)) for trial, (size, rate) in points.items()]
    rows = draw_plot(
        [Series(others, DOT), Series(chosen, CURSOR)], x, y, inner_width, inner_height,
        styles={DOT: "good", CURSOR: "accent"}, limit=limit, texts=texts,
    )  # fmt: skip
    label = f"tok/s, {unit_name}" + (f", limit {limit:.4g}" if limit is not None else "")
    return framed(name, row(Span(label, "dim")), rows, width, height)


def _limit(run: RunState) -> float | None:
    study = run.study
    if study is None:
        return None
    limits = [t.result.memory.limit_bytes for t in study.rows if t.result is not None and t.result.memory is not None]
    known = [limit for limit in (study.memory_limit_bytes, *limits) if limit is not None]
    return float(known[0]) if known else None


def _rate_axis(rates: list[float], height: int) -> Axis:
    axis = value_axis(rates, parts=max(2, height // 3), from_zero=True)
    return axis._replace(ticks=tuple((value, format_count(value).replace(".0k", "k")) for value, _ in axis.ticks))
