"""A plan of a run that generates and scores: what it counts, what it learns from the run, and its budget."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Settings
from speedtui.engine.config.window import Window
from speedtui.engine.context.order import PlanOrder
from speedtui.engine.errors import ExitCode
from speedtui.engine.jobs.plan import measuring_seconds
from speedtui.engine.plan_types import Plan, ProfileRow
from speedtui.engine.session.start import StartOptions, start_plan, start_training
from tests.engine.session.conftest import Driven

METRIC = "import time\ndef score(prediction, reference):\n    time.sleep(0.05)\n    return 1.0\n"
EVAL_ROWS = 16
MILLISECOND = 1e-3
"""As exactly as the log tells it."""
FAST = "fast"


class Planner:
    """Plans and trains below one folder with a history of its own."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings
        self.driven: list[Driven] = []

    def plan(self, *, measure: bool = True, **values: Any) -> tuple[Plan, Driven]:
        order = PlanOrder(profile=FAST, measure=measure, written=("train.effective_batch_size",))
        settings = with_values(self.settings, {key.replace("__", "."): value for key, value in values.items()}, "test")
        driven = self._drive(start_plan(settings, self.options, order))
        state = driven.end(240)
        assert state.plan is not None, state.reason
        return state.plan, driven

    def train(self, plan: Plan) -> Driven:
        row = row_of(plan)
        settings = with_values(self.settings, row.values, "test")
        return self._drive(start_training(settings, self.options, profile=FAST, estimate=row.estimate))

    @property
    def options(self) -> StartOptions:
        return StartOptions(
            runs=self.folder / "runs", where="test", train_command=["speedtui", "train"], in_thread=True
        )

    def _drive(self, session: Any) -> Driven:
        driven = Driven(session)
        self.driven.append(driven)
        return driven


def row_of(plan: Plan, profile: str = FAST) -> ProfileRow:
    return next(row for row in plan.profiles if row.profile == profile)


