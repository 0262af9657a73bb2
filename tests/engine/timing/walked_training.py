"""A training on a clock of its own: each step is walked through, with evaluations and checkpoints by the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from speedtui.engine import events as e
from speedtui.engine.config.frequency import Frequency, parse_frequency
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.timing.eta import Eta

LINE_SECONDS = 0.05
"""Faster steps share a line, as the meter has it."""


@dataclass(kw_only=True)
class Run:
    """What a training takes; `step_seconds` gives those of each step by its number from 0."""

    total_steps: int
    epoch_steps: int
    schedule: ScheduleSettings
    step_seconds: Callable[[int], float]
    full_seconds: float = 0.0
    loss_seconds: float = 0.0
    save_seconds: float = 0.0
    final_seconds: float = 0.0
    epoch_seconds: float = 0.0
    between_seconds: float = 0.0
    warm_up: tuple[float, ...] = ()
    """Added to the first steps."""
    first_save: int | None = None
    start: float = 5.0
    made: dict[str, int] = field(default_factory=lambda: {"full": 0, "loss": 0, "save": 0})

    def evaluation(self, step: int, now: float, last_full: float, last_any: float, spent: float) -> str | None:
        """By the schedule's own rules: full, loss or none after this step."""
        schedule, last = self.schedule, step == self.total_steps
        full, loss = parse_frequency(schedule.eval_every), parse_frequency(schedule.fast_eval_every)
        if full != Frequency():
            asked = self._asked(full, step, now - last_full)
            share = schedule.eval_share
            within = share is None or spent + self.full_seconds <= share * (now - self.start) + 1e-6
            if last or (asked and within):
                return "full"
        if loss != Frequency() and (last or self._asked(loss, step, now - last_any)):
            return "loss"
        return None

    def saves(self, step: int, now: float, last_save: float) -> bool:
        """Whether a checkpoint is made after this step."""
        every = parse_frequency(self.schedule.checkpoint_every)
        if step == self.total_steps or every == Frequency():
            return False
        return step == self.first_save or self._asked(every, step, now - last_save)

    def _asked(self, every: Frequency, step: int, passed: float) -> bool:
        if every.seconds is not None:
            return passed >= every.seconds - 1e-6
        steps = every.steps or (max(round(every.epochs * self.epoch_steps), 1) if every.epochs else None)
        return steps is not None and step % steps == 0

    def walk(self, eta: Eta | None = None, look: Callable[[int, float], None] | None = None) -> float:
        """Runs it, feeding `eta`; `look` is called after each step's line with (step, t). Returns when it was over."""
        t = self.start
        last_full = last_any = last_save = t
        spent, line = 0.0, _Line(eta)
        for index in range(self.total_steps):
            step = index + 1
            if index and index % self.epoch_steps == 0:
                t += self.epoch_seconds
            took = self.step_seconds(index) + (self.warm_up[index] if index < len(self.warm_up) else 0.0)
            t += took
            line.add(step, took, t)
            if look is not None:
                look(step, t)
            saves = self.saves(step, t, last_save)
            kind = self.evaluation(step, t, last_full, last_any, spent)
            if kind is not None:
                seconds = self.full_seconds if kind == "full" else self.loss_seconds
                self.made[kind] += 1
                if eta is not None:
                    eta.began(kind, t)  # type: ignore[arg-type]
                t += seconds
                last_any = t
                if kind == "full":
                    last_full, spent = t, spent + seconds
                if eta is not None:
                    eta.evaluated(kind, seconds, {"eval": seconds})  # type: ignore[arg-type]
            if saves:
                self.made["save"] += 1
                if eta is not None:
                    eta.began("checkpoint", t)
                t += self.save_seconds
                last_save = t
                if eta is not None:
                    eta.saved(self.save_seconds)
            t += self.between_seconds
        line.release()
        if eta is not None:
            eta.began("final", t)
        t += self.final_seconds
        if eta is not None:
            eta.final_saved(self.final_seconds)
        return t

    def eta(self, **fields: Any) -> Eta:
        """Of this run; wall clock 0 is t = 0."""
        made: dict[str, Any] = {
            "total_steps": self.total_steps, "first_step": 0, "epoch_steps": self.epoch_steps,
            "schedule": self.schedule, "evaluates": True, "window": None, "wall": lambda t: t, "sizes": None,
            "estimate": None, "since": self.start,
        }  # fmt: skip
        return Eta(**{**made, **fields})


class _Line:
    """Steps that are told together."""

    def __init__(self, eta: Eta | None) -> None:
        self._eta = eta
        self._told = 0.0
        self._steps, self._seconds, self._last = 0, 0.0, (0, 0.0)

    def add(self, step: int, seconds: float, t: float) -> None:
        self._steps, self._seconds, self._last = self._steps + 1, self._seconds + seconds, (step, t)
        if t - self._told >= LINE_SECONDS:
            self.release()

    def release(self) -> None:
        if self._steps and self._eta is not None:
            self._eta.observe(line(self._last[0], self._last[1], self._seconds, self._steps))
        self._told, self._steps, self._seconds = self._last[1], 0, 0.0


def line(step: int, t: float, seconds: float, steps: int = 1, loss: float | None = None) -> e.StepCompleted:
    """A line of the log."""
    return e.StepCompleted(
        t=t, step=step, steps=steps, micro_steps=steps, samples=steps, loss=loss, seconds=seconds, phases={}
    )


def lengths(steps: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Padded tokens of each step, skewed."""
    return np.random.default_rng(seed).lognormal(6.0, 0.6, size=steps)


def noise(steps: int, seed: int = 0, spread: float = 0.05) -> Iterator[float]:
    """Factors around 1."""
    return iter(np.random.default_rng(seed).lognormal(0.0, spread, size=steps))
