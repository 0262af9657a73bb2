"""Where a step's time goes."""

from __future__ import annotations

from typing import NamedTuple

from speedtui.engine.events import DeviceBusyMeasured
from speedtui.engine.state import RunState
from speedtui.engine.state.event_words import phase_words
from speedtui.engine.state.series import BucketMeans
from speedtui.engine.state.windows import Recent, StepWindow
from speedtui.engine.units import format_count, format_seconds, format_share
from speedtui.tui.drawing.bars import history, in_order, phase_bar, phase_mark, sparkline
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, cell, pack, row
from speedtui.tui.frame import HISTORY_WORDS, Frame, TimeRange
from speedtui.tui.panes.pane import Pane, empty_pane, title

SHORT_NAMES = {"forward": "fwd", "backward": "bwd", "optimizer": "optim", "h2d": "copy"}
NAME, FIGURE, SHARE, IDLE = 12, 9, 7, 6
"""Cells of the table's columns: a phase, each of its times, its share, the share of it in which the device was idle."""
TABLE_FIGURES = NAME + 3 * FIGURE + SHARE
CHART_GAP, NARROWEST_CHART = 3, 10
"""Cells before the charts, and below which they say nothing."""
TABLE_WIDTH = 56
"""Below it, or without a row for each, the phases stand in two columns without percentiles."""
SHORT_WASTE = 60
"""Cells below which what is wasted is told in short words, where there is more of it than padding and waiting."""


class StepPane(Pane):
    """Step time, phases and waste of the steps that run now."""

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_step(frame.run, width, height, frame.axis)


def draw_step(run: RunState, width: int, height: int, axis: TimeRange = "run") -> list[Row]:
    steps = run.live_steps
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    if steps is None or not steps.count:
        return empty_pane(title(_name(run)), _empty_text(run), width, height)
    table = inner_width >= TABLE_WIDTH and inner_height >= len(steps.phases) + 3
    rows = [_rates(steps, inner_width), phase_bar(steps.phases, inner_width)]
    waste = _waste(run, steps, inner_width)
    room = inner_height - len(rows) - 1
    rows += _table(run, steps, axis, inner_width, room) if table else _columns(steps, inner_width, room)
    if table and inner_height - len(rows) > 2:
        rows.append(())
    if len(rows) < inner_height:
        rows.append(waste)
    right = row(Span(f"last {steps.count}" + (", device clock" if steps.on_device_clock and table else ""), "dim"))
    return bordered(title(_name(run)), right, rows, width, height)


def _name(run: RunState) -> str:
    study = run.study
    if run.training is None and study is not None and study.running is not None:
        return f"Step of trial #{study.running.candidate.id}"
    return "Step"


def _empty_text(run: RunState) -> str:
    study = run.study
    if run.training is None and study is not None and study.running is not None:
        probe = study.running.probe
        return f"Trial #{study.running.candidate.id}: {'memory probe' if probe == 'memory' else 'setting up'}"
    if not run.status.busy:
        return "No steps were taken." if run.training is None and study is None else "No step is running."
    coming = "they come once model and data are loaded" if run.model is None else "the first one is being prepared"
    return f"No steps yet: {coming}."


def _rates(steps: StepWindow, width: int) -> Row:
    known = steps.spread_seconds if steps.count > 1 else None  # of one step, or one line of steps, there is none
    spread = f" ±{_in_unit_of(known, steps.seconds)}" if known else ""
    return pack(
        [
            row(Span(format_seconds(steps.seconds), "strong"), Span(spread, "dim")),
            row(Span(format_count(steps.tokens_per_second), "strong"), " tok/s"),
            row(f"{format_count(steps.samples_per_second)} samples/s" if width >= 50 else
                f"{format_count(steps.samples_per_second)} smp/s"),
        ],
        width, gap="   " if width >= 40 else "  ",
    )  # fmt: skip


def _in_unit_of(value: float, reference: float | None) -> str:
    """Without a unit where it is the reference's."""
    text, unit = format_seconds(value), format_seconds(reference).rpartition(" ")[2]
    return text.removesuffix(f" {unit}").removesuffix(".0")


def _columns(steps: StepWindow, width: int, room: int) -> list[Row]:
    column = (width - 2) // 2
    total = sum(steps.phases.values())
    largest = sorted(in_order(steps.phases), key=lambda name: -steps.phases[name])[: max(0, room) * 2]
    names = [name for name in in_order(steps.phases) if name in largest]
    cells = [_short(name, steps.phases_p50[name], steps.phases[name], total, column) for name in names]
    return [row(*cells[i], "  ", *(cells[i + 1] if i + 1 < len(cells) else ())) for i in range(0, len(cells), 2)]


