"""Profiles, trials and the run itself side by side; columns go by priority as the screen gets narrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from textual.geometry import Size

from speedtui.engine.advise.words import age_words
from speedtui.engine.candidate import Estimate
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.state import RunState
from speedtui.engine.units import format_count, format_seconds, format_share, format_size
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, cell, clean, crop, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import lit, middle, scrolled, title
from speedtui.tui.panes.plan_pane import (
    PlanColumn,
    PlanPane,
    about,
    at_least,
    fit_span,
    span,
    spare,
    table,
    time_of_day,
)

if TYPE_CHECKING:
    from speedtui.engine.plan.run_options import RunOption
    from speedtui.tui.draft.next_run import NextRun, NextRunRow

LEAD = 4
"""Cursor, sign of what is taken, and gaps."""
NAME_MOST = 26
"""Cells of a name; a trial's may be long."""
MOST_ROWS = ((32, 8), (24, 4), (0, 2))
"""From so many rows of the screen on, so many choices without scrolling: the schedule below has a claim on the rest."""
COLUMNS = (
    PlanColumn("profile", 0, words=True), PlanColumn("step", 6), PlanColumn("tok/s", 8), PlanColumn("peak", 7),
    PlanColumn("free", 9),
    PlanColumn("eval", 11), PlanColumn("ckpt", 12), PlanColumn("total", 2), PlanColumn("finish", 3),
    PlanColumn("p90", 10),
    PlanColumn("spare", 4), PlanColumn("fits", 1, words=True), PlanColumn("source", 5, words=True),
    PlanColumn("note", 13, words=True),
)  # fmt: skip


