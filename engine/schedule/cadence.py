"""What is due after a step: asked by the trainer after every one, and by whoever counts what is to come."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from speedtui.engine.events import EvaluationKind
from speedtui.engine.schedule.rules import Rules

SLACK = 1e-9
"""Relative: a stretch of time that ends with a step is over with it, whatever the last bit says."""

SaveDue = Literal["first", "schedule"]


class TrainingPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far a training is."""

    step: int = 0
    passed: float = 0.0
    """Seconds, which a share is of."""
    spent: float = 0.0
    """Seconds in full evaluations."""
    since_full: float = 0.0
    """Seconds since the last full evaluation, or the start."""
    since_loss: float = 0.0
    """The same of any evaluation."""
    since_save: float = 0.0
    judged: int = 0
    """Evaluations in which the best so far showed."""


START = TrainingPosition()


class Cadence:
    """The rules of a training, and when each thing was done last. Times are seconds on any one clock.

    At the end of every step:
    - a full evaluation at every multiple of its steps, or when its stretch of time has passed since the last one; with
      a share of time to keep to, only where all of them with this one stay within that share of the time passed;
    - the loss alone likewise, its stretch of time since the last evaluation of any kind, where no full one is made;
    - after the last step a full evaluation whatever the share, the loss alone where full ones are never made;
    - a checkpoint at every multiple of its steps, or when its stretch of time has passed since the last one; one made
      early in any case; none after the last step, where the final model is saved.

    Where only the best is saved a checkpoint follows each evaluation that is; one that is due besides is the same one.
    """

    def __init__(self, rules: Rules, at: TrainingPosition = START, now: float = 0.0) -> None:
        """`at`: where the training is at `now`."""
        self.rules = rules
        self.began = now - at.passed
        self.full_at, self.loss_at, self.save_at = now - at.since_full, now - at.since_loss, now - at.since_save
        self.spent = at.spent
        """Seconds in full evaluations."""
        self.judged = at.judged

    def position(self, step: int, now: float) -> TrainingPosition:
        """Where the training is after a step."""
        return TrainingPosition(
            step=step, passed=max(now - self.began, 0.0), spent=self.spent, since_full=max(now - self.full_at, 0.0),
            since_loss=max(now - self.loss_at, 0.0), since_save=max(now - self.save_at, 0.0), judged=self.judged,
        )  # fmt: skip

    # -- what is due -------------------------------------------------------------------------------

    def evaluation(self, step: int, now: float, full_seconds: float, *, ends: bool) -> EvaluationKind | None:
        """The evaluation that is due after a step; `full_seconds`: of a full one; `ends`: it was the last step."""
        rules = self.rules
        if rules.full and (ends or self._full_due(step, now, full_seconds)):
            return "full"
        return "loss" if rules.loss and (ends or self._loss_due(step, now)) else None

    def save(self, step: int, now: float) -> SaveDue | None:
        """The checkpoint that is due after a step which is not the last."""
        rules = self.rules
        if step == rules.first_save:
            return "first"
        return "schedule" if _comes(step, rules.save_steps, rules.save_seconds, now - self.save_at) else None

    def _full_due(self, step: int, now: float, seconds: float) -> bool:
        rules = self.rules
        if not _comes(step, rules.full_steps, rules.full_seconds, now - self.full_at):
            return False
        return now >= self.within_share_at(seconds)

    def within_share_at(self, seconds: float) -> float:
        """From when on one more full evaluation, of so many seconds, leaves them within their share of the time."""
        share = self.rules.share
        return -math.inf if share is None else self.began + (self.spent + seconds) / (share * (1 + SLACK))

    def _loss_due(self, step: int, now: float) -> bool:
        return _comes(step, self.rules.loss_steps, self.rules.loss_seconds, now - self.loss_at)

    # -- what was done -----------------------------------------------------------------------------

    def begins(self, now: float) -> None:
        """The first step begins: stretches of time count from here."""
        self.full_at, self.loss_at, self.save_at = (max(at, now) for at in (self.full_at, self.loss_at, self.save_at))

    def evaluates(self, kind: str, ends_at: float) -> None:
        """An evaluation is or will be over at `ends_at`."""
        self.loss_at = ends_at
        if kind == "full":
            self.full_at = ends_at

    def evaluated(self, kind: EvaluationKind, seconds: float, now: float) -> None:
        """An evaluation that took so long is over."""
        self.evaluates(kind, now)
        self.spent += seconds if kind == "full" else 0.0
        self.judged += kind == "full" or self.rules.best_by_loss

    def saved(self, now: float, chance: float = 1.0) -> None:
        """A checkpoint is on disk, with this probability."""
        self.save_at += chance * (now - self.save_at)

    def change(self, rules: Rules, now: float) -> None:
        """Other rules from now on; stretches of time go on, and begin here where the thing was never due."""
        before, self.rules = self.rules, rules
        self.full_at = self.full_at if before.full else now
        self.loss_at = self.loss_at if before.loss else now
        self.save_at = self.save_at if before.saves else now


def _comes(step: int, steps: int | None, seconds: float | None, passed: float) -> bool:
    if steps is not None:
        return step % steps == 0
    return seconds is not None and passed >= seconds * (1 - SLACK)
