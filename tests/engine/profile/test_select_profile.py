from __future__ import annotations

import pytest

from speedtui.engine.profile.load import built_in_profiles, find_profile
from speedtui.engine.profile.profile import Profile
from speedtui.engine.profile.select import choose, chosen_profile, fit_to_lengths

MICRO, EFFECTIVE = "train.micro_batch_size", "train.effective_batch_size"


@pytest.mark.parametrize(
    ("rows", "profile", "epochs", "max_length"),
    [
        (1, "quality", 5, 4096),
        (1_999, "quality", 5, 4096),
        (2_000, "quality", 4, 4096),
        (4_999, "quality", 4, 4096),
        (5_000, "balanced", 3, 2048),
        (8_000, "balanced", 3, 2048),
        (15_000, "balanced", 3, 2048),
        (15_001, "fast", 2, 1024),
        (1_000_000, "fast", 2, 1024),
    ],
)
def test_the_rows_choose_the_profile(rows: int, profile: str, epochs: float, max_length: int) -> None:
    choice = choose(rows, 500)
    assert (choice.profile, choice.epochs, choice.max_length) == (profile, epochs, max_length)
    assert f"{rows:,} row" in choice.reason


@pytest.mark.parametrize(
    ("mean", "factor", "max_length"),
    [(50.0, 2, 1024), (299.9, 2, 1024), (300, 1, None), (500, 1, None), (800, 1, None), (800.5, 0.5, 4096)],
)
@pytest.mark.parametrize(("rows", "micro", "own_length"), [(1_000, 2, 4096), (8_000, 4, 2048), (20_000, 8, 1024)])
def test_the_mean_length_moves_the_batch_and_the_maximum_length(
    rows: int, micro: int, own_length: int, mean: float, factor: float, max_length: int | None
) -> None:
    choice = choose(rows, mean)
    profile = chosen_profile(choice, find_profile(choice.profile), mean)
    assert choice.max_length == profile.values["data.max_length"] == (max_length or own_length)
    assert profile.values[MICRO] == micro * factor
    assert profile.values[EFFECTIVE] == 32
    assert profile.values["train.epochs"] == choice.epochs


def test_the_reason_has_the_rule_and_the_figures() -> None:
    assert choose(8_000, 500).reason == (
        "8,000 rows are between 5,000 and 15,000: balanced, 3 epochs; 500 tokens on average change nothing"
    )
    assert "(both included)" in choose(15_000, 500).reason
    assert "299.9 tokens on average are below 300: twice the micro-batch at the same" in choose(8_000, 299.9).reason
    assert "above 800: half the micro-batch at the same effective batch, 4,096" in choose(8_000, 1_200).reason
    assert choose(1, 500).reason.startswith("1 row is below 2,000: quality, 5 epochs")


def test_samples_that_will_be_cut_are_told_of() -> None:
    assert "samples are cut at 2,048 tokens, the longest has 3,000" in choose(8_000, 500, 3_000).reason
    assert "cut" not in choose(8_000, 500, 2_048).reason


def test_an_unknown_mean_changes_nothing_and_is_told() -> None:
    choice = choose(8_000, None)
    assert (choice.profile, choice.max_length) == ("balanced", 2048)
    assert "not known" in choice.reason


def test_memory_efficient_and_the_users_own_stay_as_they_are() -> None:
    memory_efficient = find_profile("memory-efficient")
    assert fit_to_lengths(memory_efficient, 100) == memory_efficient
    own = Profile(name="balanced", description="", values={MICRO: 3}, own=True)
    assert fit_to_lengths(own, 100) == own
    assert chosen_profile(choose(8_000, 100), own, 100) == own


def test_the_smallest_micro_batch_cannot_be_halved() -> None:
    quality = find_profile("quality")
    one = fit_to_lengths(quality, 1_000)
    assert one.values[MICRO] == 1
    assert fit_to_lengths(one, 1_000).values[MICRO] == 1


def test_the_built_in_profiles_are_not_changed_by_choosing() -> None:
    before = [dict(p.values) for p in built_in_profiles()]
    for rows in (1_000, 8_000, 20_000):
        choice = choose(rows, 100)
        chosen_profile(choice, find_profile(choice.profile), 100)
    assert [p.values for p in built_in_profiles()] == before
