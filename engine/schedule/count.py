"""How many evaluations and checkpoints there are between two steps."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable

import msgspec

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.cadence import SLACK, START, Cadence, TrainingPosition
from speedtui.engine.schedule.rules import Rules, rules_of

EXACT = 500
"""Things by the clock or a share that are followed one by one; what more of them come, comes as often as those did, and
is off by one or two."""
INSTANT = 1e-9
"""Seconds that a step takes at least, so that none is divided by."""
LISTED = 20
"""Terms of a harmonic sum, beyond which its expansion is right to 1e-9."""


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds each."""

    step: float
    full: float = 0.0
    loss: float = 0.0
    save: float = 0.0


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What is still to come."""

    full: int = 0
    loss: int = 0
    saves: float = 0.0
    """Checkpoints before the final model; no whole number where they follow what is best."""

    def seconds(self, prices: Prices) -> float:
        """All of them at these prices."""
        return self.full * prices.full + self.loss * prices.loss + self.saves * prices.save


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a training has made so far, all its workers together."""

    steps: int
    epoch_steps: int
    """Steps of an epoch."""
    full: int = 0
    """Full evaluations."""
    loss: int = 0
    """Evaluations of the loss alone."""
    saves: int = 0
    """Checkpoints, without the final model."""


NOTHING = Due()

BestOf = Callable[[int, int], float]
"""Of so many evaluations after the first `judged` ones, those that are the best so far: (judged, coming)."""


def records(judged: int, coming: int) -> float:
    """How many are the best so far when they come in no order: the n-th is with a probability of 1 / n (the records of
    a random sequence), so that of n about ln(n) + 0.6 are. A loss that keeps falling has more."""
    return _harmonic(judged + coming) - _harmonic(judged) if coming > 1 else coming / (judged + 1)


def count_schedule(
    schedule: ScheduleSettings, prices: Prices, *, total_steps: int, epoch_steps: int, evaluates: bool,
    at: TrainingPosition = START,
) -> Due:  # fmt: skip
    """What comes after `at` under these settings; `evaluates`: there is an evaluation set.

    Raises:
        ValueError: a frequency cannot be read.
    """
    return count_due(rules_of(schedule, total_steps, epoch_steps, evaluates=evaluates), total_steps, prices, at)


def count_due(
    rules: Rules, total_steps: int, prices: Prices, at: TrainingPosition = START, *, last: bool = True,
    exact: int = EXACT, best: BestOf = records,
) -> Due:  # fmt: skip
    """What comes after `at`, with steps of equal length: what a training decides that is walked through step by step.

    What goes by steps alone is counted at once, however much it is; what goes by the clock or a share up to `exact`
    times. `last`: the training ends with the last step; otherwise it goes on after it, and nothing is made there
    because it is the last. `best`: nobody knows how many evaluations will be.
    """
    walk = _Walk(rules, total_steps, prices, at, last, best)
    for stop in range(exact):
        if stop == exact // 5:  # by then a share is reached, and what is the best comes seldom
            walk.look()
        if not walk.on():
            return walk.due
    return walk.due_at_this_rate()


