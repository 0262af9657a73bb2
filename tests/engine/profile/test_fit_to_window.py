from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Settings
from speedtui.engine.plan_types import Change
from speedtui.engine.profile.apply import values_of
from speedtui.engine.profile.fit import Adjusted, fit_to_window
from tests.engine.profile.synthetic_run import SETTINGS, Run

RUN = Run()
ASKED = RUN.estimate(SETTINGS).p90_seconds
ORDER = ["schedule.eval_every", "schedule.checkpoint_every", "data.max_length", "train.epochs", "train.max_steps"]


def fit(share: float, settings: Settings = SETTINGS, run: Run = RUN) -> Adjusted:
    """Into a share of the time that the run would take."""
    return fit_to_window(settings, run.estimate, run.estimate(settings).p90_seconds * share, run.facts)


def paths(changes: list[Change]) -> list[str]:
    return [change.path for change in changes]


def test_a_run_that_fits_is_left_as_it_is() -> None:
    adjusted = fit(1.0)
    assert (adjusted.settings, adjusted.changes, adjusted.fits) == (SETTINGS, [], True)
    assert adjusted.estimate == RUN.estimate(SETTINGS)


@pytest.mark.parametrize(
    ("share", "wanted"),
    [
        (0.99, ["schedule.eval_every"]),
        (0.97, ["schedule.eval_every", "schedule.checkpoint_every"]),
        (0.963, ["schedule.eval_every", "schedule.checkpoint_every"]),
        (0.96, ["schedule.eval_every", "schedule.checkpoint_every", "data.max_length"]),
        (0.955, ["train.epochs"]),
        (0.6, ["train.epochs"]),
        (0.3, ["train.max_steps"]),
    ],
)
def test_what_costs_least_quality_is_given_up_first(share: float, wanted: list[str]) -> None:
    adjusted = fit(share)
    found = paths(adjusted.changes)
    assert adjusted.fits
    assert set(wanted) <= set(found)
    assert found == sorted(found, key=ORDER.index)
    assert found[-1] == wanted[-1]


@pytest.mark.parametrize("share", [0.99, 0.96, 0.955, 0.9, 0.75, 0.66, 0.5, 0.34, 0.2, 0.05, 0.02])
def test_whatever_the_window_the_run_ends_inside_it_and_the_changes_say_all(share: float) -> None:
    adjusted = fit(share)
    assert adjusted.fits
    assert adjusted.estimate == RUN.estimate(adjusted.settings)
    assert adjusted.estimate.p90_seconds <= ASKED * share
    assert {c.path: c.after for c in adjusted.changes} == values_of(adjusted.settings, SETTINGS)
    assert all(c.gives_up and c.reason for c in adjusted.changes)
    saved = sum(c.saves_seconds or 0 for c in adjusted.changes)
    assert saved == pytest.approx(RUN.estimate(SETTINGS).p50_seconds - adjusted.estimate.p50_seconds)
    assert all(c.saves_seconds is not None and c.saves_seconds > 0 for c in adjusted.changes)


@pytest.mark.parametrize("share", [0.99, 0.96, 0.955, 0.9, 0.75, 0.5, 0.34, 0.2])
def test_nothing_is_given_up_for_nothing(share: float) -> None:
    adjusted = fit(share)
    for change in adjusted.changes:
        others = {c.path: c.after for c in adjusted.changes if c is not change}
        without = with_values(SETTINGS, others, "here")
        assert RUN.estimate(without).p90_seconds > ASKED * share, change.path


def test_evaluations_come_back_when_giving_up_an_epoch_left_room_for_them() -> None:
    adjusted = fit(0.7)
    assert paths(adjusted.changes) == ["train.epochs"]
    assert adjusted.settings.schedule == SETTINGS.schedule
    assert adjusted.settings.train.epochs == 2