class ProfilesPane(PlanPane["NextRunRow"]):
    """The choices; enter takes the one under the cursor."""

    def choices(self) -> Sequence[NextRunRow]:
        return folded_choices(self.next_run.lines).shown if self.next_run is not None else ()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Heading, edges and the choices, up to what the screen has for them."""
        most = next(most for rows, most in MOST_ROWS if viewport.height >= rows)
        folded = self.next_run is not None and bool(folded_choices(self.next_run.lines).folded)
        return EDGES + 1 + max(1, min(most, len(self.choices()) + folded))

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_profiles(self.next_run, frame, self.at if self.has_keys else None, self.at, width, height)


class Choices(NamedTuple):
    """What there is to be taken."""

    shown: tuple[NextRunRow, ...]
    """A row each."""
    folded: tuple[NextRunRow, ...]
    """Nothing is known of them: they share a row."""


def folded_choices(lines: Sequence[NextRunRow]) -> Choices:
    """A single profile of which nothing is known keeps its row, as does the one that is taken."""
    unknown = tuple(line for line in lines if line.option.kind == "profile" and not line.known and not line.taken)
    if len(unknown) < 2:
        return Choices(tuple(lines), ())
    return Choices(tuple(line for line in lines if line not in unknown), unknown)


def draw_profiles(
    shown: NextRun | None, frame: Frame, cursor: int | None, at: int, width: int, height: int
) -> list[Row]:
    """The table in its frame; `cursor`: the row that is marked, `at`: the one that must be seen."""
    inner, room = width - EDGES - INSET, height - EDGES
    heading = title("Profiles", Span(f"● next run takes it{_in_all(shown, room)}", "dim") if width >= 60 else "")
    if shown is None:
        return bordered(heading, (), middle(_nothing(frame.run), room), width, height)
    known, folded = folded_choices(shown.lines)
    rows = draw_lines(known, shown.now, cursor, at, inner, max(2, room - bool(folded)))
    if folded:
        rows.append(crop(row(" " * LEAD, Span(_folded_words(folded, inner - LEAD), "dim")), inner))
    if any(line.left_out for line in known):
        heading = title("Profiles", Span("without edits that nobody measured with them", "dim") if width >= 72 else "")
    return bordered(heading, planning_words(frame), rows, width, height)


def _in_all(shown: NextRun | None, room: int) -> str:
    """How many there are, where not all are seen."""
    known, folded = folded_choices(shown.lines) if shown is not None else Choices((), ())
    return f"   {len(known)} in all" if len(known) > room - 1 - bool(folded) else ""


def _folded_words(folded: Sequence[NextRunRow], width: int) -> str:
    """`fast, balanced: not known yet; R plans them, p takes one`, or their number where the names are too long."""
    names = ", ".join(clean(line.option.name) for line in folded)
    told = ("not known yet; R plans them, p takes one", "not known yet; R plans them", "not known yet")
    texts = [f"{subject}: {words}" for subject in (names, f"{len(folded)} profiles") for words in told]
    return next((text for text in texts if len(text) <= width), texts[-1])


def draw_lines(
    lines: Sequence[NextRunRow], now: float, cursor: int | None, at: int, width: int, height: int
) -> list[Row]:  # fmt: skip
    """Heading and as many choices as there is room for."""
    texts = [_texts(line, now) for line in lines]
    columns: Sequence[PlanColumn] = COLUMNS
    if not any(line[-1].text for line in texts):
        columns, texts = COLUMNS[:-1], [line[:-1] for line in texts]
    found = table(columns, texts, width - LEAD)
    rows = [
        _marked(line, text, i == cursor, width) for i, (line, text) in enumerate(zip(lines, found.rows, strict=True))
    ]
    return [row(" " * LEAD, found.head), *scrolled(rows, at, max(1, height - 1))]


def _marked(line: NextRunRow, text: Row, here: bool, width: int) -> Row:
    taken = Span("● ", "good") if line.taken else Span("○ ", "dim")
    sign = row(Span("› " if here else "  ", "accent"), taken)
    return lit(crop(row(sign, text), width), width, here=here)


def _texts(line: NextRunRow, now: float) -> list[Span]:
    """A cell a column."""
    option, basis, estimate = line.option, line.basis, line.estimate
    sure, computed = line.measured, estimate if line.computed else None
    costs = basis.known.costs if basis.known is not None else None
    guess = "dim" if basis.source == "model" or computed is not None else ""
    style = "strong" if line.taken else "" if estimate is not None and not guess else "dim"
    figures = (
        *_step_figures(basis, computed),
        _cost(_evaluation(costs) if costs is not None else None),
        _cost(costs.save_seconds if costs is not None else None),
    )
    times = (
        span(estimate.p50_seconds if estimate is not None else None), time_of_day(line.finish, now),
        time_of_day(line.finish_p90, now),
    )  # fmt: skip
    return [
        Span(cell(clean(option.name), min(len(option.name), NAME_MOST)).text, style),
        *(Span(about(text, sure), "dim" if text == "–" else guess) for text in figures),
        *(Span(at_least(text, line.unpriced) if line.unpriced else about(text, sure),
               "dim" if text == "–" else guess) for text in times),
        Span(spare(line.spare_seconds), guess), fit_span(line.fit, line.unpriced),
        Span(_source(basis, computed), "dim"), Span(_note(line), "dim"),
    ]  # fmt: skip


def _step_figures(basis: RunOption, computed: Estimate | None) -> tuple[str, str, str, str]:
    """Step, tokens a second, peak and what is free; `computed`: from other steps, whose peak says nothing."""
    step, rate = basis.step_seconds, basis.tokens_per_second
    if computed is None:
        return format_seconds(step), format_count(rate), format_size(basis.peak_bytes), _free(basis)
    now = computed.terms.get("steps", 0.0) / max(computed.total_steps, 1)
    faster = rate * step / now if rate is not None and step is not None and now > 0 else None
    return format_seconds(now or None), format_count(faster), "–", "–"


def _cost(seconds: float | None) -> str:
    """What an estimate takes for nothing was not measured."""
    return format_seconds(seconds or None)


def _evaluation(costs: RunCosts) -> float | None:
    """Seconds of one with its answers and metric, where it has them."""
    if not costs.eval_seconds:
        return None
    return costs.eval_seconds + (costs.generate_seconds or 0.0) + (costs.metric_seconds or 0.0)


def _free(option: RunOption) -> str:
    peak, limit = option.peak_bytes, option.limit_bytes
    if peak is None or not limit:
        return "–"
    return format_share(1 - peak / limit) if peak <= limit else f"over {format_share(peak / limit - 1)}"


def _source(option: RunOption, computed: Estimate | None) -> str:
    if computed is not None:
        return "computed"
    if option.source == "history" and option.source_age_seconds is not None:
        return f"{age_words(option.source_age_seconds)} old"
    return option.source or "not known"


def _note(line: NextRunRow) -> str:
    if line.unpriced:
        return f"without {' and '.join(line.unpriced)}"
    if line.option.note:
        return clean(line.option.note)
    if line.left_out:
        return "without the edits"
    return "another step: not measured" if line.option.known is not None and line.estimate is None else ""


def _nothing(run: RunState) -> list[Row]:
    if run.status.busy:
        return [row("The profiles come when the configuration is read.")]
    return [row("This run left no configuration. ", Span("5", "key"), " lists other runs.")]


def planning_words(frame: Frame) -> Row:
    """What the making of a plan is at, or why there is none."""
    if frame.plan_error is not None:
        return row(Span(f"✗ {clean(frame.plan_error.message)}", "bad"))
    run = frame.plan_run
    if frame.planning is not None and run.plan is None and run.outcome is not None:
        reason = f"✗ no plan: {clean(run.reason) or 'it was stopped'}  "
        return row(Span(reason, "bad"), Span("R", "key"), Span(" again", "dim"))
    if (frame.planning is None and run.job != "plan") or run.plan is not None or not run.status.busy:
        made = run.plan is not None
        return row(Span("R", "key"), Span(" plan again" if made else " plan: measure or predict", "dim"))
    return row(Span(f"… {_step_words(run)}", "accent"))


def _step_words(run: RunState) -> str:
    study = run.study
    left = run.progress.left_seconds if run.progress is not None else None
    when = f", about {span(left)} left" if left is not None else ""
    if study is not None and study.running is not None:
        return f"planning: probing {clean(study.running.candidate.label)}{when}"
    if run.progress is None:
        return "planning"
    tally = f" {run.progress.done}/{run.progress.total}" if run.progress.total else ""
    return f"planning: {clean(run.progress.what)}{tally}{when}"
