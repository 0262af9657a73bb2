from __future__ import annotations

import random

import numpy as np
import pytest

from speedtui.engine.config.settings import TrainSettings
from speedtui.engine.trial.batches import plan_blocks, plan_probe, spread_strata
from speedtui.engine.trial.steady import Observation, change_point, fit_line, judge
from tests.engine.timing.workloads import workload_of

FIXED, PER_TOKEN = 0.010, 0.0001


def observations(
    count: int, *, seed: int, warmup: int = 0, slower: float = 2.0, noise: float = 0.02
) -> list[Observation]:
    generator = random.Random(seed)
    sizes = [generator.choice([50, 100, 200, 400]) for _ in range(count)]
    return [
        Observation(
            padded_tokens=size,
            seconds=(FIXED + PER_TOKEN * size) * generator.lognormvariate(0, noise) * (slower if i < warmup else 1),
        )
        for i, size in enumerate(sizes)
    ]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("warmup", [0, 1, 3, 5])
def test_warm_up_is_found_by_its_change_and_not_by_a_fixed_count(seed: int, warmup: int) -> None:
    assert judge(observations(15, seed=seed, warmup=warmup)).warmup == warmup


@pytest.mark.parametrize("seed", range(8))
def test_a_faster_beginning_is_no_warm_up(seed: int) -> None:
    assert judge(observations(15, seed=seed, warmup=4, slower=0.5)).warmup == 0


@pytest.mark.parametrize("seed", range(8))
def test_the_time_of_a_batch_follows_its_tokens(seed: int) -> None:
    steady = judge(observations(20, seed=seed, warmup=3))
    assert steady.line.seconds(150) == pytest.approx(FIXED + PER_TOKEN * 150, rel=0.05)


def test_one_slow_batch_does_not_bend_the_line() -> None:
    calm = observations(12, seed=1)
    disturbed = [*calm[:7], Observation(padded_tokens=50, seconds=1.0), *calm[8:]]
    assert fit_line(disturbed).seconds(200) == pytest.approx(FIXED + PER_TOKEN * 200, rel=0.06)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    truth = FIXED + PER_TOKEN * 187.5
    held = 0
    for seed in range(200):
        steady = judge(observations(12, seed=seed, noise=0.05))
        held += abs(steady.line.seconds(187.5) / truth - 1) <= steady.half_width
    assert held >= 160


def test_more_batches_narrow_the_interval() -> None:
    few = [judge(observations(6, seed=s, noise=0.05)).half_width for s in range(20)]
    many = [judge(observations(48, seed=s, noise=0.05)).half_width for s in range(20)]
    assert sorted(many)[10] < sorted(few)[10] / 1.5


def test_too_few_batches_have_no_interval() -> None:
    assert judge(observations(3, seed=1)).half_width == float("inf")
    with pytest.raises(ValueError, match="nothing was observed"):
        judge([])


def test_at_most_half_of_the_batches_are_warm_up() -> None:
    assert change_point([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]) <= 4


def test_batches_of_one_length_have_a_time_of_their_own() -> None:
    same = [Observation(padded_tokens=128, seconds=0.1 + 0.001 * (i % 3)) for i in range(9)]
    assert judge(same).line.seconds(128) == pytest.approx(0.101, rel=0.02)


def test_a_probes_batches_are_spread_over_the_lengths_wherever_it_stops() -> None:
    lengths = np.random.default_rng(0).lognormal(4, 0.7, size=5000).astype(np.int32).clip(4, 1024)
    plan = plan_probe(workload_of(lengths), TrainSettings(micro_batch_size=8), 16, 16)
    padded = [max(lengths[list(plan.rows[i : i + 8])]) * 8 for i in range(0, 128, 8)]
    mean = sum(plan.padded) / len(plan.padded)
    for count in (4, 8, 16):
        assert sum(padded[:count]) / count == pytest.approx(mean, rel=0.25)
    assert plan.mean_tokens == pytest.approx(lengths.mean() * 8, rel=0.03)


def test_a_probe_that_stops_early_has_met_long_batches() -> None:
    lengths = np.random.default_rng(1).lognormal(4, 0.9, size=5000).astype(np.int32).clip(4, 1024)
    plan = plan_probe(workload_of(lengths), TrainSettings(micro_batch_size=4), 10, 15)
    padded = [max(lengths[list(plan.rows[i : i + 4])]) * 4 for i in range(0, 60, 4)]
    assert max(padded[:3]) >= np.quantile(plan.padded, 0.94)
    assert min(padded[:3]) <= np.quantile(plan.padded, 0.06)


def test_a_probe_of_grouped_lengths_measures_grouped_batches() -> None:
    lengths = np.random.default_rng(2).lognormal(4, 0.9, size=2000).astype(np.int32).clip(4, 1024)
    train = TrainSettings(micro_batch_size=4, group_by_length=True)
    plan = plan_probe(workload_of(lengths), train, 10, 10)
    widths = [np.ptp(lengths[list(plan.rows[i : i + 4])]) for i in range(0, 40, 4)]
    assert np.median(widths) < 10
    assert 1 - plan.mean_tokens / np.mean(plan.padded) < 0.1


def test_a_probe_of_fewer_rows_than_batches_repeats_rows() -> None:
    plan = plan_probe(workload_of([5, 7, 9]), TrainSettings(micro_batch_size=2), 4, 6)
    assert len(plan.rows) == 12
    assert set(plan.rows) <= {0, 1, 2}


def test_a_probe_of_one_row_repeats_it() -> None:
    plan = plan_probe(workload_of([5]), TrainSettings(micro_batch_size=4), 4, 6)
    assert plan.rows == (0,) * 24


def test_without_lengths_rows_are_drawn() -> None:
    plan = plan_probe(workload_of(range(1, 101), known=False), TrainSettings(micro_batch_size=4), 5, 5)
    assert len(set(plan.rows)) == 20
    assert plan.mean_tokens == 4


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 10, 33])
def test_every_stratum_is_visited_once(count: int) -> None:
    assert sorted(spread_strata(count)) == pytest.approx([(i + 0.5) / count for i in range(count)])


def test_the_middle_the_highest_and_the_lowest_come_first() -> None:
    assert spread_strata(10)[:4] == [0.55, 0.95, 0.05, 0.75]


def test_a_comparisons_blocks_hold_whole_micro_batches_of_both() -> None:
    workload = workload_of(np.random.default_rng(3).integers(4, 400, size=300))
    rows = plan_blocks(workload, 12, seed=1)
    assert len(rows) == 5 * 12
    assert rows == plan_blocks(workload, 12, seed=1)
    assert len(plan_blocks(workload_of([5, 6, 7]), 4, seed=1)) == 20
    assert rows[12:] == plan_blocks(workload, 12, seed=1, warmup=2)[24:]
