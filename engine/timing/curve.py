"""Seconds of a micro-step against its length, from a few that were timed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from speedtui.engine.candidate import Curve, CurvePoint

NORMAL_90 = 1.2816
"""One-sided 90 % point of the standard normal distribution."""
MAD_TO_SIGMA = 1.4826
"""From a median absolute deviation to a standard deviation, for a normal distribution."""
HUBER = 2.0
"""Standard deviations from which on a residual counts linearly. Huber's usual 1.345 takes 95 % efficiency on normal
noise for granted; step times are skewed to the right, and what is bent in of their right tail is missing in the sum
of a run: with 2 the mean error was nearer to zero (tests/bench/results/probe_design.json)."""
ROUNDS = 20
"""Of reweighting; it settles within ten."""
FINEST = 1e-4
"""Relative deviation below which no residual is taken for an outlier: clocks are no finer."""
ONE_LENGTH = 1.05
"""Longest over shortest up to which a fit cannot tell what is fixed from what grows with the length."""
UNKNOWN_SPREAD = 0.05
"""Of a micro-step where there are too few to see it; 0.02 to 0.05 is what probes of ten micro-steps find on a quiet
CPU core (tests/bench/results/finish_time.json)."""

Floats = npt.NDArray[np.float64]


def fit_curve(points: Sequence[CurvePoint], optimizer_seconds: float) -> Curve:
    """The curve with no negative part whose relative residuals are least, an outlier bent in.

    Non-negative least squares on seconds / expected seconds, reweighted: residuals beyond 2 standard deviations
    (from the median absolute deviation) count linearly (Huber). Where all lengths are about the same, the time is
    taken to be proportional to the tokens; where `tokens` is 0, which is unknown, to be fixed.

    spread: sqrt(sum of (w r)^2 / (n - p)) over relative residuals r with their weights w, p parts not zero: an outlier
    counts as no more than 2 standard deviations, since one stall is no property of the machine.
    uncertainty: of the sum over lengths like the points', sd(g . beta) / (g . beta), with g their mean of
    (1, batch x length, batch x length^2) and cov(beta) = spread^2 (X' W X)^-1, X relative to the expected seconds;
    times t90(n - p) / z90, so that few points give the 90 % bound that Student's distribution does.

    Raises:
        ValueError: no point took any time.
    """
    timed = [point for point in points if point.seconds > 0]
    if not timed:
        raise ValueError("nothing was timed")
    terms = design([p.micro_batch_size for p in timed], [p.tokens for p in timed])
    terms *= _columns(timed)
    seconds = np.array([point.seconds for point in timed])
    parts, weights = _fit_robust(terms, seconds)
    spread, uncertainty = _deviations(terms, seconds, parts, weights)
    fixed, per_token, per_square = (float(part) for part in parts)
    return Curve(
        fixed=fixed, per_token=per_token, per_square=per_square, optimizer_seconds=max(optimizer_seconds, 0.0),
        spread=spread, uncertainty=uncertainty, points=tuple(timed),
    )  # fmt: skip


def design(rows: npt.ArrayLike, tokens: npt.ArrayLike) -> Floats:
    """What the parts of a curve are multiplied by: (micro-steps, 3), float64."""
    batch, length = np.asarray(rows, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
    size = batch * length
    return np.stack(np.broadcast_arrays(1.0, size, size * length), axis=-1)


def _columns(points: Sequence[CurvePoint]) -> Floats:
    """Which parts the points can tell, 1 or 0 each."""
    tokens = [point.tokens for point in points]
    if max(tokens) == 0:
        return np.array([1.0, 0.0, 0.0])
    if max(tokens) <= ONE_LENGTH * min(tokens):
        return np.array([0.0, 1.0, 0.0])
    return np.ones(3)


def _fit_robust(terms: Floats, seconds: Floats) -> tuple[Floats, Floats]:
    """(parts, weights in (0, 1] of the points)."""
    weights = np.ones_like(seconds)
    expected = seconds
    parts = np.zeros(3)
    for _ in range(ROUNDS):
        before, parts = parts, _non_negative(terms / expected[:, None], seconds / expected, weights)
        expected = np.maximum(terms @ parts, 1e-9)
        weights = _huber(seconds / expected - 1, int(np.count_nonzero(parts)))
        if np.allclose(parts, before, rtol=1e-6, atol=0.0):
            break
    return parts, weights


def _non_negative(terms: Floats, values: Floats, weights: Floats) -> Floats:
    from scipy.optimize import nnls  # type: ignore[import-untyped]

    root = np.sqrt(weights)
    weighted = terms * root[:, None]
    scale = np.linalg.norm(weighted, axis=0)
    scale[scale == 0] = 1.0  # tokens squared beside a constant: without it the solver's tolerance means nothing
    parts: Floats = nnls(weighted / scale, values * root)[0] / scale
    return parts


def _huber(residuals: Floats, parts: int) -> Floats:
    """Weights of the residuals; all 1 where there are hardly more points than parts, which no residual then shows."""
    spare = len(residuals) - parts
    if spare < 2:
        return np.ones_like(residuals)
    away = np.abs(residuals - np.median(residuals))
    sigma = MAD_TO_SIGMA * float(np.median(away)) * math.sqrt(len(residuals) / spare)
    weights: Floats = np.minimum(1.0, HUBER * max(sigma, FINEST) / np.maximum(away, 1e-12))
    return weights


def _deviations(terms: Floats, seconds: Floats, parts: Floats, weights: Floats) -> tuple[float, float]:
    """(spread, uncertainty) as `fit_curve` defines them."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    expected = np.maximum(terms @ parts, 1e-9)
    used = parts > 0
    spare = len(seconds) - int(np.count_nonzero(used))
    spread = UNKNOWN_SPREAD
    if spare >= 1:
        spread = math.sqrt(float(((weights * (seconds / expected - 1)) ** 2).sum()) / spare)
    relative = terms[:, used] / expected[:, None] * np.sqrt(weights)[:, None]
    mean = terms[:, used].mean(axis=0)
    scale = np.linalg.norm(relative, axis=0)
    inverse = np.linalg.pinv((relative / scale).T @ (relative / scale))
    along = mean / scale
    share = math.sqrt(max(float(along @ inverse @ along), 0.0)) / float(mean @ parts[used])
    return spread, spread * share * float(stdtrit(max(spare, 1), 0.9)) / NORMAL_90
