"""The curve of time against length, from a few timed micro-steps."""

from __future__ import annotations

import numpy as np
import pytest

from speedtui.engine.candidate import Curve, CurvePoint
from speedtui.engine.timing.curve import design, fit_curve

FIXED, PER_TOKEN, PER_SQUARE = 0.004, 2e-5, 3e-8
LENGTHS = (30, 60, 100, 150, 210, 280, 350, 420, 480, 512)


def seconds_of(batch: int, tokens: int) -> float:
    return FIXED + PER_TOKEN * batch * tokens + PER_SQUARE * batch * tokens**2


def points(noise: float = 0.0, seed: int = 0, batch: int = 4, lengths: tuple[int, ...] = LENGTHS) -> list[CurvePoint]:
    factors = np.random.default_rng(seed).lognormal(0, noise, size=len(lengths))
    return [
        CurvePoint(micro_batch_size=batch, tokens=n, seconds=seconds_of(batch, n) * float(factor))
        for n, factor in zip(lengths, factors, strict=True)
    ]


def total(curve: Curve) -> float:
    return sum(curve.seconds(4, n) for n in LENGTHS)


TRUTH = sum(seconds_of(4, n) for n in LENGTHS)


def test_a_curve_without_noise_is_recovered() -> None:
    curve = fit_curve(points(), 0.02)
    assert (curve.fixed, curve.per_token, curve.per_square) == pytest.approx((FIXED, PER_TOKEN, PER_SQUARE), rel=1e-6)
    assert curve.optimizer_seconds == 0.02
    assert curve.spread < 1e-6
    assert len(curve.points) == len(LENGTHS)


def test_several_batch_sizes_make_one_curve() -> None:
    curve = fit_curve([*points(batch=1), *points(batch=8)], 0.0)
    assert curve.seconds(4, 333) == pytest.approx(seconds_of(4, 333), rel=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_no_part_is_ever_negative(seed: int) -> None:
    generator = np.random.default_rng(seed)
    wild = [
        CurvePoint(micro_batch_size=2, tokens=int(n), seconds=float(s))
        for n, s in zip(generator.integers(1, 500, 8), generator.uniform(0.01, 1.0, 8), strict=True)
    ]
    curve = fit_curve(wild, 0.0)
    assert min(curve.fixed, curve.per_token, curve.per_square) >= 0
    assert curve.seconds(2, 100) > 0
    assert curve.uncertainty > 0


def test_the_uncertainty_bounds_nine_sums_in_ten() -> None:
    held = 0
    for seed in range(200):
        curve = fit_curve(points(0.04, seed), 0.0)
        held += total(curve) * (1 + 1.2816 * curve.uncertainty) >= TRUTH
    assert 165 <= held <= 198


def test_the_spread_is_that_of_the_micro_steps() -> None:
    spreads = [fit_curve(points(0.04, seed), 0.0).spread for seed in range(60)]
    assert float(np.median(spreads)) == pytest.approx(0.04, rel=0.3)


@pytest.mark.parametrize("which", range(len(LENGTHS)))
def test_one_stall_hardly_changes_the_sum(which: int) -> None:
    disturbed = points(0.01)
    slow = disturbed[which]
    disturbed[which] = CurvePoint(micro_batch_size=4, tokens=slow.tokens, seconds=10 * slow.seconds)
    assert total(fit_curve(disturbed, 0.0)) == pytest.approx(TRUTH, rel=0.06)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_points_make_a_curve_that_knows_it_is_uncertain(count: int) -> None:
    spread_out = (LENGTHS[5], LENGTHS[0], LENGTHS[-1])[:count]
    few = fit_curve(points(0.02, 1, lengths=spread_out), 0.0)
    many = fit_curve(points(0.02, 1), 0.0)
    assert few.uncertainty > many.uncertainty
    assert few.seconds(4, LENGTHS[5]) == pytest.approx(seconds_of(4, LENGTHS[5]), rel=0.2)


def test_one_length_says_that_time_grows_with_the_tokens() -> None:
    same = [CurvePoint(micro_batch_size=4, tokens=128, seconds=0.1 + 0.001 * (i % 3)) for i in range(9)]
    curve = fit_curve(same, 0.0)
    assert curve.seconds(4, 128) == pytest.approx(0.101, rel=0.02)
    assert curve.seconds(4, 256) == pytest.approx(0.202, rel=0.02)


def test_without_lengths_a_micro_step_takes_what_it_takes() -> None:
    recipe = [CurvePoint(micro_batch_size=4, tokens=0, seconds=0.1 + 0.01 * (i % 3)) for i in range(9)]
    curve = fit_curve(recipe, 0.0)
    assert (curve.per_token, curve.per_square) == (0, 0)
    assert curve.fixed == pytest.approx(0.11, rel=0.02)


def test_nothing_timed_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing was timed"):
        fit_curve([CurvePoint(micro_batch_size=1, tokens=5, seconds=0.0)], 0.0)


def test_the_design_is_what_a_curve_multiplies() -> None:
    curve = fit_curve(points(0.02), 0.0)
    parts = np.array([curve.fixed, curve.per_token, curve.per_square])
    assert design(3, [50, 70]) @ parts == pytest.approx([curve.seconds(3, 50), curve.seconds(3, 70)])