class _Walk:
    """From one step to the next at which something comes that does not go by steps alone."""

    def __init__(
        self, rules: Rules, total: int, prices: Prices, at: TrainingPosition, last: bool, best: BestOf
    ) -> None:
        self._rules, self._total, self._prices, self._last, self._best = rules, total, prices, last, best
        self._cadence = Cadence(rules, at, at.passed)
        self._step, self._now = at.step, at.passed
        self._full = self._loss = self._saves = 0
        self._others = 0.0
        """Checkpoints that come less and less often: the early one and the best."""
        self._full_steps = rules.full_steps if rules.share is None else None
        self._both = math.lcm(self._full_steps, rules.loss_steps) if self._full_steps and rules.loss_steps else None
        self._spaced = [every for every in (self._full_steps, rules.loss_steps, rules.save_steps) if every is not None]
        self._restarts = self._restarting()
        self._seen = self._now_made

    def _restarting(self) -> list[int]:
        """Of what goes by steps alone, the spacings of that with which another thing's stretch of time begins anew."""
        rules, found = self._rules, []
        best_restarts = rules.only_best and rules.save_seconds is not None
        if self._full_steps is not None and (rules.loss_seconds is not None or best_restarts):
            found.append(self._full_steps)
        if rules.loss_steps is not None and best_restarts and rules.best_by_loss:
            found.append(rules.loss_steps)
        return found

    @property
    def due(self) -> Due:
        """What there was so far."""
        return Due(full=self._full, loss=self._loss, saves=self._saves + self._others)

    def on(self) -> bool:
        """To the next such step, or the last one; False where that was reached before."""
        if self._step >= self._total:
            return False
        following = self._next()
        end = self._end_of(following)
        self._add(self._between(following - 1))
        self._step, self._now = following, end
        self._boundary()
        return True

    @property
    def _now_made(self) -> tuple[int, int, int, int]:
        return self._step, self._full, self._loss, self._saves

    def look(self) -> None:
        """From here on it is counted how often things come."""
        self._seen = self._now_made

    def due_at_this_rate(self) -> Due:
        """With what is left, as often as it came since `look`; the last step for itself."""
        if self._step >= self._total:
            return self.due
        steps, *counts = (now - then for now, then in zip(self._now_made, self._seen, strict=True))
        times = (self._total - self._last - self._step) / steps
        full, loss, saves = (round(count * times) for count in counts)
        best, ends = self._best_saves(full, loss), self._last
        return Due(
            full=self._full + full + (ends and self._rules.full),
            loss=self._loss + loss + (ends and self._rules.loss and not self._rules.full),
            saves=self._saves + saves + self._others + best,
        )

    # -- from here to there ------------------------------------------------------------------------

    def _next(self) -> int:
        rules, cadence = self._rules, self._cadence
        found = [self._total, *(self._multiple(every) for every in self._restarts)]
        if rules.first_save is not None and rules.first_save > self._step:
            found.append(rules.first_save)
        if rules.loss_seconds is not None:
            found.append(self._at(cadence.loss_at + rules.loss_seconds * (1 - SLACK)))
        if rules.save_seconds is not None:
            found.append(self._at(cadence.save_at + rules.save_seconds * (1 - SLACK)))
        if rules.full_seconds is not None:
            full = cadence.full_at + rules.full_seconds * (1 - SLACK)
            found.append(self._at(max(full, cadence.within_share_at(self._prices.full))))
        elif rules.full_steps is not None and self._full_steps is None:
            step = self._at(cadence.within_share_at(self._prices.full))
            found.append(-(-step // rules.full_steps) * rules.full_steps)
        return min(found)

    def _at(self, t: float) -> int:
        """The first step at whose end it is `t`; the last one where it never is."""
        each, soonest = max(self._prices.step, INSTANT), self._step + 1
        latest = max(self._step + math.ceil(min((t - self._now) / each, self._total - self._step)), soonest)
        if latest <= min((self._multiple(every) for every in self._spaced), default=latest):
            return latest  # nothing comes before that takes time
        soonest = max(soonest, latest - math.ceil(max(self._end_of(latest) - t, 0.0) / each))
        return soonest + bisect_left(range(soonest, latest), t, key=self._end_of)

    def _end_of(self, step: int) -> float:
        """When a step ends, before anything that is due after it."""
        return self._now + (step - self._step) * self._prices.step + self._between(step - 1).seconds(self._prices)

    def _between(self, last: int) -> Due:
        """What comes by steps alone, up to and with `last`."""
        full = self._multiples(self._full_steps, last)
        loss = self._multiples(self._rules.loss_steps, last) - self._multiples(self._both, last)
        return Due(
            full=full, loss=loss, saves=self._multiples(self._rules.save_steps, last) + self._best_saves(full, loss)
        )

    def _best_saves(self, full: int, loss: int) -> float:
        """Checkpoints after so many more evaluations, since they are the best."""
        if not self._rules.only_best:
            return 0.0
        return self._best(self._cadence.judged, full + (loss if self._rules.best_by_loss else 0))

    def _add(self, due: Due) -> None:
        self._full += due.full
        self._loss += due.loss
        if self._rules.only_best:
            self._others += due.saves
        else:
            self._saves += round(due.saves)
        self._cadence.judged += due.full + (due.loss if self._rules.best_by_loss else 0)
        self._cadence.spent += due.full * self._prices.full

    def _multiples(self, every: int | None, last: int) -> int:
        return 0 if every is None else last // every - self._step // every

    def _multiple(self, every: int) -> int:
        return self._step - self._step % every + every

    # -- there -------------------------------------------------------------------------------------

    def _boundary(self) -> None:
        """As the training has it at the end of a step: whether it saves is decided before it evaluates."""
        prices, cadence, best = self._prices, self._cadence, 0.0
        ends = self._last and self._step >= self._total
        save = None if ends else cadence.save(self._step, self._now)
        kind = cadence.evaluation(self._step, self._now, prices.full, ends=ends)
        if kind is not None:
            full = kind == "full"
            best = 0.0 if ends else self._best_saves(full, not full)
            seconds = prices.full if full else prices.loss
            self._now += seconds
            cadence.evaluated(kind, seconds, self._now)
            self._full += full
            self._loss += not full
        chance = 1.0 if save is not None else best
        if save == "schedule":
            self._saves += 1
        else:
            self._others += chance
        if chance:
            self._now += chance * prices.save
            cadence.saved(self._now, chance)


def _harmonic(count: int) -> float:
    if count <= LISTED:
        return math.fsum(1 / n for n in range(1, count + 1))
    return math.log(count) + 0.5772156649015329 + 1 / (2 * count) - 1 / (12 * count**2)
