from __future__ import annotations

import random

import msgspec
import pytest

from speedtui.engine.advise.rule_input import Actual, RuleInput
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Settings
from speedtui.engine.config.window import Window
from speedtui.engine.plan.goals import seek_goals
from speedtui.engine.plan.numbers import OptimizeRequest
from speedtui.engine.plan.report import VERDICTS
from speedtui.engine.plan_types import ProfileRow
from speedtui.engine.report.files import fits
from speedtui.engine.timing.verdict import SteadyVerdict, judge, judge_ended, judge_finish, spare_seconds
from tests.engine.plan.estimators import NOW, STEPS_PER_EPOCH, estimator, settings, window

HOURS_12 = window(12 * 3600.0, margin=1800.0)  # safe for 41400 s


def takes(p50: float, p90: float) -> Estimate:
    return Estimate(p50_seconds=p50, p90_seconds=p90, terms={"steps": p50}, total_steps=10, evals=0, saves=0)


@pytest.mark.parametrize(
    ("p50", "p90", "fit"),
    [
        (15_000.0, 41_400.0, "fits"),  # P90 at the safe limit itself
        (15_000.0, 41_401.0, "tight"),  # P50 safe, P90 not
        (41_400.0, 50_000.0, "tight"),  # P50 at the safe limit, P90 past the deadline
        (42_000.0, 43_200.0, "tight"),  # P50 inside the margin, P90 at the deadline
        (42_600.0, 43_800.0, "tight"),  # P50 ten minutes before the deadline, P90 ten minutes after it
        (43_200.0, 50_000.0, "tight"),  # P50 at the deadline itself
        (43_201.0, 50_000.0, "late"),
        (50_000.0, 51_000.0, "late"),
    ],
)
def test_it_fits_by_its_p90_is_late_by_its_p50_and_tight_between(p50: float, p90: float, fit: str) -> None:
    assert judge_finish(NOW, takes(p50, p90), HOURS_12) == fit


@pytest.mark.parametrize("margin", [0.0, 600.0, 7200.0])
def test_plan_screen_trials_advice_and_report_say_the_same_of_the_same_finish(margin: float) -> None:
    given = window(12 * 3600.0, margin=margin)
    rng = random.Random(int(margin))
    for _ in range(200):
        p50 = rng.uniform(0.6, 1.2) * 12 * 3600.0
        p90 = p50 * rng.choice((1.0, rng.uniform(1.0, 1.4)))
        estimate = takes(p50, p90)
        planned = judge_finish(NOW, estimate, given)
        assert VERDICTS[planned] == judge(NOW + p50, NOW + p90, given) == running(p50, p90, given)
        assert fits(estimate, given, NOW) == (planned == "fits")
        row = ProfileRow(
            profile="x", description="", label="", values={}, micro_batch_size=1, grad_accum_steps=1, max_length=8,
            epochs=1.0, estimate=estimate, fit=planned,
        )  # fmt: skip
        assert RuleInput(settings=Settings(), row=row, now=NOW, window=given).fit == planned
        ended = RuleInput(settings=Settings(), row=row, now=NOW, window=given, actual=Actual(seconds=p50, phases={}))
        assert ended.fit == judge_finish(NOW, takes(p50, p50), given)


def running(p50: float, p90: float, given: Window) -> str:
    """As a training that has so much before it says it for the first time."""
    return SteadyVerdict().take(judge(NOW + p50, NOW + p90, given), 0.0)


def test_without_an_estimate_or_a_window_there_is_no_verdict() -> None:
    assert judge_finish(NOW, None, HOURS_12) == "unknown"
    assert judge_finish(NOW, takes(1.0, 2.0), None) == "unknown"
    assert spare_seconds(NOW, takes(1.0, 2.0), None) is None


def test_spare_time_runs_from_the_p50_finish_to_the_safe_limit() -> None:
    assert spare_seconds(NOW, takes(15_000.0, 16_000.0), HOURS_12) == 26_400.0
    assert spare_seconds(NOW, takes(42_000.0, 43_000.0), HOURS_12) == -600.0


@pytest.mark.parametrize("left_out", [("answers",), ("the metric",), ("evaluations", "checkpoints")])
def test_what_leaves_out_something_that_nobody_measured_never_fits(left_out: tuple[str, ...]) -> None:
    for p50 in (10.0, 15_000.0, 41_400.0):
        found = msgspec.structs.replace(takes(p50, p50 + 1), unmeasured=left_out)
        assert judge_finish(NOW, found, HOURS_12) == "unknown"
    assert (
        judge_finish(NOW, msgspec.structs.replace(takes(50_000.0, 51_000.0), unmeasured=left_out), HOURS_12) == "late"
    )


def test_goals_are_not_named_where_something_has_no_price() -> None:
    priced = estimator()
    assert seek_goals(settings(), priced, HOURS_12, NOW, STEPS_PER_EPOCH)

    def without(asked: Settings) -> Estimate:
        return msgspec.structs.replace(priced(asked), unmeasured=("answers",))

    assert seek_goals(settings(), without, HOURS_12, NOW, STEPS_PER_EPOCH) == []


@pytest.mark.parametrize("ended", [41_400.0, 41_401.0, 43_200.0, 43_201.0])
def test_a_run_that_is_over_is_judged_alike_by_its_exit_code_its_report_its_trial_and_its_plan(ended: float) -> None:
    verdict = judge_ended(NOW + ended, HOURS_12)
    assert (
        verdict
        == judge(NOW + ended, NOW + ended, HOURS_12)
        == VERDICTS[judge_finish(NOW, takes(ended, ended), HOURS_12)]
    )
    assert judge_ended(NOW + ended, HOURS_12, "deadline") == "late", "it is not done"
    asked = OptimizeRequest(
        rows=1, mean_tokens=1.0, epochs=None, max_hours=12.0, margin_hours=0.5, tokens_per_second=None, history={}
    )
    assert asked.fits(ended) == (verdict == "on_track")
