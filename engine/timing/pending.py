"""The evaluations and checkpoints of a training in progress: what was made, what one costs, how many are to come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from speedtui.engine import events as e
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.timing.due import Due, Prices, Rules, TrainingPosition, rules_of
from speedtui.engine.timing.made import Made
from speedtui.engine.timing.spending import Spending
from speedtui.engine.timing.walk import count_due

EXACT = 100
"""Evaluations and checkpoints to come that are followed one by one in every update: half a millisecond's worth."""
JUDGED = 3
"""Evaluations from which on the share of them that was the best so far says something about the next."""

Interruption = Literal["eval", "full", "loss", "checkpoint", "final"]
"""`eval`: an evaluation whose kind follows from the schedule."""


class Pending:
    """The training thread tells of what is made; the counts are for any thread."""

    def __init__(
        self, schedule: ScheduleSettings, spending: Spending, *, total_steps: int, epoch_steps: int, evaluates: bool,
        since: float, full_seconds: float,
    ) -> None:  # fmt: skip
        """`since`: t at which the training began; `full_seconds`: spent in full evaluations before this worker."""
        self.total_steps, self.epoch_steps, self.evaluates = total_steps, epoch_steps, evaluates
        self.spending = spending
        self.full_seconds = full_seconds
        self.since = since
        self._schedule = schedule
        self._rules = self._rules_of(schedule)
        self._full_at = self._loss_at = self._save_at = since
        self._full = self._loss = self._saves = self._judged = self._best = 0
        self._model_saved = False

    # -- what happens ------------------------------------------------------------------------------

    def begins(self, t: float) -> None:
        """The first step begins: stretches of time count from here."""
        self._full_at, self._loss_at = max(self._full_at, t), max(self._loss_at, t)
        self._save_at = max(self._save_at, t)

    def began(self, what: Interruption, step: int, t: float) -> str:
        """Something begins after this step or a little later one; returns what it is."""
        kind = self._kind_due(step, t) if what == "eval" else what
        if kind in ("full", "loss"):
            self._evaluation_ends(kind, t + self.spending.eval_seconds("full" if kind == "full" else "loss"))
        elif kind == "checkpoint":
            self._save_at = t + self.spending.save_seconds
        return kind

    def evaluated(self, kind: e.EvaluationKind, seconds: float, phases: Mapping[str, float], ended: float) -> None:
        """An evaluation ended at t = `ended`."""
        self.spending.evaluated(kind, seconds, phases)
        self._judged += kind == "full" or self._rules.best_by_loss
        self._full += kind == "full"
        self._loss += kind == "loss"
        if kind == "full":
            self.full_seconds += seconds
        self._evaluation_ends(kind, ended)

    def saved(self, seconds: float, ended: float, *, best: bool | None) -> None:
        """A checkpoint is on disk since t = `ended`."""
        self.spending.save.add(seconds)
        self._saves += 1
        self._best += self._rules.only_best and self._rules.save_seconds is None if best is None else best
        self._save_at = ended

    def final_saved(self, seconds: float) -> None:
        """The final model is on disk."""
        self.spending.final.add(seconds)
        self._model_saved = True

    def change(self, schedule: ScheduleSettings, t: float | None) -> None:
        """Another schedule holds from `t` on; stretches of time go on, and begin there of what was never due."""
        before = self._rules
        self._schedule, self._rules = schedule, self._rules_of(schedule)
        if t is None:
            return
        self._full_at = self._full_at if before.full else t
        self._loss_at = self._loss_at if before.loss else t
        self._save_at = self._save_at if before.saves else t

    def shorten(self, total_steps: int) -> None:
        """The training ends after another number of steps."""
        self.total_steps = total_steps
        self._rules = self._rules_of(self._schedule)

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

    def position(self, step: int, t: float) -> TrainingPosition:
        """Where the training is after a step."""
        return TrainingPosition(
            step=step, passed=max(t - self.since, 0.0), spent=self.full_seconds,
            since_full=max(t - self._full_at, 0.0), since_loss=max(t - self._loss_at, 0.0),
            since_save=max(t - self._save_at, 0.0), judged=self._judged,
        )  # fmt: skip

    def due(self, step: int, last_step: int, t: float, step_seconds: float, *, last: bool) -> Due:
        """What comes after `step` until `last_step`; of evaluations as many are the best so far as were before."""
        prices, at = self.prices(step_seconds), self.position(step, t)
        due = count_due(self._rules, last_step, prices, at, last=last, exact=EXACT)
        if self._rules.only_best and self._judged >= JUDGED:
            coming = due.full + (due.loss if self._rules.best_by_loss else 0)
            due = msgspec.structs.replace(due, saves=max(due.saves, coming * self._best / self._judged))
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

    def _evaluation_ends(self, kind: str, t: float) -> None:
        self._loss_at = t
        if kind == "full":
            self._full_at = t

    def _kind_due(self, step: int, t: float) -> e.EvaluationKind:
        """What an evaluation that begins now is, by the schedule."""
        rules = self._rules
        if not rules.loss or not rules.full:
            return "full" if rules.full or not rules.loss else "loss"
        if step >= self.total_steps:
            return "full"
        due = step % rules.full_steps == 0 if rules.full_steps else t - self._full_at >= (rules.full_seconds or 0.0)
        return "full" if due else "loss"

    def _rules_of(self, schedule: ScheduleSettings) -> Rules:
        return rules_of(schedule, self.total_steps, self.epoch_steps, evaluates=self.evaluates)
