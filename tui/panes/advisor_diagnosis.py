"""The Advisor's first pane: what holds the run back, what is wasted, what room there is."""

from __future__ import annotations

from collections.abc import Sequence

from speedtui.engine.advise.diagnosis import Diagnosis
from speedtui.engine.state import RunState, RunStatus
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, clean, crop, fit, pack, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.advisor_pane import AdvisorPane, AdvisorPicture
from speedtui.tui.panes.pane import title

LABEL = 12
TWO_COLUMNS = 112
"""Cells from which bottleneck and headroom stand side by side."""


class DiagnosisPane(AdvisorPane):
    """A box where there is room for one, else a line."""

    SLOW = True

    def lines(self, shown: AdvisorPicture, frame: Frame, width: int, height: int) -> Sequence[Row]:
        if shown.advised.problem and frame.run.config:
            return [crop(row(Span(f" {clean(shown.advised.problem)}", "warn")), width)]
        return draw_diagnosis(shown.diagnosis, frame.run, width, height)


def draw_diagnosis(found: Diagnosis, run: RunState, width: int, height: int) -> list[Row]:
    if height <= EDGES:
        return [_line(found, run, width)]
    inner = width - EDGES - INSET
    body = _columns(found, inner) if inner >= TWO_COLUMNS else _stacked(found, inner)
    if not found.bottleneck:
        body = [row(Span(nothing_known(run), "dim")), *body[1:]]
    right = row(Span(found.basis, "dim")) if found.basis else ()
    return bordered(title("Diagnosis"), right, body, width, height)


def nothing_known(run: RunState) -> str:
    """What has to happen before there is a diagnosis."""
    if run.status in (RunStatus.STARTING, RunStatus.LOADING):
        return "The model is being loaded; a diagnosis needs a measured step."
    if run.status is RunStatus.FINISHED:
        return "No step of these settings was measured."
    return "A diagnosis needs a measured step: a trial of these settings, or a training."


def _line(found: Diagnosis, run: RunState, width: int) -> Row:
    if not found.bottleneck:
        return crop(row(Span(f" {nothing_known(run)}", "dim")), width)
    start = row(Span(" bottleneck ", "dim"), _name(found))
    trouble = row(Span("! throttled", "bad")) if found.throttled else ()
    figures = [row(text) for text in (*found.shares[:2], *found.waste[:1], found.headroom, *found.shares[2:]) if text]
    return pack([start, trouble, *figures], width, gap="  ")


def _columns(found: Diagnosis, width: int) -> list[Row]:
    right = width // 3
    left = width - right
    rows = [
        (_labelled("bottleneck", _bottleneck(found), left), _labelled("headroom", _headroom(found), right)),
        (_labelled("waste", _waste(found), left), _labelled("limit", _limit(found), right)),
    ]
    return [row(fit(a, left), b) for a, b in rows]


def _stacked(found: Diagnosis, width: int) -> list[Row]:
    headroom = [*_headroom(found), *_limit(found)]
    return [_labelled("bottleneck", _bottleneck(found), width),
            _labelled("waste", [*_waste(found), *headroom], width)]  # fmt: skip


def _labelled(label: str, pieces: list[Row], width: int) -> Row:
    return row(Span(label.ljust(LABEL), "dim"), pack(pieces, width - LABEL))


def _name(found: Diagnosis) -> Row:
    reason = f" ({found.reason})" if found.reason else ""
    return row(Span(found.bottleneck, "strong"), clean(reason))


def _bottleneck(found: Diagnosis) -> list[Row]:
    return [_name(found), *(row(share) for share in found.shares)]


def _waste(found: Diagnosis) -> list[Row]:
    return [row(text) for text in found.waste] or [row(Span("–", "dim"))]


def _headroom(found: Diagnosis) -> list[Row]:
    if not found.headroom:
        return [row(Span("–", "dim"))]
    return [row(found.headroom), row(Span("room for more" if found.room else "", "dim"))]


def _limit(found: Diagnosis) -> list[Row]:
    style = "bad" if found.throttled else ""
    return [row(Span(text, style if "throttl" in text else "")) for text in found.limit] or [row(Span("–", "dim"))]
