from __future__ import annotations

import msgspec
import pytest

from speedtui.engine.advise.advise import advise
from speedtui.engine.advise.rule_input import Actual, MemoryOption, RuleInput
from speedtui.engine.advise.words import age_words, change_words
from speedtui.engine.config.settings import ScheduleSettings
from tests.engine.advise.cases import (
    GIB,
    HOUR,
    MINUTE,
    SETTINGS,
    case,
    epochs,
    estimate,
    grouping,
    row,
    spacing,
)


def too_large(*options: MemoryOption) -> RuleInput:
    needs = row("balanced", 6.0, "no_memory", memory_fits=False, peak_bytes=30 * GIB, limit_bytes=24 * GIB)
    return case(None, "no_memory", row=needs, memory_options=list(options))


def option(gib: float, *, fits: bool, hours: float | None = None, **values: int | bool) -> MemoryOption:
    paths = {"micro": "train.micro_batch_size", "ckpt": "train.gradient_checkpointing", "length": "data.max_length"}
    return MemoryOption(
        values={paths[name]: value for name, value in values.items()},
        peak_bytes=int(gib * GIB),
        fits=fits,
        seconds=hours * HOUR if hours is not None else None,
    )


def test_what_does_not_fit_in_memory_is_told_the_changes_that_do_the_fastest_first_and_cutting_last() -> None:
    found = advise(
        too_large(
            option(16, fits=True, hours=5, length=1024),
            option(20, fits=True, hours=7, micro=4),
            option(26, fits=False, hours=6, ckpt=True, micro=16),
            option(14, fits=True, hours=6.5, ckpt=True),
        )
    )
    assert [advice.changes for advice in found] == [
        {"train.gradient_checkpointing": True},
        {"train.micro_batch_size": 4},
        {"data.max_length": 1024},
    ]
    assert {advice.kind for advice in found} == {"will_not_fit"}
    assert found[0].evidence == "needs 30.0 GiB of 24.0 GiB; this needs 14.0 GiB, the run takes 6h 30m"
    assert found[0].lever == "train.gradient_checkpointing false → true"
    assert found[2].lever == "data.max_length 2048 → 1024 (longer samples are cut)"
    assert found[0].gain_seconds is None


def test_where_nothing_fits_in_memory_the_smallest_is_named_and_so_is_the_way_out() -> None:
    (advice,) = advise(too_large(option(28, fits=False, micro=4), option(25, fits=False, micro=1)))
    assert advice.evidence == (
        "needs 30.0 GiB of 24.0 GiB; even train.micro_batch_size 8 → 1 "
        "(accumulation 2 → 16, the effective batch stays 16) needs 25.0 GiB"
    )
    assert advice.lever == "take a smaller model, or a device with more memory"
    assert advice.changes == {}


def test_memory_comes_before_any_gain() -> None:
    both = msgspec.structs.replace(too_large(option(20, fits=True, micro=4)), savings=[grouping(60)])
    assert [advice.kind for advice in advise(both)] == ["will_not_fit", "wasteful"]


def test_less_than_half_of_the_window_buys_the_quality_profile_or_the_epochs_that_fit() -> None:
    quality = row("quality", 6.0, "fits", values={"data.max_length": 4096})
    found = advise(case(3.0, "fits", alternatives=[quality], goals=[epochs(7.4)]))
    assert [advice.kind for advice in found] == ["too_fast", "too_fast"]
    assert found[0].lever == "take the profile quality: data.max_length 2048 → 4096"
    assert found[0].evidence == ("the run takes 3h 00m, 38 % of the window; the profile quality takes 6h 00m and fits")
    assert found[1].lever == "train up to 7.4 epochs instead of 3, as long as the evaluation loss falls"
    assert found[1].changes == {"train.epochs": 7.4}


@pytest.mark.parametrize("hours", [4.0, 6.9])
def test_half_of_the_window_and_more_is_not_too_fast(hours: float) -> None:
    assert advise(case(hours, "fits", goals=[epochs(9.0)])) == []


def test_a_quality_profile_that_does_not_fit_is_not_recommended() -> None:
    assert advise(case(3.0, "fits", alternatives=[row("quality", 12.0, "late")], goals=[epochs(3.0)])) == []


@pytest.mark.parametrize(("estimated", "off"), [(8.4, True), (8.5, False), (11.5, False), (11.6, True)])
def test_an_estimate_is_off_outside_of_85_to_115_percent(estimated: float, off: bool) -> None:
    ran = case(estimated, "unknown", window=None, actual=Actual(seconds=10 * HOUR))
    assert [advice.kind for advice in advise(ran)] == (["estimate_off"] if off else [])


def test_an_estimate_that_was_off_names_the_term_that_was_and_what_to_do() -> None:
    planned = row("balanced", None, "unknown", estimate=estimate(4.0, evals=20 * MINUTE, final=60.0),
                  source="history", source_age_seconds=12.5 * 86400)  # fmt: skip
    phases = {"forward": 1.5 * HOUR, "backward": 2 * HOUR, "data": 600.0, "eval": 80 * MINUTE, "checkpoint": 60.0}
    (advice,) = advise(case(None, "unknown", row=planned, window=None, actual=Actual(seconds=5 * HOUR, phases=phases)))
    assert advice.evidence == (
        "took 5h 00m, estimated 4h 00m: accuracy 80 %; most of it in evals: 1h 20m instead of 20m 00s"
    )
    assert advice.lever == "tune again: the estimate came from an earlier measurement, which was 12 days old"


