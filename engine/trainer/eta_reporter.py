"""Looks ahead while a training goes on: when it will be done, what would help, where the learning rate should end."""

from __future__ import annotations

import time

from speedtui.engine import events as e
from speedtui.engine.advise.late import LateCase, late_levers
from speedtui.engine.advise.not_finite import not_finite_levers
from speedtui.engine.context.context import JobContext
from speedtui.engine.plan_types import Advice
from speedtui.engine.timing.eta import Eta
from speedtui.engine.trainer.finite import FiniteWatch
from speedtui.engine.trainer.live_settings import LiveSettings

LIVELY_SECONDS = 60.0
"""At its start a training is watched most closely."""
UPDATE_SECONDS = (1.0, 2.0)
"""Between two estimates: in that first minute, and later, so that the log of a long run stays small."""
LEVER_SECONDS = 10.0
"""Between two looks at what would help a training that is late."""
GAIN_SHARE = 0.1
"""By which a lever's gain must have moved to be told again."""


class EtaReporter:
    """Called by the pump thread; reads what the training thread leaves."""

    def __init__(self, context: JobContext, live: LiveSettings, eta: Eta, watch: FiniteWatch) -> None:
        self._context = context
        self._live = live
        self._eta = eta
        self._watch = watch
        self._began = time.monotonic()
        self._due = self._levers_due = 0.0
        self._levers: list[Advice] = []
        self._verdict: e.Verdict | None = None
        self._not_finite: e.NonFiniteFound | None = None
        """What was not finite when levers were looked for last."""
        self._observed = False
        self._moved = context.clock.moved

    def observe(self, step: e.StepCompleted) -> None:
        """A step, or several in one line, for the log and for the estimate."""
        self._context.emit(step)
        self._observed = True
        self._eta.observe(step)

    def pump(self, urgent: bool) -> None:
        """Emits an estimate when one is due, and the levers when they have changed."""
        now = time.monotonic()
        moved, self._moved = self._context.clock.moved != self._moved, self._context.clock.moved
        turned = self._watch.told is not self._not_finite or moved
        if (now < self._due and not turned) or not self._observed:
            return
        self._due = now + UPDATE_SECONDS[now - self._began > LIVELY_SECONDS]
        update = self._eta.update(self._context.t)
        self._context.emit(update)
        if now >= self._levers_due or update.verdict != self._verdict or turned:
            self._not_finite = self._watch.told
            self._levers_due, self._verdict = now + LEVER_SECONDS, update.verdict
            self._tell_levers(update)

    def _tell_levers(self, update: e.EtaUpdated) -> None:
        levers = not_finite_levers(self._live.current, self._not_finite) if self._not_finite is not None else []
        levers += self._find_levers(update) if update.verdict == "late" else []
        if _differ(levers, self._levers):
            self._levers = levers
            short = max(-(update.spare_seconds or 0.0), 0.0)
            self._context.emit(e.LeversFound(t=self._context.t, levers=levers, short_seconds=round(short, 3)))

    def _find_levers(self, update: e.EtaUpdated) -> list[Advice]:
        remaining, order = self._eta.remaining(update.t), self._context.order
        if remaining is None or update.spare_seconds is None:
            return []
        case = LateCase(
            settings=self._live.current,
            remaining=remaining,
            short_seconds=-update.spare_seconds,
            alternatives=order.alternatives,
            trial_step_seconds=order.step_seconds,
            changeover_seconds=self._eta.save_seconds(),
            reachable_steps=self._eta.reachable_steps(update.t),
        )
        return late_levers(case)


def _differ(levers: list[Advice], told: list[Advice]) -> bool:
    """Whether there are other levers, or one gains clearly more or less than was told."""
    if [lever.changes for lever in levers] != [lever.changes for lever in told]:
        return True
    pairs = ((a.gain_seconds or 0.0, b.gain_seconds or 0.0) for a, b in zip(levers, told, strict=True))
    return any(abs(now - before) > GAIN_SHARE * before for now, before in pairs)
