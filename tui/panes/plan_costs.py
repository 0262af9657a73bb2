"""What evaluations and checkpoints cost by how often they come, and three whole schedules; enter takes a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from speedtui.engine.config.paths import value_at
from speedtui.engine.config.settings import Scalar
from speedtui.engine.plan.tables import CHECKPOINT_EVERY, CHECKPOINT_SHARE, EVAL_EVERY, recommended_checkpoint, the_end
from speedtui.engine.plan_types import FrequencyRow, ScheduleRow
from speedtui.engine.units import format_seconds
from speedtui.tui.draft.draft import laid_over
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, clean, crop, row, wrap
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import lit, middle, scrolled, title
from speedtui.tui.panes.plan_pane import PlanColumn, PlanPane, about, at_least, fit_span, span, table, time_of_day

if TYPE_CHECKING:
    from speedtui.tui.draft.next_run import NextRun

LEAD = 2
"""Cursor and sign of what is set now."""
LEAST_ROWS = 5
"""Of a table where the keys act, before words about the row under the cursor get any."""
BETWEEN, BETWEEN_WIDTH = "between two epochs: evaluations, checkpoints", 72
"""What a column of the schedules is, and where there is room to say it."""
FREQUENCY = (
    PlanColumn("every", 0, words=True), PlanColumn("times", 5), PlanColumn("time", 1), PlanColumn("share", 4),
    PlanColumn("finish", 2), PlanColumn("fits", 3, words=True), PlanColumn("apart", 6),
)  # fmt: skip
SCHEDULE = (
    PlanColumn("schedule", 0, words=True), PlanColumn("epoch", 2), PlanColumn("between", 3), PlanColumn("total", 1),
    PlanColumn("finish", 7), PlanColumn("fits", 1, words=True), PlanColumn("loss", 4, words=True),
    PlanColumn("answers", 5, words=True), PlanColumn("ckpt", 6, words=True),
)  # fmt: skip


class CostChoice(NamedTuple):
    """One row that can be taken."""

    texts: list[Span]
    """A cell a column."""
    values: dict[str, Scalar]
    current: bool
    words: str
    """More about it, for rows below the table."""


class CostsPane(PlanPane[CostChoice]):
    """Frequencies, and the schedules where they have no pane of their own; enter takes the row under the cursor."""

    schedules_too = False
    """No other pane shows them."""

    def choices(self) -> list[CostChoice]:
        if self.next_run is None:
            return []
        found = frequency_offers(self.next_run)
        return [*found, *map(_among_frequencies, schedule_offers(self.next_run))] if self.schedules_too else found

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        heading = title("What it costs", Span("enter takes a row", "dim") if width >= 60 else "")
        cursor = self.at if self.has_keys else None
        return draw_offers(self.next_run, heading, FREQUENCY, self.choices(), cursor, width, height)


class SchedulesPane(PlanPane[CostChoice]):
    """Full, fast and ultra fast; enter takes the one under the cursor."""

    def choices(self) -> list[CostChoice]:
        return schedule_offers(self.next_run) if self.next_run is not None else []

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        cursor = self.at if self.has_keys else None
        heading = title("Schedules", Span(BETWEEN, "dim") if width >= BETWEEN_WIDTH else "")
        return draw_offers(self.next_run, heading, SCHEDULE, self.choices(), cursor, width, height)


def draw_offers(
    shown: NextRun | None, heading: Row, columns: Sequence[PlanColumn], offers: Sequence[CostChoice],
    cursor: int | None, width: int, height: int,
) -> list[Row]:  # fmt: skip
    """A table of rows to take, in a frame; words about the row under the cursor, or else about the one that is set.

    `cursor`: None where the keys act elsewhere.
    """
    inner, room = width - EDGES - INSET, height - EDGES
    if not offers:
        return bordered(heading, (), middle(_nothing(shown, inner), room), width, height)
    present = next((i for i, offer in enumerate(offers) if offer.current), 0)
    at = min(cursor, len(offers) - 1) if cursor is not None else present
    words = [row(Span(f"  {text}", "dim")) for text in wrap(offers[at].words, inner - LEAD)]
    if room - 1 - len(words) < (len(offers) if cursor is None else min(len(offers), LEAST_ROWS)):
        words = []
    found = table(columns, [offer.texts for offer in offers], inner - LEAD)
    rows = [
        _row(offer, line, i == cursor, inner) for i, (offer, line) in enumerate(zip(offers, found.rows, strict=True))
    ]
    shown_rows = scrolled(rows, at, max(1, room - 1 - len(words)))
    note = f"{at + 1}/{len(rows)}" if len(rows) > len(shown_rows) else _sureness(shown)
    return bordered(heading, row(Span(note, "dim")), [row("  ", found.head), *shown_rows, *words], width, height)


def _row(offer: CostChoice, line: Row, here: bool, width: int) -> Row:
    sign = row(Span("›" if here else " ", "accent"), Span("●" if offer.current else " ", "good"))
    return lit(crop(row(sign, line), width), width, here=here)


def _sureness(shown: NextRun | None) -> str:
    if shown is None or shown.estimate is None:
        return ""
    return "measured" if shown.measured else "~ not measured"


def _nothing(shown: NextRun | None, width: int) -> list[Row]:
    plan = row(Span("R", "key"), " makes a plan.")
    if shown is None or shown.missing == "nothing":
        return [row("Nothing is measured yet."), plan]
    if shown.estimate is None:
        return [row(line) for line in wrap(missing_words(shown), width)]
    return [row(Span("There is nothing to evaluate on.", "dim"))]


def missing_words(shown: NextRun) -> str:
    """Why nothing can be said, and what to do."""
    undo = ", or u undoes" if shown.draft.past else ""
    if shown.missing == "the plan":
        return "The plan is being made."
    if shown.missing == "another step":
        return f"No run was measured with these steps: take a profile, try them (2, then a){undo}."
    return f"{shown.missing} was not measured{undo}.".capitalize()


def frequency_offers(shown: NextRun) -> list[CostChoice]:
    """Evaluations, then checkpoints, the most frequent first."""
    best = recommended_checkpoint(shown.frequencies)
    return [_frequency(found, shown, best) for found in shown.frequencies]


def _frequency(found: FrequencyRow, shown: NextRun, best: FrequencyRow | None) -> CostChoice:
    of_eval, sure = found.what == "eval", shown.measured
    apart = apart_seconds(found) if of_eval else found.lost_seconds
    known = not found.count or found.cost_seconds > 0
    texts = [
        Span(f"{'eval' if of_eval else 'ckpt'} {'best' if found.best_only else _short(found.every)}"),
        Span(str(found.count)),
        Span(about(span(found.cost_seconds), sure) if known else "–"),
        Span(f"{found.share * 100:.1f} %" if known else "–"), _finish(found.finish, shown),
        fit_span(found.fit, shown.unpriced), Span(about(span(apart), sure)),
    ]  # fmt: skip
    values: dict[str, Scalar] = {EVAL_EVERY if of_eval else CHECKPOINT_EVERY: found.every}
    return CostChoice(texts, values, found.current, _words(found, best))


def _finish(when: float | None, shown: NextRun) -> Span:
    return _whole(time_of_day(when, shown.now), shown)


def _whole(text: str, shown: NextRun) -> Span:
    """Of evaluations and checkpoints together: marked where some of it is left out."""
    return Span(at_least(text, shown.unpriced) if shown.unpriced else about(text, shown.measured))


def apart_seconds(found: FrequencyRow) -> float | None:
    """Between two evaluations: nothing is known of the model but its training loss."""
    return found.total_seconds / found.count if found.count else None


def _words(found: FrequencyRow, best: FrequencyRow | None) -> str:
    if found.what == "eval":
        return f"{span(apart_seconds(found))} from one evaluation to the next" if found.count else "never evaluated"
    text = f"{span(found.lost_seconds)} apart: as much work is lost at most if it is killed"
    return f"{text}; the most often within {CHECKPOINT_SHARE * 100:g} % of the run" if best is found else text


def _short(every: str) -> str:
    """`1200 steps` as `1200`: a bare number counts steps, here as in what is typed."""
    return every.removesuffix(" steps").removesuffix(" step") if every.endswith(("steps", "step")) else every


def schedule_offers(shown: NextRun) -> list[CostChoice]:
    """Full, fast and ultra fast."""
    return [_schedule(found, shown) for found in shown.schedules]


def _schedule(found: ScheduleRow, shown: NextRun) -> CostChoice:
    sure = shown.measured
    texts = [
        Span(found.name), Span(about(format_seconds(found.epoch_seconds), sure)),
        _whole(format_seconds(found.gap_seconds or None), shown), _whole(span(found.total_seconds), shown),
        _finish(found.finish, shown), fit_span(found.fit, shown.unpriced), *_seen(found, shown),
    ]  # fmt: skip
    words = f"{found.name}, still monitored: {clean(found.monitored)}"
    settings = shown.draft.settings
    current = all(value_at(settings, path) == value for path, value in found.values.items())
    return CostChoice(texts, found.values, current, words)


def _seen(found: ScheduleRow, shown: NextRun) -> list[Span]:
    """How often there is a loss of the evaluation, answers, and a checkpoint."""
    schedule = laid_over(shown.draft.settings, found.values).schedule
    often, loss, saves = (
        _often(every, shown) for every in (schedule.eval_every, schedule.fast_eval_every, schedule.checkpoint_every)
    )
    evaluates = any(row.what == "eval" and row.count for row in shown.frequencies)
    saved = f"best, {saves}" if schedule.save_only_best else saves
    answers = often if schedule.generate else "–"
    seen = (often if loss == "never" else loss, answers) if evaluates else ("–", "–")
    return [Span(text, "dim" if text in ("–", "never") else "") for text in (*seen, saved)]


def _often(every: str, shown: NextRun) -> str:
    """A spacing as long as the run in words."""
    total, epoch = shown.sizes.total_steps, shown.sizes.epoch_steps
    return "at end" if total and epoch and every == the_end(total, epoch) else every


def _among_frequencies(offer: CostChoice) -> CostChoice:
    """A schedule's cells in the columns of the frequencies."""
    name, _, between, _, finish, fits, *_ = offer.texts
    return offer._replace(texts=[name, Span(""), Span(between.text), Span(""), finish, fits, Span("")])
