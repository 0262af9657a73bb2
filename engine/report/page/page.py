"""The whole page."""

from __future__ import annotations

from speedtui.engine.clean import cleaned
from speedtui.engine.report.books import books_rows, closed_books
from speedtui.engine.report.compose import RunExpectation, training_report
from speedtui.engine.report.page.about import configuration_section, machine_section
from speedtui.engine.report.page.head import page_foot, page_head, page_title
from speedtui.engine.report.page.learning import (
    checkpoints_section,
    evaluations_section,
    gaps_section,
    loss_section,
    steps_section,
)
from speedtui.engine.report.page.markup import Markup, join, section, tag
from speedtui.engine.report.page.planned import plan_section
from speedtui.engine.report.page.study import study_section
from speedtui.engine.report.page.style import style_sheet
from speedtui.engine.report.page.time_spent import books_section, costs_section, expected_section
from speedtui.engine.report.record import TrainingReport
from speedtui.engine.state import RunState


def render_page(state: RunState, expected: RunExpectation | None = None) -> str:
    """The report of a run as HTML: of a training, a study, a plan, or of a run that came to neither."""
    state, expected = cleaned(state), cleaned(expected)
    report = training_report(state, expected) if state.training is not None else None
    sections = _training_sections(state, report) if report is not None else _other_sections(state)
    about = [configuration_section(state), machine_section(state)]
    body = tag("main", page_head(state, report), *sections, *about, page_foot(state))
    return "<!DOCTYPE html>\n" + tag("html", _head(state), tag("body", body), lang="en") + "\n"


def _head(state: RunState) -> Markup:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{page_title(state)} – speedtui"),
        tag("style", Markup("\n" + style_sheet())),
    )


def _training_sections(state: RunState, report: TrainingReport) -> list[Markup]:
    return [
        books_section(report.books, report.wall_seconds),
        costs_section(report.costs),
        expected_section(report, alone=state.job == "train"),
        loss_section(report),
        steps_section(report),
        evaluations_section(report),
        checkpoints_section(report),
        gaps_section(report),
        study_section(state),
    ]


def _other_sections(state: RunState) -> list[Markup]:
    books = closed_books(state)
    came_to = [study_section(state), plan_section(state)]
    if not join(came_to):
        came_to = [section("Training", tag("p", "This run ended before a training or a trial began."))]
    return [*came_to, books_section(books_rows(books), books.wall) if books is not None else join([])]