def _short(name: str, median: float, mean: float, total: float, width: int) -> Row:
    """Its seconds at the median, as the step's beside it are; its share of the whole time."""
    share = f"{mean / total * 100:.0f}%" if total else "–"
    return row(
        phase_mark(name),
        cell(f" {SHORT_NAMES.get(name, name)}", width - 11),
        cell(_brief(median), 6, right=True),
        cell(share, 4, right=True, style="dim"),
    )


def _brief(seconds: float) -> str:
    """At most six cells."""
    if seconds <= 0.0005:  # which would be rounded to an even 0
        return "<1 ms" if seconds else "0 ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else format_seconds(seconds)


def _table(run: RunState, steps: StepWindow, axis: TimeRange, width: int, room: int) -> list[Row]:
    busy = run.live_busy
    head = row(
        cell("phase", NAME), *(cell(text, FIGURE, right=True) for text in ("now", "p50", "p95")),
        cell("share", SHARE, right=True), *(() if busy is None else (cell("idle", IDLE, right=True),)),
    )  # fmt: skip
    total = sum(steps.phases.values())
    names = in_order(steps.phases)[: max(0, room - 1)]
    charts = _charts(run, steps, names, axis, width - TABLE_FIGURES - (0 if busy is None else IDLE) - CHART_GAP)
    words = f"{' ' * CHART_GAP}{charts.words}" if charts.rows else ""
    rows = [row(*(Span(span.text, "dim") for span in head), Span(words, "dim"))]
    for name in names:
        chart = charts.rows.get(name)
        line = _table_row(steps, name, total, busy)
        rows.append(row(line, " " * CHART_GAP, chart) if chart is not None else line)
    return rows


def _table_row(steps: StepWindow, name: str, total: float, busy: DeviceBusyMeasured | None) -> Row:
    times = (steps.phases_last, steps.phases_p50, steps.phases_p95)
    return row(
        phase_mark(name),
        cell(f" {phase_words(name)}", NAME - 1),
        *(cell(format_seconds(values.get(name)), FIGURE, right=True) for values in times),
        cell(format_share(steps.phases[name] / total) if total else "–", SHARE, right=True),
        *(() if busy is None else (cell(format_share(busy.idle_share(name)), IDLE, right=True),)),
    )


class Charts(NamedTuple):
    """Beside the phases."""

    words: str
    """What they show."""
    rows: dict[str, Span]
    """By phase."""


def _charts(run: RunState, steps: StepWindow, names: list[str], axis: TimeRange, width: int) -> Charts:
    """Of a training each phase on one scale, so that a stall stands out; of a probe its step times, by the first."""
    if width < NARROWEST_CHART:
        return Charts("", {})
    courses = run.training.phase_courses if run.training is not None and run.training.steps.count else {}
    values = {name: _over(courses[name], axis).values for name in names if name in courses}
    if values:
        top = max((value for known in values.values() for value in known if value is not None), default=0.0)
        rows = {name: history(known, width, top) for name, known in values.items()}
        return Charts(f"last {HISTORY_WORDS[axis]}", rows)
    if len(steps.recent_seconds) < 2 or not names:
        return Charts("", {})
    times = sparkline(steps.recent_seconds, width, top=2 * (steps.seconds or 0.0))  # half height is the median
    return Charts("step times", {names[0]: Span(times, "history")})


def _over(recent: Recent, axis: TimeRange) -> BucketMeans:
    return recent.minute if axis == "1m" else recent.ten_minutes


def _waste(run: RunState, steps: StepWindow, width: int) -> Row:
    """What of the time and of the device is of no use, as far as it is known."""
    total = sum(steps.phases.values())
    waiting = steps.phases.get("data")
    waited = waiting / total if waiting is not None and total else None
    idle = run.live_busy.idle_fraction if run.live_busy is not None else None
    more = [(name, share) for name, share in (("idle", idle), ("MFU", run.live_mfu)) if share is not None]
    if more and width < SHORT_WASTE:
        told = [("pad", steps.padding_fraction), ("data", waited), *more]
        return pack([_short_share(name, share) for name, share in told], width, gap="  ")
    told = [("padding", steps.padding_fraction), ("waiting for data", waited), *more]
    return pack([row(Span(f"{name} ", "dim"), format_share(share)) for name, share in told], width)


def _short_share(name: str, share: float | None) -> Row:
    return row(Span(f"{name} ", "dim"), format_share(share).replace(" ", ""))