@pytest.fixture(scope="module")
def planner(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planner]:
    from tests.engine.session.conftest import settings as of_material

    folder = tmp_path_factory.mktemp("planned")
    (folder / "metric.py").write_text(METRIC)
    settings: Settings = of_material.__wrapped__(material)
    schedule = msgspec.structs.replace(
        settings.schedule, generate=True, beams=2, max_new_tokens=8, metric=f"{folder / 'metric.py'}:score",
        metric_threads=4, eval_every="6 steps", checkpoint_every="never",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        yield Planner(folder, msgspec.structs.replace(settings, schedule=schedule))


@pytest.fixture(scope="module")
def planned(planner: Planner) -> tuple[Plan, Driven]:
    return planner.plan()


@pytest.fixture(scope="module")
def trained(planner: Planner, planned: tuple[Plan, Driven]) -> Driven:
    driven = planner.train(planned[0])
    driven.end(120)
    assert driven.exit_code is ExitCode.DONE
    return driven


def test_every_profile_counts_answers_and_metric(planned: tuple[Plan, Driven]) -> None:
    plan, _ = planned
    for row in plan.profiles:
        assert row.estimate is not None and row.estimate.unmeasured == ()
        assert row.answers_source == "measured" and row.answer_tokens is not None
        full = row.estimate.evals
        assert row.estimate.terms["generate"] == pytest.approx(full * (row.generate_seconds or 0.0))
        assert row.estimate.terms["metric"] == pytest.approx(full * (row.metric_seconds or 0.0))
        assert row.metric_seconds is not None and row.metric_seconds >= EVAL_ROWS * 0.05 / 4


def test_the_schedules_differ_by_the_answers_they_leave_out(planned: tuple[Plan, Driven]) -> None:
    plan, _ = planned
    full, fast, ultra = plan.schedules
    row = row_of(plan)
    assert row.estimate is not None
    answers = (row.generate_seconds or 0.0) + (row.metric_seconds or 0.0)
    epochs = row.estimate.total_steps / (240 / 8)
    assert full.total_seconds - fast.total_seconds > 0 or epochs < 1
    assert full.total_seconds - ultra.total_seconds >= answers


def test_the_plan_says_when_it_will_be_done(planned: tuple[Plan, Driven]) -> None:
    told = [x for x in planned[1].events(e.ProgressMade) if x.what == "measuring profiles"]
    tried = len(planned[1].events(e.TrialFinished))  # profiles with the same steps are tried once
    assert told and told[0].done == 0 and told[0].total == tried
    assert all(x.left_seconds is not None and 0 <= x.left_seconds <= 600 for x in told)


def test_the_training_goes_by_the_plans_answers_until_it_has_its_own(
    planned: tuple[Plan, Driven], trained: Driven
) -> None:
    (rehearsed,) = trained.events(e.EvaluationRehearsed)
    row = row_of(planned[0])
    assert rehearsed.expected_phases["generate"] == pytest.approx(row.generate_seconds, abs=MILLISECOND)
    assert rehearsed.expected_phases["metric"] == pytest.approx(row.metric_seconds, abs=MILLISECOND)


def test_the_next_plan_counts_what_the_run_took(planner: Planner, trained: Driven) -> None:
    done = [x for x in trained.events(e.EvaluationCompleted) if x.kind == "full"]
    took = {name: sum(x.phases[name] for x in done) / len(done) for name in ("generate", "metric")}
    plan, _ = planner.plan(measure=False)
    row = row_of(plan)
    assert row.answers_source == "history" and row.answers_age_seconds is not None
    assert row.generate_seconds == pytest.approx(took["generate"], rel=0.01)
    assert row.metric_seconds == pytest.approx(took["metric"], rel=0.01)
    assert row.estimate is not None and row.estimate.unmeasured == ()


def test_another_search_of_answers_is_not_measured_and_so_never_fits(planner: Planner, trained: Driven) -> None:
    plan, _ = planner.plan(measure=False, schedule__beams=3, window__length="10h")
    row = row_of(plan)
    assert row.estimate is not None and row.estimate.unmeasured == ("answers", "the metric")
    assert {row.fit for row in plan.profiles} == {"unknown"}
    assert {row.fit for row in plan.schedules[:2]} == {"unknown"} and plan.schedules[2].fit == "fits"
    assert plan.goals == []


def test_a_plan_ends_within_its_budget_and_names_what_was_not_measured(planner: Planner, trained: Driven) -> None:
    plan, driven = planner.plan(search__budget="0.01s", train__learning_rate=1e-3)
    assert driven.exit_code is ExitCode.DONE
    assert all("not measured within the plan's " in row.note for row in plan.profiles)
    assert {row.source for row in plan.profiles} == {"history"}
    (started,) = driven.events(e.StudyStarted)
    assert started.budget_seconds == 0.01


def test_a_plan_of_a_number_of_steps_says_the_epochs_that_they_come_to(planner: Planner, trained: Driven) -> None:
    plan, _ = planner.plan(measure=False, train__max_steps=12, train__epochs=3.0)
    assert {row.epochs for row in plan.profiles} == {12 * 8 / 240}


def test_a_plan_is_one_of_profiles_and_calls_none_of_them_the_best(planned: tuple[Plan, Driven]) -> None:
    plan, driven = planned
    (finished,) = driven.events(e.StudyFinished)
    trials = {x.candidate.id: x.candidate for x in driven.events(e.CandidateAdded)}
    assert trials[finished.best].micro_batch_size == row_of(plan).micro_batch_size
    script = (driven.session.folder.path / "train.sh").read_text()
    assert f"--plan {driven.session.folder.id}" in script
    assert json.loads((driven.session.folder.path / "report.json").read_text())["profile"] == FAST


@pytest.mark.parametrize(
    ("budget", "window", "seconds"),
    [(None, None, 600.0), ("90s", None, 90.0), (None, 12 * 3600.0, 600.0), (None, 3600.0, 360.0), (None, 600.0, 60.0),
     (None, 60.0, 60.0), ("20m", 600.0, 1200.0)],
)  # fmt: skip
def test_a_plan_measures_for_ten_minutes_or_a_tenth_of_a_short_window(
    budget: str | None, window: float | None, seconds: float
) -> None:
    until = None if window is None else Window(deadline=5000.0 + window + 300.0, margin_seconds=300.0)
    assert measuring_seconds(budget, until, 5000.0) == seconds
