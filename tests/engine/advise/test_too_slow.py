from __future__ import annotations

import msgspec
import pytest

from speedtui.engine.advise.advise import advise
from speedtui.engine.advise.rule_input import Actual
from speedtui.engine.plan_types import Advice, Fit, FrequencyRow, Goal
from tests.engine.advise.cases import HOUR, MINUTE, SETTINGS, WINDOW, case, epochs, grouping, row, spacing


def evaluations(*, enough: bool) -> list[FrequencyRow]:
    """Of a run of 8 hours: 3 evaluations of 20 minutes."""
    fit: Fit = "fits" if enough else "late"
    return [
        spacing("0.5 epochs", 250, 6, 120 * MINUTE, 9 * HOUR, "late"),
        spacing("1 epoch", 500, 3, 60 * MINUTE, 8 * HOUR, "late", current=True),
        spacing("2 epochs", 1000, 2, 40 * MINUTE, 8 * HOUR - 20 * MINUTE, "late"),
        spacing("1500 steps", 1500, 1, 20 * MINUTE, 8 * HOUR - 40 * MINUTE, fit),
        spacing("never", None, 0, 0.0, 7 * HOUR, "fits"),
    ]


def one(found: list[Advice], setting: str) -> Advice:
    (advice,) = [advice for advice in found if setting in advice.changes]
    return advice


def test_a_run_that_fits_or_has_no_window_is_not_too_slow() -> None:
    assert advise(case(6.0, "fits", savings=[grouping(3)], goals=[epochs(2.0)])) == []
    assert advise(case(9.0, "unknown", window=None, savings=[grouping(3)], goals=[epochs(2.0)])) == []


def test_the_least_costly_change_that_is_enough_comes_first_and_the_others_by_their_gain() -> None:
    # P90 is 8.5 hours, an hour more than is safe; 2.5 of 3 epochs take a sixth less of 8 hours
    found = advise(
        case(
            8.0,
            "late",
            frequencies=[spacing for spacing in evaluations(enough=False) if spacing.count],
            savings=[grouping(70)],
            alternatives=[row("fast", 4.0, "fits", values={"data.max_length": 1024}), row("quality", 12.0, "late")],
            goals=[epochs(2.5)],
        )
    )
    assert [next(iter(advice.changes)) for advice in found] == [
        "train.group_by_length",
        "data.max_length",
        "train.epochs",
        "schedule.eval_every",
    ]
    assert [advice.gain_seconds for advice in found] == pytest.approx([70 * MINUTE, 4 * HOUR, 80 * MINUTE, 40 * MINUTE])
    assert found[0].evidence == (
        "P90 finish 1h 00m past the latest safe one; this saves 1h 10m: the least costly change that fits"
    )
    assert found[0].lever == "train.group_by_length false → true (a less random order)"
    assert found[1].lever == "take the profile fast: data.max_length 2048 → 1024"
    assert found[2].lever == "train 2.5 epochs instead of 3"
    assert found[3].lever == "evaluate only at the end instead of every 1 epoch"
    assert found[3].evidence.endswith("this saves 40m 00s: 20m 00s are still missing")


def test_evaluations_stay_as_frequent_as_the_window_allows() -> None:
    rows = evaluations(enough=True)
    assert one(advise(case(8.0, "late", frequencies=rows)), "schedule.eval_every").changes == {
        "schedule.eval_every": "1500 steps"
    }
    none_but_never = evaluations(enough=False)
    advice = one(advise(case(8.0, "late", frequencies=none_but_never)), "schedule.eval_every")
    assert (advice.lever, advice.changes) == ("do not evaluate", {"schedule.eval_every": "never"})
    assert advice.gain_seconds == 60 * MINUTE


def test_of_the_faster_profiles_that_fit_the_one_that_gives_up_least_is_named() -> None:
    others = [row("fast", 3.0, "fits"), row("memory-efficient", 5.0, "fits"), row("other", 7.9, "late")]
    others[1] = msgspec.structs.replace(others[1], values={"train.micro_batch_size": 4})
    (advice,) = advise(case(8.0, "late", alternatives=others))
    assert advice.lever == (
        "take the profile memory-efficient: "
        "train.micro_batch_size 8 → 4 (accumulation 2 → 4, the effective batch stays 16)"
    )
    assert advice.gain_seconds == 3 * HOUR


def test_a_profile_that_does_not_fit_in_memory_is_no_way_out() -> None:
    assert advise(case(8.0, "late", alternatives=[row("fast", 3.0, "no_memory", memory_fits=False)])) == []


def test_steps_are_cut_where_they_decide_the_length() -> None:
    settings = msgspec.structs.replace(SETTINGS, train=msgspec.structs.replace(SETTINGS.train, max_steps=1500))
    goals = [
        Goal(what="epochs", value=2.0, text="", values={"train.epochs": 2.0}),
        Goal(what="steps", value=1200, text="", values={"train.max_steps": 1200}),
    ]
    (advice,) = advise(case(8.0, "late", settings=settings, goals=goals))
    assert advice.lever == "train 1200 steps instead of 1500"
    assert advice.gain_seconds == pytest.approx(8 * HOUR / 5)


def test_a_run_that_is_tight_is_helped_too_and_one_that_nothing_helps_gets_no_advice() -> None:
    assert advise(case(7.2, "tight", goals=[epochs(2.9)]))[0].kind == "too_slow"
    assert advise(case(8.0, "late", goals=[epochs(0.0)], savings=[grouping(-5)])) == []


def test_a_run_that_ended_late_is_judged_by_when_it_ended() -> None:
    late = case(6.0, "fits", actual=Actual(seconds=9 * HOUR), savings=[grouping(30)])
    found = [advice for advice in advise(late) if advice.kind == "too_slow"]
    assert WINDOW.deadline - WINDOW.margin_seconds + 1.5 * HOUR == late.now + 9 * HOUR
    assert found[0].evidence.startswith("finish 1h 30m past the latest safe one; this saves 30m 00s")
