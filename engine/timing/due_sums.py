"""What a schedule still asks for where that is too much to be followed one by one: as sums."""

from __future__ import annotations

import math

from speedtui.engine.timing.due import NOTHING, Due, Prices, Rules, TrainingPosition

ROUNDS = 8
"""What comes by the clock takes time itself, so that the counts are found in rounds; each changes the last by no more
than the share of the time that it takes."""
INSTANT = 1e-9
"""Seconds that a step takes at least, so that none is divided by."""
LISTED = 500
"""Terms of a harmonic sum, beyond which it is a logarithm."""


def sum_due(rules: Rules, total_steps: int, prices: Prices, at: TrainingPosition, *, last: bool) -> Due:
    """As `count_due` counts, but for a few percent."""
    sums = _Sums(rules, total_steps, prices, at)
    due = NOTHING
    for _ in range(ROUNDS):
        full = sums.full(due)
        loss = sums.loss(due, full)
        if last and rules.full:
            full += not (rules.share is None and _ends_at(rules.full_steps, total_steps))
        elif last and rules.loss:
            loss += not _ends_at(rules.loss_steps, total_steps)
        due = Due(full=full, loss=loss, saves=sums.saves(full, loss))
    return due


def records(judged: int, coming: int) -> float:
    """Of `coming` more evaluations after `judged`, those that are the best so far when they come in no order.

    The n-th is with a probability of 1 / n, so that of the first n about ln(n) + 0.6 are.
    """
    listed = min(coming, LISTED)
    rest = math.log((judged + coming) / (judged + listed)) if coming > listed else 0.0
    return math.fsum(1 / n for n in range(judged + 1, judged + 1 + listed)) + rest


class _Sums:
    """Counts of each kind, given the others."""

    def __init__(self, rules: Rules, total_steps: int, prices: Prices, at: TrainingPosition) -> None:
        self._rules, self._total, self._prices, self._at = rules, total_steps, prices, at
        self._running = (total_steps - at.step) * prices.step

    def full(self, due: Due) -> int:
        """As often as they are asked for, and as the share of the time allows."""
        rules, prices, at = self._rules, self._prices, self._at
        others = self._running + due.loss * prices.loss + due.saves * prices.save
        if rules.full_steps is not None:
            count = self._multiples(rules.full_steps)
        else:
            count = self._by_clock(rules.full_seconds, others, at.since_full)
        if rules.share is None or prices.full <= 0:
            return count
        room = rules.share * (at.passed + others + due.full * prices.full) - at.spent
        return min(count, max(int(room / prices.full), 0))

    def loss(self, due: Due, full: int) -> int:
        """Where no full one is made."""
        rules = self._rules
        if rules.loss_steps is None:
            others = self._running + due.saves * self._prices.save
            return max(self._by_clock(rules.loss_seconds, others, self._at.since_loss) - full, 0)
        count = self._multiples(rules.loss_steps)
        if rules.full_steps is None:  # by the clock, full ones fall on any step
            return count - round(full / rules.loss_steps)
        common = self._multiples(math.lcm(rules.loss_steps, rules.full_steps))
        asked = self._multiples(rules.full_steps)
        return count - round(common * full / asked if asked else common)

    def saves(self, full: int, loss: int) -> float:
        """Early, after the best evaluations, and as often as they are asked for."""
        rules, at = self._rules, self._at
        count = float(rules.first_save is not None and rules.first_save > at.step)
        if rules.only_best:
            count += records(at.judged, full + (loss if rules.best_by_loss else 0))
        if rules.save_steps is not None:
            return count + (self._total - 1) // rules.save_steps - at.step // rules.save_steps
        others = self._running + full * self._prices.full + loss * self._prices.loss
        return count + self._by_clock(rules.save_seconds, others, at.since_save)

    def _multiples(self, steps: int) -> int:
        return self._total // steps - self._at.step // steps

    def _by_clock(self, every: float | None, seconds: float, since: float) -> int:
        """A stretch of time ends with the step in which it is over, so that half a step is lost each time."""
        if every is None:
            return 0
        step = self._prices.step
        return int(max(seconds + since - step, 0.0) / max(every + step / 2, step, INSTANT))


def _ends_at(steps: int | None, total_steps: int) -> bool:
    return steps is not None and total_steps % steps == 0
