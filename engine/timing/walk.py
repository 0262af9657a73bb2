"""What a schedule still asks for: full evaluations, evaluations of the loss alone, checkpoints.

The rules are those of the training's schedule, at the end of every step:
- a full evaluation at every multiple of its steps, or when its stretch of time has passed since the last one; with a
  share of time to keep to, only where all of them with this one stay within that share of the time passed;
- the loss alone likewise, its stretch of time since the last evaluation of any kind, where no full one is made;
- after the last step a full evaluation whatever the share, the loss alone where full ones are never made;
- a checkpoint at every multiple of its steps, or when its stretch of time has passed since the last one; one made early
  in any case; none after the last step, where the final model is saved.
"""

from __future__ import annotations

import math

from speedtui.engine.timing.due import START, Due, Prices, Rules, TrainingPosition
from speedtui.engine.timing.due_sums import INSTANT, sum_due

EXACT = 500
"""Evaluations and checkpoints that are followed one by one; with more of them, a sum that is off by one or two is
within half a percent of them."""
TELLING = 20
"""Of them, from which on their sum over the same stretch shows by how much it is off."""
SLACK = 1e-9
"""Relative: a stretch of time that ends with a step is over with it, whatever the last bit says."""


def count_due(
    rules: Rules,
    total_steps: int,
    prices: Prices,
    at: TrainingPosition = START,
    *,
    last: bool = True,
    exact: int = EXACT,
) -> Due:
    """What comes after `at`, with steps of equal length; up to `exact` of it is followed one by one.

    `last`: the training ends with the last step; otherwise it goes on after it, as far as is asked, and nothing is
    made there because it is the last.

    How many evaluations will be the best so far nobody knows. The n-th is with a probability of 1 / n when they come
    in no order, so that of n about ln(n) + 0.6 are (records of a random sequence); a loss that keeps falling has more.
    """
    walk = _Walk(rules, total_steps, prices, at, last)
    if walk.run(exact):
        return walk.due
    there = walk.position
    followed = sum_due(rules, there.step, prices, at, last=False)
    rest = sum_due(rules, total_steps, prices, there, last=last)
    return Due(
        full=walk.due.full + round(_corrected(rest.full, walk.due.full, followed.full)),
        loss=walk.due.loss + round(_corrected(rest.loss, walk.due.loss, followed.loss)),
        saves=walk.due.saves + _corrected(rest.saves, walk.due.saves, followed.saves),
    )


def _corrected(rest: float, walked: float, summed: float) -> float:
    """A sum by what the same sum makes of a stretch that was followed."""
    return rest * walked / summed if min(walked, summed) >= TELLING else rest


class _Walk:
    """From one thing that is due to the next."""

    def __init__(self, rules: Rules, total: int, prices: Prices, at: TrainingPosition, last: bool) -> None:
        self._rules, self._total, self._prices, self._last = rules, total, prices, last
        self._step, self._now, self._spent = at.step, at.passed, at.spent
        self._full_at, self._loss_at = at.passed - at.since_full, at.passed - at.since_loss
        self._save_at = at.passed - at.since_save
        self._judged = at.judged
        self._full = self._loss = 0
        self._saves = 0.0

    @property
    def due(self) -> Due:
        """What there was so far."""
        return Due(full=self._full, loss=self._loss, saves=self._saves)

    @property
    def position(self) -> TrainingPosition:
        """Where it is."""
        now = self._now
        return TrainingPosition(
            step=self._step, passed=now, spent=self._spent, since_full=now - self._full_at,
            since_loss=now - self._loss_at, since_save=now - self._save_at, judged=self._judged,
        )  # fmt: skip

    def run(self, most: int) -> bool:
        """To the last step; False where there is more to follow."""
        for _ in range(most):
            following = self._next()
            if following >= self._total:
                self._now += (self._total - self._step) * self._prices.step
                if self._total > self._step:
                    self._step = self._total
                    self._boundary()
                return True
            self._now += (following - self._step) * self._prices.step
            self._step = following
            self._boundary()
        return False

    def _next(self) -> int:
        """The next step after which something may be due."""
        rules = self._rules
        steps = [
            step - self._step % step + self._step
            for step in (rules.full_steps, rules.loss_steps, rules.save_steps)
            if step is not None
        ]
        for every, since in (
            (rules.full_seconds, self._full_at),
            (rules.loss_seconds, self._loss_at),
            (rules.save_seconds, self._save_at),
        ):
            if every is not None:
                left = (since + every * (1 - SLACK) - self._now) / max(self._prices.step, INSTANT)
                steps.append(self._step + max(math.ceil(left), 1))
        if rules.first_save is not None and rules.first_save > self._step:
            steps.append(rules.first_save)
        return min(steps, default=self._total)

    def _boundary(self) -> None:
        """What the schedule does at the end of a step; whether it saves is decided before it evaluates."""
        ends = self._last and self._step >= self._total
        saves = not ends and self._save_due()
        if self._full_due(ends):
            self._full += 1
            self._spent += self._prices.full
            self._now += self._prices.full
            self._full_at = self._loss_at = self._now
            self._judge(ends)
        elif self._loss_due(ends):
            self._loss += 1
            self._now += self._prices.loss
            self._loss_at = self._now
            if self._rules.best_by_loss:
                self._judge(ends)
        if saves:
            self._save(1)
            self._save_at = self._now

    def _judge(self, ends: bool) -> None:
        """The evaluation is the best so far with some probability, and as much of a checkpoint follows it."""
        self._judged += 1
        if self._rules.only_best and not ends:
            self._save(1 / self._judged)

    def _save(self, part: float) -> None:
        self._saves += part
        self._now += part * self._prices.save

    def _full_due(self, ends: bool) -> bool:
        rules = self._rules
        if not rules.full:
            return False
        if ends:
            return True
        if not self._comes(rules.full_steps, rules.full_seconds, self._full_at):
            return False
        return rules.share is None or self._spent + self._prices.full <= rules.share * self._now * (1 + SLACK)

    def _loss_due(self, ends: bool) -> bool:
        rules = self._rules
        return rules.loss and (ends or self._comes(rules.loss_steps, rules.loss_seconds, self._loss_at))

    def _save_due(self) -> bool:
        rules = self._rules
        return self._step == rules.first_save or self._comes(rules.save_steps, rules.save_seconds, self._save_at)

    def _comes(self, steps: int | None, seconds: float | None, since: float) -> bool:
        if steps is not None:
            return self._step % steps == 0
        return seconds is not None and self._now - since >= seconds * (1 - SLACK)
