"""Runs as rows: what each is, what it is doing, how far it is and when it will be done."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from speedtui.engine.log.run_summary import RunSummary, status_of
from speedtui.engine.runs import UNKNOWN
from speedtui.engine.state import RunState, RunStatus
from speedtui.tui.drawing.text import Row, Span, cell, clean, clock, crop, fit, roughly, row
from speedtui.tui.panes.pane import lit, status_span

AROUND = 4
"""Rows that do not scroll: the heading, an empty one, and two about the run under the cursor."""
STATUS_CELLS, JOB_CELLS, DONE_CELLS, ENDS_CELLS, AGE_CELLS = 16, 6, 8, 18, 9
"""`! finished late`; `train`; `100.0 %`; `~Fri 17:28 tight`; `10h 59m`."""
VERDICTS = {"on_track": "on track", "tight": "tight", "late": "LATE", "measuring": ""}
VERDICT_STYLES = {"on_track": "good", "tight": "warn", "late": "bad"}


def matching(summaries: Sequence[RunSummary], words: str) -> list[RunSummary]:
    """Those that have all of the words, in whatever they say."""
    wanted = words.lower().split()
    return [summary for summary in summaries if all(word in _all_text(summary) for word in wanted)]


def _all_text(summary: RunSummary) -> str:
    state = summary.state
    parts = (summary.folder.id, state.job, _what(summary), status_span(_as_it_is(summary)).text, state.reason,
             summary.problem, "alive" if summary.alive else "")  # fmt: skip
    return " ".join(parts).lower()


def draw_runs(
    summaries: Sequence[RunSummary], at: int, width: int, height: int, *, opened: Collection[Path], front: Path | None,
    now: float, entry: str = "",
) -> list[Row]:  # fmt: skip
    """At most `height` rows: a heading, the runs around the cursor, and more about the one under it.

    `opened`, `front`: folders of those that are open on this screen, and of the one in front; `now`: wall clock;
    `entry`: the filter as it is typed.
    """
    if not summaries:
        return [row(Span(entry, "accent")), row("No run has all of these words; esc takes the filter away.")]
    columns = _columns(width)
    about = _about(summaries[at], width) if height > AROUND + 1 else []
    head = [_heading(columns, width)] if height > 1 else []
    room = max(1, height - len(head) - len(about) - bool(entry) - (1 if about else 0))
    first = max(0, min(at - room // 2, len(summaries) - room))
    rows = [
        _line(summary, columns, width, here=first + i == at, sign=_sign(summary, opened, front), now=now)
        for i, summary in enumerate(summaries[first : first + room])
    ]
    below = [(), *about] if about else []
    return [*([crop(row(Span(entry, "accent")), width)] if entry else []), *head, *rows, *below]


def _sign(summary: RunSummary, opened: Collection[Path], front: Path | None) -> str:
    if summary.folder.path == front:
        return "●"
    return "○" if summary.folder.path in opened else " "


class RunColumnWidths(msgspec.Struct, frozen=True):
    """Cells of each column; 0 for one that has no room."""

    what: int
    done: int
    ends: int
    age: int


def _columns(width: int) -> RunColumnWidths:
    """What a run is doing comes first, then how far it is and when it ends; the rest is for what it is."""
    left = width - 4 - JOB_CELLS - STATUS_CELLS
    done = DONE_CELLS if left >= DONE_CELLS else 0
    ends = ENDS_CELLS if left - done >= ENDS_CELLS + 8 else 0
    age = AGE_CELLS if left - done - ends >= AGE_CELLS + 12 else 0
    return RunColumnWidths(max(0, left - done - ends - age), done, ends, age)


def _heading(columns: RunColumnWidths, width: int) -> Row:
    words = [("job", JOB_CELLS), ("status", STATUS_CELLS), ("done", columns.done), ("finish", columns.ends),
             ("age", columns.age), ("what", columns.what)]  # fmt: skip
    return crop(row("    ", *(cell(word, cells, style="dim") for word, cells in words if cells)), width)


def _line(summary: RunSummary, columns: RunColumnWidths, width: int, *, here: bool, sign: str, now: float) -> Row:
    state = _as_it_is(summary)
    status = status_span(state) if not summary.problem else Span("✗ unreadable", "warn")
    ends, verdict = _ends(state, now)
    parts = [
        (state.job or "–", JOB_CELLS, ""), (status.text, STATUS_CELLS, status.style),
        (_done(summary), columns.done, ""), (ends, columns.ends, verdict), (_age(summary, now), columns.age, "dim"),
        (_what(summary), columns.what, ""),
    ]  # fmt: skip
    spans = [cell(clean(text), cells, style=style) for text, cells, style in parts if cells]
    begin = Span(f"{'›' if here else ' '} {sign} ", "accent")
    return lit(fit(row(begin, *spans), width), width, here=here)


def _as_it_is(summary: RunSummary) -> RunState:
    return msgspec.structs.replace(summary.state, status=status_of(summary))


def _what(summary: RunSummary) -> str:
    """The training's settings or the study's size, and the model."""
    state = summary.state
    if summary.problem:
        return summary.problem
    model = state.model.model if state.model is not None else str(state.config.get("model", {}).get("path") or "")
    name = Path(model).name if model else ""
    if state.training is not None:
        return "  ".join(part for part in (state.training.label, name) if part)
    if state.study is not None:
        best = f", best #{state.study.best}" if state.study.best is not None else ""
        return "  ".join(part for part in (f"{len(state.study.rows)} candidates{best}", name) if part)
    return name


def _done(summary: RunSummary) -> str:
    """Share of the steps, or trials of a study whose whole log was read."""
    state = summary.state
    if state.training is not None:
        total = state.training.total_steps
        return f"{summary.step / total * 100:.1f} %" if summary.step is not None and total else "–"
    if state.study is not None and summary.whole:
        return f"{sum(trial.status.finished for trial in state.study.rows)}/{len(state.study.rows)}"
    return "–"


def _ends(state: RunState, now: float) -> tuple[str, str]:
    """(when, its style): of a run that is over when it was, of a training that goes on when it will be, and whether
    that is in time."""
    if state.status is RunStatus.FINISHED:
        return clock(state.now, now), "dim"
    eta = state.training.eta if state.training is not None else None
    if state.status in (RunStatus.LOST, RunStatus.UNKNOWN) or eta is None or eta.p50_seconds is None:
        return "–", "dim"
    finish = clock(state.ahead(eta.t, eta.p50_seconds), now)
    words = VERDICTS[eta.verdict] if state.window is not None and eta.verdict is not None else ""
    return f"~{finish} {words}".rstrip(), VERDICT_STYLES.get(eta.verdict or "", "") if words else ""


def _age(summary: RunSummary, now: float) -> str:
    """Since it was started."""
    started = summary.state.started_at
    if not started:
        return "–"
    days = (now - started) / 86_400
    return f"{days:.0f} days" if days >= 2 else roughly(max(0.0, now - started))


def _about(summary: RunSummary, width: int) -> list[Row]:
    """Its id, as commands take it, and what is to be known besides."""
    state = summary.state
    where = f" on {state.host}" if state.host else ""
    lost = "its worker is gone; `speedtui attach` says how to go on" if status_of(summary) is RunStatus.LOST else ""
    unknown = UNKNOWN if status_of(summary) is RunStatus.UNKNOWN else ""
    more = summary.problem or state.reason or state.next or lost or unknown
    return [crop(row(Span(clean(summary.folder.id), "strong"), clean(where)), width), crop(row(clean(more)), width)]
