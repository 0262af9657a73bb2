"""The schedule of the next run, a setting a row, with what each one takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.paths import value_at
from speedtui.engine.plan_types import FrequencyRow
from speedtui.engine.units import format_count, format_seconds
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, cell, clean, clock, crop, roughly, row, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import empty_pane, lit, scrolled, title
from speedtui.tui.panes.plan_pane import PlanPane, pieces_that_fit
from speedtui.tui.values import format_value

if TYPE_CHECKING:
    from speedtui.tui.draft.fields import DraftField
    from speedtui.tui.draft.next_run import NextRun

LABEL_WIDTH, VALUE_WIDTH = 12, 10
"""`loss every`; `1200 steps`."""
ROOMY = 44
"""Cells from which on arrows stand beside every value."""
NO_VALUE = {"frequency": "never", "rows": "all", "patience": "off", "window": "none"}
"""What a setting that is not set means."""


class FieldsPane(PlanPane["DraftField"]):
    """The settings; left and right adjust the one under the cursor."""

    def choices(self) -> Sequence[DraftField]:
        return self.next_run.fields if self.next_run is not None else ()

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_fields(self.next_run, self.at if self.has_keys else None, self.at, width, height)


def draw_fields(shown: NextRun | None, cursor: int | None, at: int, width: int, height: int) -> list[Row]:
    """The settings in their frame; `cursor`: the one that is marked, `at`: the one that must be seen."""
    inner, room = width - EDGES - INSET, height - EDGES
    heading = title("Next run", Span("← → adjust", "dim") if width >= 48 else "")
    if shown is None:
        return empty_pane(heading, "no configuration yet", width, height)
    rows = [_row(field, shown, i == cursor, inner) for i, field in enumerate(shown.fields)]
    count = Span(f"{at + 1}/{len(rows)}", "dim") if len(rows) > room else Span("")
    return bordered(heading, row(count), scrolled(rows, at, max(1, room)), width, height)


def _row(field: DraftField, shown: NextRun, here: bool, width: int) -> Row:
    draft = shown.draft
    value, before = value_at(draft.settings, field.path), value_at(draft.base, field.path)
    changed = value != before
    text = value_text(field, value)
    size = LABEL_WIDTH if width >= ROOMY else LABEL_WIDTH - 1
    left, right = ("◂", "▸") if here or width >= ROOMY else (" ", " ")
    line = row(
        Span("›" if here else "±" if changed else " ", "accent"), cell(field.label, size),
        Span(left, "key" if here else "dim"),
        cell(text, max(VALUE_WIDTH, len(text)), right=True, style="accent" if changed else "strong"),
        Span(f"{right} ", "key" if here else "dim"),
    )  # fmt: skip
    note = pieces_that_fit(_notes(field, shown, width - width_of(line)), width - width_of(line))
    return lit(crop(row(line, note), width), width, here=here)


def value_text(field: DraftField, value: object) -> str:
    """As it is read: what is not set has a word of its own, too."""
    if value is None:
        return NO_VALUE.get(field.kind, "–")
    if field.kind == "flag":
        return "on" if value else "off"
    return clean(format_value(value))


def _notes(field: DraftField, shown: NextRun, width: int) -> list[Row]:
    """What the setting comes to, the most telling first."""
    estimate = shown.estimate
    if field.kind in ("divisor", "tokens"):
        return [_steps_note(field, shown)]
    if field.kind == "window":
        return _window_notes(shown)
    if field.kind == "margin":
        safe = shown.window
        return [row(Span(f"safe {clock(safe.safe_until, shown.now)}", "dim"))] if safe is not None else []
    if estimate is None:
        return []
    if field.path in ("train.epochs", "train.max_steps"):
        return _length_notes(field, shown, estimate)
    if field.path == "schedule.eval_every":
        return _cost_notes(shown.frequencies, "eval", width)
    if field.path == "schedule.checkpoint_every":
        return _cost_notes(shown.frequencies, "checkpoint", width)
    if field.kind == "rows" and shown.sizes.eval_rows:
        rows = value_at(shown.draft.settings, field.path) or shown.sizes.eval_rows
        return [row(Span(f"{min(rows / shown.sizes.eval_rows, 1) * 100:.0f} % of {shown.sizes.eval_rows}", "dim"))]
    return []


def _steps_note(field: DraftField, shown: NextRun) -> Row:
    settings = shown.draft.settings
    changed = value_at(settings, field.path) != value_at(shown.draft.base, field.path)
    if shown.missing == "another step" and changed:
        return row(Span("! not measured", "warn"))
    if field.kind == "divisor":
        ways = settings.train.effective_batch_size // settings.train.micro_batch_size
        return row(Span(f"× {ways} = {settings.train.effective_batch_size} effective", "dim"))
    return row(Span("tokens; another needs a probe", "dim"))


def _window_notes(shown: NextRun) -> list[Row]:
    if shown.window_problem:
        return [row(Span(f"✗ {clean(shown.window_problem)}", "bad"))]
    if shown.window is None:
        return [row(Span("no deadline: → sets one", "dim"))]
    until = f"until {clock(shown.window.deadline, shown.now)}"
    return [row(Span(until, "dim")), row(Span(f"{roughly(shown.window.deadline - shown.now)} from now", "dim"))]


def _length_notes(field: DraftField, shown: NextRun, estimate: Estimate) -> list[Row]:
    goal = shown.goal("epochs" if field.kind == "epochs" else "steps")
    notes = []
    if goal is not None and goal.value:
        most = f"{goal.value:g}" if field.kind == "epochs" else format_count(goal.value)
        notes.append(row(Span(f"most that fit {most}", "dim")))
    if field.kind == "epochs":
        notes.insert(0, row(Span(f"{estimate.total_steps} steps", "dim")))
    return notes


def _cost_notes(frequencies: tuple[FrequencyRow, ...], what: str, width: int) -> list[Row]:
    """`15 × 14.2 s`, `2.8 %`; a dash for what was not measured."""
    found = next((one for one in frequencies if one.what == what and one.current), None)
    if found is None or not found.count:
        return [row(Span("none", "dim"))] if found is not None else []
    if not found.cost_seconds:
        return [row(Span(f"{found.count} × –", "dim"))]
    each = row(Span(f"{found.count} × {format_seconds(found.cost_seconds / found.count)}", "dim"))
    share = row(Span(f"{found.share * 100:.1f} %", "dim"))
    return [each, share] if width_of(each) <= width else [share]
