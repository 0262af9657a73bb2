"""From micro-step times to a believable step time: warm-up dropped, an interval, and when to stop measuring."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import accumulate, combinations

import msgspec

from speedtui.engine.state.windows import MAD_TO_SIGMA

ENOUGH = 4
"""Micro-steps after warm-up before an early stop is thought of."""
PRECISE_ENOUGH = 0.02
"""Half-width of the interval, relative, at which more measuring changes no decision."""
NORMAL_95 = 1.96
MEDIAN_EFFICIENCY = 1.2533
"""Standard error of a median over that of a mean, for a normal distribution: sqrt(pi / 2)."""
ALL_PAIRS = 64
"""Observations up to which every pair has its say: 2016 slopes, a millisecond."""
SLOWER = 1.05
"""A beginning counts as warm-up only when it is at least this much slower than the rest."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One micro-step."""

    padded_tokens: float
    """Of its micro-batch, padding included; samples where tokens are unknown."""
    seconds: float
    """Its transfer, forward and backward, and its share of waiting for the loader."""


class CostLine(msgspec.Struct, frozen=True, kw_only=True):
    """seconds = fixed + per_token x padded tokens."""

    fixed: float
    per_token: float

    def seconds(self, padded_tokens: float) -> float:
        """Of a micro-step with so many tokens; at least a nanosecond, so that ratios exist."""
        return max(self.fixed + self.per_token * padded_tokens, 1e-9)


class Steady(msgspec.Struct, frozen=True, kw_only=True):
    """What the micro-steps after warm-up say."""

    warmup: int
    """Micro-steps dropped at the beginning."""
    count: int
    line: CostLine
    half_width: float
    """Of the 95 % interval, relative to the time."""


def judge(observations: Sequence[Observation]) -> Steady:
    """Finds where warm-up ends and how well the rest is known.

    The times are compared with a line through tokens (Theil-Sen, which one slow micro-step does not bend),
    since lengths differ from batch to batch. The interval is that of the median of log time / line, its spread
    from the median absolute deviation.

    Raises:
        ValueError: there are no observations.
    """
    if not observations:
        raise ValueError("nothing was observed")
    warmup = change_point(_residuals(observations, fit_line(observations[len(observations) // 2 :])))
    steady = observations[warmup:]
    line = fit_line(steady)
    residuals = _residuals(steady, line)
    centre = statistics.median(residuals)
    sigma = MAD_TO_SIGMA * statistics.median(abs(r - centre) for r in residuals)
    half_width = math.inf
    if len(steady) >= ENOUGH:
        half_width = math.expm1(NORMAL_95 * MEDIAN_EFFICIENCY * sigma / math.sqrt(len(steady)))
    scale = math.exp(centre)
    line = CostLine(fixed=line.fixed * scale, per_token=line.per_token * scale)
    return Steady(warmup=warmup, count=len(steady), line=line, half_width=half_width)


def change_point(residuals: Sequence[float]) -> int:
    """How many values at the beginning belong to a slower regime; at most half of them.

    The split with the least squared error around two means, if it beats one mean by the Bayesian information
    criterion and the first part is slower.
    """
    n = len(residuals)
    if n < 3:
        return 0
    sums = [0.0, *accumulate(residuals)]
    squares = [0.0, *accumulate(r * r for r in residuals)]

    def error(begin: int, end: int) -> float:
        """Squared deviation of a part from its own mean."""
        return squares[end] - squares[begin] - (sums[end] - sums[begin]) ** 2 / (end - begin)

    best, best_score = 0, _score(error(0, n), n, 1)
    for k in range(1, n // 2 + 1):
        if sums[k] / k - (sums[n] - sums[k]) / (n - k) < math.log(SLOWER):
            continue
        score = _score(error(0, k) + error(k, n), n, 3)
        if score < best_score:
            best, best_score = k, score
    return best


def fit_line(observations: Sequence[Observation]) -> CostLine:
    """A line with neither part negative: the median of the pairwise slopes, then the median intercept.

    Of many observations each is paired with one half the series away, which is Theil's incomplete method.
    """
    n = len(observations)
    if n <= ALL_PAIRS:
        pairs = list(combinations(observations, 2))
    else:
        pairs = list(zip(observations, observations[n // 2 :], strict=False))
    slopes = [
        (b.seconds - a.seconds) / (b.padded_tokens - a.padded_tokens)
        for a, b in pairs
        if b.padded_tokens != a.padded_tokens
    ]
    slope = max(statistics.median(slopes), 0.0) if slopes else 0.0
    fixed = statistics.median(o.seconds - slope * o.padded_tokens for o in observations)
    if fixed >= 0:
        return CostLine(fixed=fixed, per_token=slope)
    rate = statistics.median(o.seconds / max(o.padded_tokens, 1.0) for o in observations)
    return CostLine(fixed=0.0, per_token=rate)


def _residuals(observations: Sequence[Observation], line: CostLine) -> list[float]:
    return [math.log(max(o.seconds, 1e-9) / line.seconds(o.padded_tokens)) for o in observations]


def _score(squared_error: float, n: int, parameters: int) -> float:
    return n * math.log(max(squared_error, 1e-12) / n) + parameters * math.log(n)
