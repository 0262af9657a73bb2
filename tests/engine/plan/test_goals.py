from __future__ import annotations

import random
from typing import Any

import pytest

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Settings
from speedtui.engine.plan.goals import _largest, seek_goals
from speedtui.engine.plan_types import Goal
from tests.engine.plan.estimators import NOW, STEPS_PER_EPOCH, estimator, settings, window


def goals(seconds: float, asked: Settings | None = None, **figures: Any) -> dict[str, Goal]:
    found = seek_goals(asked or settings(), estimator(**figures), window(seconds), NOW, STEPS_PER_EPOCH)
    return {goal.what: goal for goal in found}


def test_the_most_evaluations_that_fit() -> None:
    # P90 is 1.05 x P50, so 600 s hold a P50 of 571.4: 440 s without evaluations and 4 of 30 s
    goal = goals(600.0)["evals"]
    assert (goal.value, goal.text) == (4, "an evaluation every 100 steps (4 of them)")
    assert goal.values == {"schedule.eval_every": "100 steps"}


def test_one_evaluation_and_one_after_every_step() -> None:
    assert goals(500.0)["evals"].text == "one evaluation, at the end"
    each = goals(20_000.0)["evals"]
    assert each.value == 400
    assert each.text == "an evaluation after each of the 400 steps: the time allows more than there are steps"


def test_no_evaluation_fits_with_and_without_a_run_that_does() -> None:
    fits = goals(470.0)["evals"]
    assert (fits.value, fits.text) == (0, "no evaluation fits: the run fits without any")
    assert fits.values == {"schedule.eval_every": "never"}
    late = goals(400.0)["evals"]  # 1.05 x 440 = 462
    assert late.text == "no evaluation fits: without any it is 1m 02s past the safe finish (P90)"


def test_evaluations_that_cost_nothing_known_have_no_limit_to_name() -> None:
    assert "evals" not in goals(600.0, evaluation=0.0)
    found = seek_goals(settings(), estimator(evaluation=None), window(600.0), NOW, STEPS_PER_EPOCH)
    assert [goal.what for goal in found] == ["epochs", "steps"]


def test_the_most_epochs_to_a_tenth_and_the_most_steps() -> None:
    # a P50 of 1000 / 1.05 = 952.4: 6.8 epochs take 680 + 7 x 30 + 6 x 5 + 25 = 945, 6.9 take 955; 687 steps 952
    found = goals(1000.0)
    assert (found["epochs"].value, found["epochs"].text) == (6.8, "6.8 epochs (as planned here: 4)")
    assert found["epochs"].values == {"train.epochs": 6.8}
    assert (found["steps"].value, found["steps"].text) == (687, "687 steps, which is 6.87 epochs")
    assert found["steps"].values == {"train.max_steps": 687}


def test_fewer_epochs_than_asked_for_are_found_too() -> None:
    # a P50 of 285.7: 2 epochs take 200 + 60 + 5 + 25 = 290, 1.9 take 280
    assert goals(300.0)["epochs"].value == 1.9


def test_where_nothing_fits_the_goal_is_zero_and_says_by_how_much() -> None:
    found = goals(20.0)  # a tenth of an epoch: 10 + 30 + 25 = 65, P90 68.25; a step: 56, P90 58.8
    assert (found["epochs"].value, found["steps"].value, found["evals"].value) == (0, 0, 0)
    assert found["epochs"].text == "no epochs fit: a tenth of one is 48s past the safe finish (P90)"
    assert found["steps"].text == "no steps fit: a single one is 39s past the safe finish (P90)"
    assert found["epochs"].values == {}


def test_where_everything_fits_the_text_says_that_the_window_is_no_limit() -> None:
    found = goals(10_000.0, step=0.0, evaluation=0.0, save=0.0)
    assert found["epochs"].text == "100 epochs and more: the window is no limit"
    assert found["steps"].text == "10000 steps and more: the window is no limit"


def test_many_epochs_are_whole_ones() -> None:
    # a P50 of 1904.8: 13 epochs take 1300 + 13 x 30 + 12 x 5 + 25 = 1775, 13.6 take 1865, 14 take 1910
    assert goals(2000.0)["epochs"].text == "13 epochs (as planned here: 4)"


def test_epochs_are_no_goal_where_steps_override_them() -> None:
    found = goals(1000.0, settings(max_steps=250))
    assert set(found) == {"evals", "steps"}
    assert found["steps"].value == 687


def test_there_are_no_goals_without_a_window_or_an_estimate() -> None:
    assert seek_goals(settings(), estimator(), None, NOW, STEPS_PER_EPOCH) == []
    assert seek_goals(settings(), lambda asked: None, window(600.0), NOW, STEPS_PER_EPOCH) == []


@pytest.mark.parametrize("seed", range(40))
def test_the_search_finds_the_last_number_with_room_whatever_the_steps_in_it(seed: int) -> None:
    generator = random.Random(seed)
    highest = generator.choice([1, 2, 50, 10_000])
    fall, jump, every = generator.uniform(0, 3), generator.uniform(0, 200), generator.randint(1, 400)
    budget = generator.uniform(-5, 3000)

    def room(n: int) -> float:
        return budget - fall * n - jump * (n // every)

    expected = max((n for n in range(1, highest + 1) if room(n) >= 0), default=0)
    assert _largest(room, generator.randint(1, 200), highest) == expected


def test_a_goal_asks_for_few_estimates() -> None:
    asked: list[float] = []
    inner = estimator()

    def counted(of: Settings) -> Estimate:
        asked.append(of.train.epochs)
        return inner(of)

    seek_goals(settings(), counted, window(43_200.0), NOW, STEPS_PER_EPOCH)
    assert len(asked) < 40
    assert max(asked) < 2 * 43_200 / 140  # no epoch count far beyond what fits is ever laid out