@pytest.mark.parametrize("left_out", [(), ("answers",)])
def test_answers_that_took_longer_than_expected_are_not_blamed_on_the_length_curve(left_out: tuple[str, ...]) -> None:
    expected = msgspec.structs.replace(estimate(4.0, evals=20 * MINUTE), unmeasured=left_out)
    planned = row("balanced", None, "unknown", estimate=expected, source="measured")
    phases = {"forward": 1.5 * HOUR, "backward": 2 * HOUR, "eval": 20 * MINUTE, "generate": 2 * HOUR}
    (advice,) = advise(case(None, "unknown", row=planned, window=None, actual=Actual(seconds=6 * HOUR, phases=phases)))
    instead = "what nobody had measured" if left_out else "0s"
    assert advice.evidence.endswith(f"most of it in generate: 2h 00m instead of {instead}")
    assert (
        advice.lever == "plan again: what this run's answers and metric took is known now, and the next plan counts it"
    )


def test_padding_is_a_waste_above_a_fifth_with_the_minutes_that_grouping_saves() -> None:
    (advice,) = advise(case(6.0, "fits", savings=[grouping(40)]))
    assert advice.evidence == (
        "38 % of the padded tokens are padding, 6 % with this: saves 40m 00s, computed from the lengths"
    )
    assert (advice.changes, advice.gain_seconds) == ({"train.group_by_length": True}, 40 * MINUTE)
    assert advise(case(6.0, "fits", savings=[grouping(40, before=0.19)])) == []
    assert advise(case(6.0, "fits", savings=[grouping(3)])) == []  # under 1 % of six hours


def test_padding_that_was_only_measured_promises_no_minutes() -> None:
    (advice,) = advise(case(6.0, "fits", padding_fraction=0.38))
    assert (advice.changes, advice.gain_seconds) == ({"train.group_by_length": True}, None)
    grouped = msgspec.structs.replace(SETTINGS, train=msgspec.structs.replace(SETTINGS.train, group_by_length=True))
    assert advise(case(6.0, "fits", padding_fraction=0.38, settings=grouped)) == []


def test_evaluations_over_a_tenth_of_the_run_are_spaced_out_just_enough() -> None:
    rows = [
        spacing("1 epoch", 500, 6, 72 * MINUTE, 6 * HOUR, "fits", current=True),
        spacing("2 epochs", 1000, 3, 30 * MINUTE, 5.3 * HOUR, "fits"),
        spacing("1500 steps", 1500, 1, 10 * MINUTE, 4.9 * HOUR, "fits"),
        spacing("never", None, 0, 0.0, 4.8 * HOUR, "fits"),
    ]
    (advice,) = advise(case(6.0, "fits", frequencies=rows))
    assert advice.changes == {"schedule.eval_every": "2 epochs"}
    assert advice.evidence == (
        "6 evaluations take 1h 12m, 20 % of the run; 3 evaluations take 30m 00s, 9 % of the run save 42m 00s"
    )
    assert advice.gain_seconds == pytest.approx(42 * MINUTE)


def test_checkpoints_over_three_and_a_half_percent_are_spaced_out() -> None:
    rows = [
        spacing("5m", 20, 70, 1000.0, 6 * HOUR, "fits", current=True, what="checkpoint"),
        spacing("10m", 40, 35, 500.0, 6 * HOUR - 500, "fits", what="checkpoint"),
    ]
    every_5m = msgspec.structs.replace(SETTINGS, schedule=ScheduleSettings(checkpoint_every="5m"))
    (advice,) = advise(case(6.0, "fits", frequencies=rows, settings=every_5m))
    assert advice.lever == "save a checkpoint every 10m instead of every 5m"
    assert (advice.changes, advice.gain_seconds) == ({"schedule.checkpoint_every": "10m"}, 500.0)


def test_waiting_for_data_says_what_it_costs_at_most_and_claims_no_gain() -> None:
    (advice,) = advise(case(6.0, "fits", step_phases={"data": 0.1, "forward": 0.1, "backward": 0.2}))
    assert advice.evidence == "25 % of a step waits for the loader, at most 1h 30m of the run"
    assert (advice.changes, advice.gain_seconds) == ({"train.loader_workers": 2}, None)
    assert advise(case(6.0, "fits", step_phases={"data": 0.01, "forward": 0.3})) == []


def test_a_setting_is_advised_on_once_and_by_what_is_more_urgent() -> None:
    rows = [
        spacing("1 epoch", 500, 3, 60 * MINUTE, 8 * HOUR, "late", current=True),
        spacing("2 epochs", 1000, 2, 40 * MINUTE, 8 * HOUR - 20 * MINUTE, "late"),
        spacing("1500 steps", 1500, 1, 20 * MINUTE, 8 * HOUR - 40 * MINUTE, "fits"),
    ]
    found = advise(case(8.0, "late", savings=[grouping(70)], frequencies=rows))
    assert [(advice.kind, advice.changes) for advice in found] == [
        ("too_slow", {"schedule.eval_every": "1500 steps"}),
        ("too_slow", {"train.group_by_length": True}),
    ]


def test_a_change_in_words_leaves_out_what_is_so_already() -> None:
    assert change_words(SETTINGS, {"train.epochs": 3.0, "train.max_steps": 100}) == "train.max_steps unset → 100"
    assert change_words(SETTINGS, {"recipe.ddpm_mul": 4}) == "recipe.ddpm_mul unset → 4"


@pytest.mark.parametrize(
    ("seconds", "words"), [(50, "50s"), (3600, "1 hour"), (86_399, "23 hours"), (90_000, "1 day"), (172_800, "2 days")]
)
def test_an_age_is_said_in_its_largest_unit(seconds: float, words: str) -> None:
    assert age_words(seconds) == words
