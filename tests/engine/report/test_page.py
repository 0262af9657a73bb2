from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest
import resvg_py

from speedtui.engine import events as e
from speedtui.engine.config.window import Window
from speedtui.engine.report.compose import RunExpectation
from speedtui.engine.report.page.axes import number_labels, round_step, ticks, time_label, time_ticks
from speedtui.engine.report.page.charts import ChartMark, curve
from speedtui.engine.report.page.markup import Markup, tag
from speedtui.engine.report.page.page import render_page
from speedtui.engine.report.page.planned import plan_section
from speedtui.engine.state import RunState, fold
from tests.engine.events_of_a_run import started
from tests.engine.plan.plans import plan
from tests.engine.report.sample_runs import (
    STARTED_AT,
    SampleTraining,
    estimate,
    killed_training,
    study_alone,
    whole_training,
)

WINDOW = Window(deadline=STARTED_AT + 1500, margin_seconds=120.0)
NASTY = "</title><script>alert('x')</script>&\"<evil>"
WHOLE = render_page(
    fold(whole_training(4, window=WINDOW)), RunExpectation(estimate=estimate(262.0), profile="balanced")
)


class Page(HTMLParser):
    """Text and elements; that every element is closed in its turn is checked on the way."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def count(self, name: str) -> int:
        return sum(tag == name for tag, _ in self.elements)


def test_the_page_holds_every_part_of_the_report() -> None:
    text = Page(WHOLE).text
    for heading in ("Where the time went", "Largest costs",
                    "Estimate against actual", "Loss", "Step time", "Evaluations", "Checkpoints",
                    "Between epochs", "Configuration", "Model, data, machine"):  # fmt: skip
        assert heading in text
    for figure in ("in time", "240", "within the goal of 95-105 %", "NVIDIA H100 80GB HBM3", "profile balanced",
                   "eval_every", "1 epoch", "2.13.0", "100.0", "unaccounted"):  # fmt: skip
        assert figure in text


@pytest.mark.parametrize(
    "events",
    [whole_training(2), whole_training(1), killed_training(1), killed_training(0, steps_after=0), study_alone(),
     [started("train")], []],
    ids=["whole", "one epoch", "killed", "killed at once", "study", "nothing yet", "empty"],
)  # fmt: skip
def test_every_run_makes_a_whole_page_that_needs_nothing_else(events: list[e.AnyEvent]) -> None:
    html = render_page(fold(events))
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert [name for name, _ in page.elements[:1]] == ["html"]
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "a"}
    assert not any(key in ("src", "href", "onload", "onclick") for _, attributes in page.elements for key in attributes)
    assert not re.search(r"url\(|@import|https?:", html)
    assert "nan" not in re.findall(r'(?:x|y|width|height|points)="([^"]*)"', html)


def test_a_run_without_a_training_says_so_and_a_study_shows_its_trials() -> None:
    assert "This run ended before a training or a trial began." in Page(render_page(fold([started("train")]))).text
    page = Page(render_page(fold(study_alone())))
    assert "Trials" in page.text and "#1 mb2 ga8 ok 55" in page.text
    assert "Loss" not in page.text


def test_a_failure_says_its_reason() -> None:
    end = e.RunFinished(t=3.0, outcome="failed", exit_code=1, reason="the model cannot be loaded")
    text = Page(render_page(fold([started("train"), end]))).text
    assert "failed" in text and "the model cannot be loaded" in text


def test_nothing_that_came_from_outside_is_markup() -> None:
    run = SampleTraining(epochs=1, name=NASTY)
    config = {"model": {"path": NASTY, NASTY: NASTY}}
    begin, *rest = run.begin()
    assert isinstance(begin, e.RunStarted)
    nasty = [started("train", run=NASTY, host=NASTY, config=config, versions={NASTY: NASTY}), *rest, *run.epoch(1)]
    end = e.RunFinished(t=run.t, outcome="failed", exit_code=1, reason=NASTY)
    html = render_page(fold([*nasty, end]), RunExpectation(profile=NASTY))
    page = Page(html)
    assert not {"script", "evil"} & {name for name, _ in page.elements}
    assert page.text.count(NASTY) >= 8, "it is shown as it stands: title, run, profile, host, settings, versions"


def test_an_attribute_and_a_text_are_escaped_and_markup_is_not() -> None:
    made = tag("p", "a < b", Markup("<i>c</i>"), class_='x" onload="y', data_n=1.25)
    assert made == '<p class="x&quot; onload=&quot;y" data-n="1.2">a &lt; b<i>c</i></p>'
    assert tag("br") == "<br>"


def test_a_page_stays_small_however_many_evaluations_there_were() -> None:
    run = SampleTraining(epochs=1)
    events = [*run.begin(), *(event for n in range(1, 2001) for event in (run.step(n), run.evaluate(n), run.save(n)))]
    html = render_page(fold(events))
    assert len(html) < 150_000
    assert html.count("<tr") < 100
    assert "more are not shown" in html


def test_the_drawings_are_drawings() -> None:
    page = Page(WHOLE)
    assert page.count("svg") == 4
    for svg in re.findall(r"<svg.*?</svg>", WHOLE, re.DOTALL):
        standing_alone = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        assert bytes(resvg_py.svg_to_bytes(svg_string=standing_alone))[:4] == b"\x89PNG"


def test_the_pieces_of_the_books_bar_fill_it() -> None:
    bar = re.findall(r"<svg.*?</svg>", WHOLE, re.DOTALL)[0]
    widths = [float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', bar)]
    assert sum(widths) == pytest.approx(930, abs=1.5 * len(widths) * 0.3)


def test_a_curve_of_one_point_and_of_none() -> None:
    assert curve([], last_step=10, what="Loss", colour="steps") == ""
    assert "<circle" in curve([(1, 2.0)], last_step=10, what="Loss", colour="steps")
    flat = curve(
        [(1, 2.0), (10, 2.0)], last_step=10, what="Loss", colour="steps", marks=[ChartMark(x=5, y=2.0, title="m")]
    )
    assert "<polyline" in flat and "nan" not in flat


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [(0, 10, 5, [0, 2, 4, 6, 8, 10]), (0.31, 0.42, 5, [0.325, 0.35, 0.375, 0.4]), (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]),
     (3, 3, 5, [3])],
)  # fmt: skip
def test_ticks_are_round_and_inside(low: float, high: float, most: int, expected: list[float]) -> None:
    assert ticks(low, high, most) == pytest.approx(expected)


def test_steps_between_ticks_are_round() -> None:
    assert [round_step(span, 5) for span in (1, 7, 12, 260)] == pytest.approx([0.2, 2, 2.5, 100])


def test_tick_labels_tell_them_apart() -> None:
    assert number_labels([0.325, 0.35, 0.375]) == ["0.325", "0.350", "0.375"]
    assert number_labels([0, 200, 1000]) == ["0", "200", "1,000"]
    assert number_labels([0, 20000]) == ["0", "20.0k"]


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [(40, ["0", "5s", "10s"]), (1248, ["0", "5m", "10m"]), (43200, ["0", "2h", "4h"]), (8e5, ["0", "2d", "4d"])],
)
def test_time_is_marked_at_times_that_people_read(seconds: float, labels: list[str]) -> None:
    assert [time_label(mark) for mark in time_ticks(seconds, 9)][:3] == labels


def test_the_empty_state_has_a_page() -> None:
    assert "Run" in Page(render_page(RunState())).text


def test_a_plan_is_tables_and_lists_with_the_one_planned_with_in_bold() -> None:
    made = plan()
    state = msgspec.structs.replace(fold(study_alone()), plan=made, next="Train as planned: sh train.sh")
    html = plan_section(state)
    shown = Page(html)
    names = [name for name, _ in shown.elements]
    assert "pre" not in names and names.count("table") >= 3 and "dl" in names
    assert sum(attributes.get("class") == "best" for name, attributes in shown.elements if name == "tr") >= 1
    text = " ".join(shown.texts)
    for row in made.profiles:
        assert row.profile in text
    assert "Train as planned: sh train.sh" in text
