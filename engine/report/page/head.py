"""The top of the page: what the run was, how it ended, and the figures that matter most."""

from __future__ import annotations

from speedtui.engine.events import Outcome
from speedtui.engine.report.page.markup import EMPTY, Markup, join, tag
from speedtui.engine.report.record import AccuracyGrade, TrainingReport
from speedtui.engine.report.words import clock, end_words, evaluation_words
from speedtui.engine.state import RunState, RunStatus, StudyState
from speedtui.engine.state.study import PLAN
from speedtui.engine.timing.verdict import FinalVerdict
from speedtui.engine.units import format_count, format_figure, format_seconds, format_span

OUTCOMES: dict[Outcome, tuple[str, str]] = {
    "ok": ("done", "good"), "late": ("late", "bad"), "stopped": ("stopped", "warn"), "failed": ("failed", "bad"),
    "no_fit": ("nothing fits", "bad"),
}  # fmt: skip
VERDICTS: dict[FinalVerdict, tuple[str, str]] = {
    "on_track": ("in time", "good"), "tight": ("in time, margin used", "warn"), "late": ("late", "bad"),
}  # fmt: skip
JUDGEMENTS: dict[AccuracyGrade, str] = {
    "goal": "goal is 95-105 %", "good": "good; goal is 95-105 %", "off": "outside 85-115 %",
}  # fmt: skip
KINDS = {"train": "Training", "tune": "Study", "plan": "Plan", "demo": "Demo"}


def page_head(state: RunState, report: TrainingReport | None) -> Markup:
    """Title, verdict, what the run said at its end, and the figures."""
    text, colour = _verdict(state, report)
    top = tag("div", tag("h1", page_title(state)), tag("span", text, class_=f"pill {colour}"), class_="top")
    said = EMPTY
    if state.reason:
        said = tag("p", state.reason, class_="said bad" if colour == "bad" else "said")
    passed_over = tag("p", state.passed_over.words, class_="said bad") if state.passed_over else EMPTY
    return tag("header", top, tag("p", _what(state, report), class_="what"), said, passed_over, _tiles(state, report))


def page_title(state: RunState) -> str:
    """`Training of Qwen2.5-0.5B`."""
    kind = KINDS.get(state.job, "Run")
    return f"{kind} of {state.model.model}" if state.model is not None else f"{kind} {state.run}"


def _verdict(state: RunState, report: TrainingReport | None) -> tuple[str, str]:
    """(words, class); a failure counts more than the clock."""
    if state.outcome is None:
        return ("lost", "bad") if state.status is RunStatus.LOST else ("no end", "warn")
    if report is not None and report.verdict is not None and state.outcome in ("ok", "late"):
        return VERDICTS[report.verdict]
    return OUTCOMES[state.outcome]


def _what(state: RunState, report: TrainingReport | None) -> str:
    pieces = [
        f"run {state.run}" if state.run else "",
        report.training.label if report is not None else "",
        f"profile {report.profile}" if report is not None and report.profile else "",
        ", ".join(device.name for device in state.devices),
        f"{clock(state.started_at)} to {clock(state.now, state.started_at)}" if state.started_at else "",
    ]
    return " · ".join(piece for piece in pieces if piece)


def _tiles(state: RunState, report: TrainingReport | None) -> Markup:
    if report is None:
        tiles = [_tile("took", format_span(state.t), ""), *_trials(state.study)]
    else:
        tiles = [_steps(report), _tile("took", format_span(report.elapsed_seconds), _pace(report)),
                 _learned(report), _deadline(report), _estimated(report)]  # fmt: skip
    return tag("div", *(tile for tile in tiles if tile), class_="tiles")


def _trials(study: StudyState | None) -> list[Markup]:
    """How many were tried, and what the best of them does."""
    if study is None:
        return []
    finished = sum(row.status.finished for row in study.rows)
    tiles = [_tile("trials", f"{finished} of {len(study.rows)}", f"mode {study.mode}")]
    row = study.row(study.best) if study.best is not None else None
    result = row.result if row is not None else None
    if row is None or result is None or result.measurement is None:
        return tiles
    rate = f"{format_count(result.measurement.samples_per_second)} samples/s"
    speed = _tile("speed", rate, f"full run {format_span(result.full_run_seconds)}")
    name = "planned with" if study.mode == PLAN else "best"
    return [*tiles, _tile(name, f"#{row.candidate.id}", row.candidate.label), speed]


def _tile(name: str, figure: str, more: str) -> Markup:
    return tag("div", tag("i", name), tag("b", figure), tag("em", more) if more else EMPTY, class_="tile")


def _steps(report: TrainingReport) -> Markup:
    of = "" if report.steps == report.total_steps else f" of {report.total_steps:,}"
    return _tile("steps", f"{report.steps:,}{of}", end_words(report))


def _pace(report: TrainingReport) -> str:
    mean = report.training.step_totals.mean_seconds
    return f"{format_seconds(mean)} a step" if mean is not None else ""


def _learned(report: TrainingReport) -> Markup:
    training = report.training
    if report.best is not None and report.best.loss is not None:
        metrics = evaluation_words(report.best).partition(", ")[2]
        more = ", ".join(piece for piece in (f"step {report.best.step:,}", metrics) if piece)
        return _tile("best evaluation", format_figure(report.best.loss), more)
    if training.nonfinite is not None:
        return _tile("loss at last", "not finite", f"from step {training.nonfinite.since:,} on")
    return _tile("loss at last", format_figure(report.last_loss), "") if report.last_loss is not None else EMPTY


def _deadline(report: TrainingReport) -> Markup:
    spare, window = report.spare_seconds, report.state.window
    if spare is None or window is None:
        return EMPTY
    more = f"{'before' if spare >= 0 else 'after'} the deadline at {clock(window.deadline, report.ended_at)}"
    return _tile("to spare" if spare >= 0 else "late by", format_span(abs(spare)), more)


def _estimated(report: TrainingReport) -> Markup:
    comparison = report.comparison
    if comparison.accuracy is None or comparison.judgement is None:
        return EMPTY
    return _tile("estimate / actual", f"{comparison.accuracy * 100:.1f} %", JUDGEMENTS[comparison.judgement])


def page_foot(state: RunState) -> Markup:
    """What made it and from what."""
    version = state.versions.get("speedtui", "")
    return tag("footer", join([f"Made by speedtui {version}".strip(), f" from the event log of run {state.run}."]))