def test_no_more_evaluations_are_given_up_than_needed() -> None:
    evals = [fit(share).settings.schedule.eval_every for share in (0.995, 0.99, 0.975)]
    assert evals == ["100 steps", "200 steps", "300 steps"]
    assert fit(0.995).changes[0].reason == "an evaluation every 100 steps instead of every 50 steps"


def test_where_two_are_needed_the_first_is_no_stronger_than_it_must_be() -> None:
    assert {c.path: c.after for c in fit(0.98).changes} == {
        "schedule.eval_every": "100 steps",
        "schedule.checkpoint_every": "30m",
    }


def test_evaluations_by_the_epoch_stay_by_the_epoch() -> None:
    settings = with_values(SETTINGS, {"schedule.eval_every": "0.5 epochs"}, "here")
    assert fit(0.995, settings).settings.schedule.eval_every == "1 epoch"
    assert fit(0.99, settings).settings.schedule.eval_every == "2 epochs"


def test_one_evaluation_at_the_end_is_always_left() -> None:
    for share in (0.9, 0.5, 0.2, 0.05):
        adjusted = fit(share)
        assert adjusted.estimate is not None and adjusted.estimate.evals >= 1


@pytest.mark.parametrize("every", ["15m", "20 steps", "0.25 epochs", "40m"])
def test_checkpoints_are_at_most_two_hours_apart(every: str) -> None:
    run = Run(save_seconds=600, eval_seconds=0)
    settings = with_values(SETTINGS, {"schedule.checkpoint_every": every}, "here")
    slow = run.estimate(settings)
    pace = (slow.p50_seconds - 700) / slow.total_steps  # without loading and the final save
    spacings = []
    for share in (1.0, 0.95, 0.9, 0.85, 0.8):
        spacings.append(fit(share, settings, run).settings.schedule.checkpoint_every)
        frequency = parse_frequency(spacings[-1])
        apart = frequency.seconds or (frequency.steps or (frequency.epochs or 0) * 100) * pace
        assert apart <= 7200
    assert len(set(spacings)) > 1


def test_checkpoints_two_hours_apart_or_never_are_not_spaced_wider() -> None:
    run = Run(save_seconds=600, eval_seconds=0)
    for every in ("2h", "3h", "never", "1 epoch", "100000 steps"):
        settings = with_values(SETTINGS, {"schedule.checkpoint_every": every}, "here")
        assert fit(0.9, settings, run).settings.schedule.checkpoint_every == every


def test_samples_are_cut_at_the_95th_percentile_at_the_lowest_and_how_many_is_told() -> None:
    run = Run(eval_seconds=0, save_seconds=0)
    adjusted = fit(0.9985, run=run)
    assert adjusted.settings.data.max_length == 960
    assert adjusted.changes[0].gives_up == "the ends of 64 of 1,600 rows"
    lengths = {fit(share, run=run).settings.data.max_length for share in (0.9995, 0.999, 0.998, 0.99, 0.9, 0.5, 0.1)}
    assert min(lengths) >= 950
    assert 2000 in lengths  # with an epoch less, the ends of the samples come back


def test_unknown_lengths_and_packs_are_not_cut() -> None:
    safe = ASKED * 0.955
    assert fit_to_window(SETTINGS, RUN.estimate, safe).settings.data.max_length == 2000
    packed = with_values(SETTINGS, {"data.packing": True}, "here")
    assert fit_to_window(packed, RUN.estimate, safe, RUN.facts).settings.data.max_length == 2000


def test_below_one_epoch_the_most_steps_that_fit_are_taken_in_place_of_epochs() -> None:
    adjusted = fit(0.2)
    steps = adjusted.settings.train.max_steps
    assert steps is not None and 0 < steps < 100
    assert "train.epochs" not in paths(adjusted.changes)
    more = msgspec.structs.replace(
        adjusted.settings, train=msgspec.structs.replace(adjusted.settings.train, max_steps=steps + 1)
    )
    assert RUN.estimate(more).p90_seconds > ASKED * 0.2
    assert f"{1 - steps / 300:.0%} of the 300 steps asked for".replace("%", " %") == adjusted.changes[-1].gives_up


