"""When a training will be done, from its recent steps and what evaluations and saves have cost so far."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque

from speedtui.engine import events as e
from speedtui.engine.config.window import Window
from speedtui.engine.context.context import JobContext

RECENT = 50
"""Steps the rate is taken from."""
STEADY = 20
"""Steps before there is a verdict."""
UPDATE_SECONDS = 1.0
NORMAL_90 = 1.2816
"""One-sided 90 % point of the standard normal distribution."""
FLIP_SECONDS = 30.0
"""A verdict holds at least this long."""
LOSS_LINES = 10
"""First and last lines about steps whose mean loss is reported; fewer where they would overlap."""


class Eta:
    """Fed by the pump thread with steps, by the training thread with costs; emits once a second."""

    def __init__(self, context: JobContext, total_steps: int) -> None:
        self._context = context
        self._window: Window | None = context.order.window
        self._total_steps = total_steps
        self._step = 0
        self._seen = 0
        self._recent: deque[tuple[int, float]] = deque(maxlen=RECENT)
        self._due = 0.0
        self._verdict: e.Verdict = "measuring"
        self._verdict_since = -math.inf
        self.remaining_evals = 0
        self.remaining_saves = 0
        self.eval_seconds: float | None = None
        """Of the last evaluation."""
        self.save_seconds: float | None = None
        self._losses_seen = 0
        self._first_losses: list[float] = []
        self._last_losses: deque[float] = deque(maxlen=LOSS_LINES)

    def observe(self, step: e.StepCompleted) -> None:
        """Takes in a step, or several in one line."""
        self._step = step.step
        self._seen += step.steps
        self._recent.append((step.steps, step.seconds))
        if step.loss is not None:
            self._losses_seen += 1
            if len(self._first_losses) < LOSS_LINES:
                self._first_losses.append(step.loss)
            self._last_losses.append(step.loss)

    def losses(self) -> tuple[float | None, float | None]:
        """(mean of the first, mean of the last) lines' losses; None where there are not two to compare."""
        count = min(LOSS_LINES, self._losses_seen // 2)
        if not count:
            return None, None
        first, last = self._first_losses[:count], list(self._last_losses)[-count:]
        return round(statistics.fmean(first), 6), round(statistics.fmean(last), 6)

    def pump(self, urgent: bool) -> None:
        """Emits an update when one is due."""
        now = time.monotonic()
        if now >= self._due and self._recent:
            self._due = now + UPDATE_SECONDS
            self._context.emit(self.update())

    def update(self) -> e.EtaUpdated:
        """The estimate now.

        The steps to come are N draws with the recent mean m and deviation s, m itself known from n of them:
        their sum has mean N m and deviation s sqrt(N + N^2 / n).
        """
        remaining = max(self._total_steps - self._step, 0)
        mean, deviation = self._rate()
        steps = remaining * mean
        evals = self.remaining_evals * (self.eval_seconds or 0.0)
        saves = self.remaining_saves * (self.save_seconds or 0.0)
        p50 = steps + evals + saves
        spread = deviation * math.sqrt(remaining + remaining**2 / max(len(self._recent), 1))
        p90 = p50 + NORMAL_90 * spread
        now = self._context.clock.started_at + self._context.t
        return e.EtaUpdated(
            t=self._context.t,
            p50_seconds=round(p50, 3),
            p90_seconds=round(p90, 3),
            verdict=self._judge(now + p50, now + p90),
            spare_seconds=round(self._window.safe_until - now - p50, 3) if self._window is not None else None,
            terms={"steps": round(steps, 3), "evals": round(evals, 3), "saves": round(saves, 3)},
        )

    def _rate(self) -> tuple[float, float]:
        """(mean seconds a step, standard deviation of one)."""
        steps = sum(count for count, _ in self._recent)
        mean = sum(seconds for _, seconds in self._recent) / steps
        if len(self._recent) < 2:
            return mean, 0.0
        # a line of k steps deviates by sqrt(k) of what one step does
        scaled = [(seconds - count * mean) / math.sqrt(count) for count, seconds in self._recent]
        return mean, math.sqrt(statistics.fmean(value**2 for value in scaled))

    def _judge(self, finish_p50: float, finish_p90: float) -> e.Verdict | None:
        if self._window is None:
            return None
        wanted: e.Verdict
        if self._seen < STEADY:
            wanted = "measuring"
        elif finish_p50 > self._window.deadline:
            wanted = "late"
        else:
            wanted = "on_track" if finish_p90 <= self._window.safe_until else "tight"
        now = time.monotonic()
        held = FLIP_SECONDS if self._verdict != "measuring" else 0.0
        if wanted != self._verdict and now - self._verdict_since >= held:
            self._verdict, self._verdict_since = wanted, now
        return self._verdict
