"""How fast the steps go now, by their length."""

from __future__ import annotations

import math
import statistics
from collections import deque
from itertools import islice

import numpy as np

from speedtui.engine.timing.curve import Floats

LINES = 200
"""Stretches of steps that the pace is taken from."""
RECENT_SHARE = 0.1
"""Of the time passed, which they cover at least: of a run of hours, ten seconds say little about the rest."""
OPENING = 20
"""Lines at the start among which warm-up is looked for."""
SLOW = 1.5
"""Times the median line of the opening: slower ones right at its start are warm-up."""
LEAST = 5
"""Lines from which on the first is left out in any case, since it holds what only a first step does."""
STALL = 5.0
"""Times what a stretch is expected to take, beyond which it no longer counts: one stall of a minute must not pass for
the pace of the run, while what is slow again and again does count."""
PAUSE = 2.0
"""Times a line's own steps: what lies between lines beyond that is a pause and not the cost of a step."""
EPOCHS = 20
"""Epochs whose beginning is remembered."""
ROUNDS = 3
"""Of reweighting."""
HUBER = 2.0
"""Standard deviations beyond which a residual counts linearly, as for a probe's curve."""


class StepTimeModel:
    """Seconds a step = a + b x its padded tokens, neither negative, over the recent steps; the mean where lengths are
    unknown or tell nothing. Takes in a line in constant time and memory.

    One thread adds; what another asks for is worked out from a copy, which one call into C makes.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The steps are other ones from now on."""
        self._stretches: deque[list[float]] = deque(maxlen=LINES)
        self._opening: int | None = 0
        self._epochs: deque[float] = deque(maxlen=EPOCHS)
        self._fit: tuple[float, float] | None = None
        self._deviation = 0.0
        self._quantiles: dict[float, float] = {}
        self._passed = 0.0
        self.steady_steps = 0
        """Steps that were measured, without the warm-up."""

    def add(self, steps: int, size: float, seconds: float, besides: float) -> None:
        """A line: its steps, their padded tokens together (0: unknown), their seconds, and those in between."""
        seconds += besides if besides <= PAUSE * seconds else 0.0
        self._passed += seconds
        last = self._stretches[-1] if self._stretches else None
        if last is not None and self._opening is None and last[2] < RECENT_SHARE * self._passed / LINES:
            last[0] += steps
            last[1] += size
            last[2] += seconds
        else:
            self._stretches.append([float(steps), size, seconds])
        self.steady_steps += steps
        self._fit = None
        if self._opening is not None:
            self._quantiles.clear()
            self._opening += 1
            if self._opening >= OPENING:
                self._leave_out(self._warm_up())
                self._opening = None

    def add_epoch(self, seconds: float) -> None:
        """What the beginning of another epoch took, besides its steps."""
        self._epochs.append(max(seconds, 0.0))

    @property
    def epoch_seconds(self) -> float:
        """To begin an epoch; 0 where none was seen to begin."""
        return statistics.median(self._epochs) if self._epochs else 0.0

    @property
    def known(self) -> bool:
        """Whether there is any step to go by."""
        return bool(self._stretches)

    def seconds(self, steps: float, size: float) -> float:
        """Of so many steps with so many padded tokens together."""
        fixed, per_token = self._fitted()
        return fixed * steps + per_token * size

    @property
    def deviation(self) -> float:
        """Standard deviation of one step from what is expected of its length, in seconds."""
        self._fitted()
        return self._deviation

    @property
    def measured_steps(self) -> float:
        """Steps that the pace rests on."""
        return sum(stretch[0] for stretch in self._steady())

    def quantile(self, share: float) -> float | None:
        """Of the recent seconds a step; None before there is one. Remembered until `refresh`."""
        if share not in self._quantiles and self._stretches:
            rates = [stretch[2] / stretch[0] for stretch in self._steady()]
            self._quantiles[share] = float(np.quantile(rates, share))
        return self._quantiles.get(share)

    def refresh(self) -> None:
        """Quantiles are worked out anew when they are asked for next."""
        self._quantiles.clear()

    # -- the start ---------------------------------------------------------------------------------

    def _steady(self) -> list[list[float]]:
        """The stretches without the warm-up."""
        skipped = self._warm_up() if self._opening is not None else 0
        return list(islice(self._stretches, skipped, None))

    def _warm_up(self) -> int:
        """Lines at the very start that took much longer than those that followed."""
        rates = [stretch[2] / stretch[0] for stretch in list(self._stretches)]
        if len(rates) < LEAST:
            return 0
        limit = SLOW * statistics.median(rates)
        slow = next((i for i, rate in enumerate(rates) if rate <= limit), 0)
        return max(slow, 1)

    def _leave_out(self, lines: int) -> None:
        for _ in range(lines):
            self.steady_steps -= round(self._stretches.popleft()[0])

    # -- the fit -----------------------------------------------------------------------------------

    def _fitted(self) -> tuple[float, float]:
        fit = self._fit
        if fit is None:
            terms = np.array(self._steady(), dtype=np.float64).reshape(-1, 3)
            fit, self._deviation = fit_pace(terms[:, 0], terms[:, 1], terms[:, 2])
            self._fit = fit
        return fit


def fit_pace(steps: Floats, sizes: Floats, seconds: Floats) -> tuple[tuple[float, float], float]:
    """((seconds a step, seconds a token), standard deviation of one step), all of (stretches,).

    Non-negative least squares on the stretches, those with more steps counting for more, outliers bent in (Huber); the
    result is then scaled so that it gives their sum, of which a stall counts no more than `STALL` times its share.
    """
    if not len(steps):
        return (0.0, 0.0), 0.0
    mean = float(seconds.sum() / steps.sum())
    if mean <= 0:
        return (0.0, 0.0), 0.0
    root = np.sqrt(steps)
    weights = np.ones_like(steps)
    fixed, per_token = mean, 0.0
    for _ in range(ROUNDS if sizes.any() else 0):
        fixed, per_token = _line(steps, sizes, seconds, weights / steps)
        away = np.abs(seconds - fixed * steps - per_token * sizes) / root
        sigma = max(1.4826 * float(np.median(away)), 1e-4 * mean)
        weights = np.minimum(1.0, HUBER * sigma / np.maximum(away, 1e-12))
    expected = fixed * steps + per_token * sizes
    if not expected.all():
        fixed, per_token, expected = mean, 0.0, mean * steps
    level = np.minimum(seconds, STALL * expected * float(np.median(seconds / expected))).sum() / expected.sum()
    fixed, per_token = fixed * float(level), per_token * float(level)
    rest = (np.minimum(seconds, STALL * expected) - fixed * steps - per_token * sizes) / root
    return (fixed, per_token), math.sqrt(float((rest**2).mean())) if len(steps) > 1 else 0.0


def _line(steps: Floats, sizes: Floats, seconds: Floats, weights: Floats) -> tuple[float, float]:
    """seconds = a x steps + b x sizes, a and b not negative: the normal equations, else the better of one alone."""
    ss, st, tt = ((weights * x * y).sum() for x, y in ((steps, steps), (steps, sizes), (sizes, sizes)))
    sy, ty = (weights * steps * seconds).sum(), (weights * sizes * seconds).sum()
    determinant = ss * tt - st * st
    if determinant > 1e-9 * ss * tt:
        fixed, per_token = (sy * tt - ty * st) / determinant, (ty * ss - sy * st) / determinant
        if fixed >= 0 and per_token >= 0:
            return float(fixed), float(per_token)
        if fixed < 0:
            return 0.0, float(ty / tt)
    return float(sy / ss), 0.0
