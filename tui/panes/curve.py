"""Step times of the trial under the cursor."""

from __future__ import annotations

from speedtui.engine.state import RunState
from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.plot import Axis, Series, draw_plot, nice_step, value_axis
from speedtui.tui.drawing.text import Row, Span, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, middle, title


class CurvePane(Pane):
    """A chart; while a trial is measured it is drawn only when the cursor moves or a trial ends."""

    SLOW = True

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.selected: int | None = None

    def due(self, frame: Frame) -> bool:
        if not frame.measuring or self.frame is None:
            return frame.slow_panes
        return _status(frame.study, self.selected) != _status(self.frame.study, self.selected)

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_curve(frame.study, self.selected, width, height)


def _status(run: RunState, selected: int | None) -> object:
    trial = run.study.row(selected) if run.study is not None and selected is not None else None
    return trial.status if trial is not None else None


def draw_curve(run: RunState, selected: int | None, width: int, height: int) -> list[Row]:
    """The pane at a size; steps from left to right, milliseconds or seconds upwards."""
    trial = run.study.row(selected) if run.study is not None and selected is not None else None
    seconds = trial.steps.recent_seconds if trial is not None else ()
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    if trial is None or len(seconds) < 2 or inner_height < 4:
        return framed(
            title("Step times"),
            (),
            middle(
                [
                    row(
                        Span(
                            "No steps were timed." if trial is not None and trial.status.finished else "No steps yet.",
                            "dim",
                        )
                    )
                ],
                inner_height,
            ),
            width,
            height,
        )
    scale, unit = (1000.0, "ms") if max(seconds) < 1 else (1.0, "s")
    points = [(float(i), value * scale) for i, value in enumerate(seconds, 1)]
    y = value_axis([value for _, value in points], parts=max(3, inner_height // 2), from_zero=True)
    rows = draw_plot([Series(points)], _steps(len(points), inner_width), y, inner_width, inner_height, styles={})
    return framed(
        title(f"Step times of #{trial.candidate.id}"),
        row(Span(f"{unit}, {len(points)} steps", "dim")),
        rows,
        width,
        height,
    )


def _steps(count: int, width: int) -> Axis:
    step = max(1.0, nice_step(count, max(2, width // 12)))
    ticks = tuple(
        (value, f"{value:.0f}") for value in (1.0, *(i * step for i in range(1, int(count / step) + 1))) if value >= 1
    )
    return Axis(1.0, float(max(2, count)), tuple(dict.fromkeys(ticks)))
