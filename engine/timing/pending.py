"""The evaluations and checkpoints of a training in progress: what was made, what one costs, how many are to come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from speedtui.engine import events as e
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.cadence import Cadence
from speedtui.engine.schedule.count import Due, Made, Prices, count_due
from speedtui.engine.schedule.rules import Rules, rules_of
from speedtui.engine.timing.spending import Spending

EXACT = 100
"""Evaluations and checkpoints to come that are followed one by one in every update: a millisecond's worth."""
JUDGED = 3
"""Evaluations from which on the share of them that was the best so far says something about the next."""

Interruption = Literal["full", "loss", "checkpoint", "final"]


class Pending:
    """The training thread tells of what is made; the counts are for any thread."""

    def __init__(
        self, schedule: ScheduleSettings, spending: Spending, *, total_steps: int, epoch_steps: int, evaluates: bool,
        since: float, judged: int, early: bool,
    ) -> None:  # fmt: skip
        """`since`: t at which the training began; `judged`: evaluations before this worker in which the best so far
        showed; `early`: see `rules_of`."""
        self._early = early
        self.total_steps, self.epoch_steps, self.evaluates = total_steps, epoch_steps, evaluates
        self.spending = spending
        self.since = since
        self.cadence = Cadence(self._rules(schedule), now=since)
        self.cadence.judged = judged
        self._schedule = schedule
        self._full = self._loss = self._saves = self._best = 0
        self._judged_before = judged
        self._begun = self._model_saved = False

    # -- what happens ------------------------------------------------------------------------------

    def begins(self, t: float) -> None:
        """The first step of this worker begins: stretches of time count from here."""
        if not self._begun:
            self._begun = True
            self.cadence.begins(t)

    def began(self, what: Interruption, t: float) -> None:
        """Something begins; stretches of time count from where it is expected to be over."""
        if what in ("full", "loss"):
            self.cadence.evaluates(what, t + self.expected(what))
        elif what == "checkpoint":
            self.cadence.saved(t + self.expected(what))

    def evaluated(self, kind: e.EvaluationKind, seconds: float, phases: Mapping[str, float], ended: float) -> None:
        """An evaluation ended at t = `ended`."""
        self.spending.evaluated(kind, seconds, phases)
        self._full += kind == "full"
        self._loss += kind == "loss"
        self.cadence.evaluated(kind, seconds, ended)

    def saved(self, seconds: float, ended: float, *, best: bool | None) -> None:
        """A checkpoint is on disk since t = `ended`."""
        self.spending.save.add(seconds)
        self._saves += 1
        rules = self.cadence.rules
        self._best += rules.only_best and rules.save_seconds is None if best is None else best
        self.cadence.saved(ended)

    def final_saved(self, seconds: float) -> None:
        """The final model is on disk."""
        self.spending.final.add(seconds)
        self._model_saved = True

    def change(self, schedule: ScheduleSettings, t: float) -> None:
        """Another schedule holds from `t` on."""
        self._schedule = schedule
        self.cadence.change(self._rules(schedule), t)

    def shorten(self, total_steps: int) -> None:
        """The training ends after another number of steps."""
        self.total_steps = total_steps
        self.cadence.rules = self._rules(self._schedule)

    # -- what is to come ---------------------------------------------------------------------------

    def made(self, step: int) -> Made:
        """What this worker has made."""
        return Made(steps=step, epoch_steps=self.epoch_steps, full=self._full, loss=self._loss, saves=self._saves)

    def expected(self, what: str) -> float:
        """Seconds of an evaluation by its kind, a checkpoint or the final model; 0 where nothing is known."""
        if what == "final":
            return self.spending.final_seconds
        if what == "checkpoint":
            return self.spending.save_seconds
        return self.spending.eval_seconds("loss" if what == "loss" else "full")

    def prices(self, step_seconds: float) -> Prices:
        """Of everything, as far as it is known."""
        return Prices(
            step=step_seconds, full=self.expected("full"), loss=self.expected("loss"), save=self.expected("checkpoint")
        )

    def due(self, step: int, last_step: int, t: float, step_seconds: float) -> Due:
        """What comes after `step` until `last_step`; of evaluations as many are the best so far as were before."""
        last = last_step >= self.total_steps
        rules, at = self.cadence.rules, self.cadence.position(step, t)
        due = count_due(rules, last_step, self.prices(step_seconds), at, last=last, exact=EXACT)
        judged = self.cadence.judged - self._judged_before
        if rules.only_best and judged >= JUDGED:
            coming = due.full + (due.loss if rules.best_by_loss else 0)
            due = msgspec.structs.replace(due, saves=max(due.saves, coming * self._best / judged))
        return due

    def final_seconds(self, running: str) -> float:
        """Of the final model where it is still to be saved; `running`: what goes on now."""
        return 0.0 if self._model_saved or running == "final" else self.spending.final_seconds

    def deviation(self, due: Due) -> float:
        """Standard deviation of what is to come, in seconds."""
        spending = self.spending
        return math.hypot(
            spending.full.deviation_of_sum(due.full), spending.loss.deviation_of_sum(due.loss),
            spending.save.deviation_of_sum(due.saves), 0.0 if self._model_saved else spending.final.deviation,
        )  # fmt: skip

    def _rules(self, schedule: ScheduleSettings) -> Rules:
        return rules_of(schedule, self.total_steps, self.epoch_steps, evaluates=self.evaluates, early=self._early)