def test_configured_steps_are_cut_and_not_epochs() -> None:
    settings = with_values(SETTINGS, {"train.max_steps": 250}, "here")
    adjusted = fit(0.5, settings)
    assert paths(adjusted.changes)[-1] == "train.max_steps"
    assert adjusted.changes[-1].before == 250
    assert adjusted.settings.train.epochs == 3


def test_where_not_even_a_step_fits_nothing_is_given_up_and_it_is_said() -> None:
    adjusted = fit_to_window(SETTINGS, RUN.estimate, 90.0, RUN.facts)
    assert (adjusted.fits, adjusted.changes, adjusted.settings) == (False, [], SETTINGS)
    assert adjusted.note.startswith("not even one optimizer step fits: it would end ")
    assert adjusted.estimate == RUN.estimate(SETTINGS)


def test_without_an_estimate_nothing_is_known_and_nothing_changes() -> None:
    def unknown(settings: Settings) -> Estimate | None:
        return None

    adjusted = fit_to_window(SETTINGS, unknown, 100.0)
    assert (adjusted.fits, adjusted.changes, adjusted.estimate) == (None, [], None)


def test_a_larger_micro_batch_that_fits_comes_before_anything_that_costs_quality() -> None:
    memory = RUN.memory_with(limit=9000)  # 1,000 + 8 x 1,000: 8 fit, 16 do not
    adjusted = fit_to_window(SETTINGS, RUN.estimate, ASKED * 0.99, RUN.facts, memory)
    assert paths(adjusted.changes) == ["train.micro_batch_size"]
    assert adjusted.settings.train.micro_batch_size == 8
    assert adjusted.settings.train.effective_batch_size == 16
    assert adjusted.changes[0].gives_up == ""
    assert adjusted.changes[0].saves_bytes == -4000
    assert "train.micro_batch_size" not in paths(fit(0.99).changes)


def test_what_costs_nothing_is_kept_when_epochs_are_given_up_and_another_order_is_not() -> None:
    run = Run(grouped_saves=0.02)
    memory = run.memory_with(limit=9000)
    asked = run.estimate(SETTINGS).p90_seconds
    adjusted = fit_to_window(SETTINGS, run.estimate, asked * 0.7, run.facts, memory)
    assert paths(adjusted.changes) == ["train.micro_batch_size", "train.epochs"]


def test_a_larger_micro_batch_that_is_no_faster_is_not_taken() -> None:
    run = Run(seconds_per_micro_step=0.01)
    memory = run.memory_with(limit=10**9)
    safe = run.estimate(SETTINGS).p90_seconds * 0.99
    adjusted = fit_to_window(SETTINGS, run.estimate, safe, run.facts, memory)
    assert adjusted.settings.train.micro_batch_size == 4


def test_grouping_by_length_is_taken_where_it_saves_time_and_said() -> None:
    run = Run(grouped_saves=0.3)
    adjusted = fit(0.8, run=run)
    assert paths(adjusted.changes) == ["train.group_by_length"]
    assert "less random" in adjusted.changes[0].gives_up
    packed = with_values(SETTINGS, {"data.packing": True}, "here")
    recipe = with_values(SETTINGS, {"model.kind": "python"}, "here")
    for settings in (packed, recipe):
        assert "train.group_by_length" not in paths(fit(0.8, settings, run).changes)


def test_a_longer_window_never_gives_up_more_epochs_or_steps() -> None:
    shares = [0.05, 0.1, 0.2, 0.3, 0.34, 0.4, 0.6, 0.67, 0.7, 0.9]
    trained = [e.total_steps for share in shares if (e := fit(share).estimate) is not None]
    assert all(less <= more for less, more in pairwise(trained))
    assert trained[0] < trained[-1]
