"""A training whose every step is walked through by settings alone: what it makes is written down by the step."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.cadence import TrainingPosition
from speedtui.engine.schedule.count import Due, Prices

EPOCH = 40
STEP_SECONDS, FULL_SECONDS, LOSS_SECONDS, SAVE_SECONDS = (
    (0.125, 0.5, 1.0),
    (0.0, 1.5, 6.0),
    (0.0, 0.75),
    (0.0, 0.25, 2.0),
)
"""In powers of two, so that sums of seconds have no last bit to differ by."""


def spacing(chance: random.Random) -> str:
    """How often something happens."""
    return chance.choice([
        "never", f"{chance.randint(1, 60)} steps", f"{chance.choice([0.25, 0.5, 1, 2])} epochs",
        f"{chance.randint(1, 40)}s",
    ])  # fmt: skip


def any_schedule(chance: random.Random) -> ScheduleSettings:
    """Evaluations and checkpoints of every kind."""
    return ScheduleSettings(
        eval_every=spacing(chance), fast_eval_every=spacing(chance), checkpoint_every=spacing(chance),
        eval_share=chance.choice([None, None, 1 / 16, 1 / 4, 1 / 2]), save_only_best=chance.random() < 0.3,
        best_by=chance.choice(["loss", "accuracy"]),
    )  # fmt: skip


def any_prices(chance: random.Random) -> Prices:
    """What each thing takes."""
    return Prices(
        step=chance.choice(STEP_SECONDS), full=chance.choice(FULL_SECONDS), loss=chance.choice(LOSS_SECONDS),
        save=chance.choice(SAVE_SECONDS),
    )  # fmt: skip


@dataclass(kw_only=True)
class Simulated:
    """The training; `outcomes`: whether each evaluation that can be judged is the best so far."""

    total: int
    prices: Prices
    schedule: ScheduleSettings
    outcomes: list[bool]
    evaluates: bool = True
    step: int = 0
    t: float = 0.0
    spent: float = 0.0
    judged: int = 0
    full_at: float = 0.0
    any_at: float = 0.0
    save_at: float = 0.0
    made: list[tuple[int, int, int]] = field(default_factory=list)
    """(full, loss, checkpoints) after each step."""
    positions: list[TrainingPosition] = field(default_factory=list)
    """Before each step."""

    def best(self, judged: int, coming: int) -> float:
        """Of so many evaluations those that are the best so far."""
        return float(sum(self.outcomes[judged : judged + coming]))

    def between(self, first: int, last: int) -> Due:
        """What was made after the steps from `first` + 1 to `last`."""
        full, loss, saves = (sum(column) for column in zip((0, 0, 0), *self.made[first:last], strict=True))
        return Due(full=full, loss=loss, saves=float(saves))

    @property
    def position(self) -> TrainingPosition:
        return TrainingPosition(
            step=self.step, passed=self.t, spent=self.spent, since_full=self.t - self.full_at,
            since_loss=self.t - self.any_at, since_save=self.t - self.save_at, judged=self.judged,
        )  # fmt: skip

    def is_resumed(self, away: float) -> None:
        """Another worker goes on: stretches of time begin anew with its first step."""
        self.t += away
        self.full_at = self.any_at = self.save_at = self.t

    def is_changed(self, schedule: ScheduleSettings) -> None:
        """A command sets other settings: a stretch of time begins here where the thing was never due."""
        before, self.schedule = self.schedule, schedule
        self.full_at = self.t if before.eval_every == "never" or not self.evaluates else self.full_at
        self.any_at = self.t if before.fast_eval_every == "never" or not self.evaluates else self.any_at
        follows_best = before.save_only_best and self.evaluates
        self.save_at = self.t if before.checkpoint_every == "never" and not follows_best else self.save_at

    def walk(self, last: int) -> None:
        """On to this step."""
        while self.step < last:
            self.positions.append(self.position)
            self.step += 1
            self.t += self.prices.step
            self.made.append(self._boundary())

    def _boundary(self) -> tuple[int, int, int]:
        schedule, ends = self.schedule, self.step == self.total
        saves = not ends and (self.step == self._early() or self._save_comes())
        kind = self._evaluation(ends)
        best = False
        if kind:
            seconds = self.prices.full if kind == "full" else self.prices.loss
            self.t += seconds
            self.any_at = self.t
            if kind == "full":
                self.full_at, self.spent = self.t, self.spent + seconds
            if kind == "full" or schedule.best_by == "loss":
                best = self.outcomes[self.judged] and schedule.save_only_best and not ends
                self.judged += 1
        if saves or best:
            self.t += self.prices.save
            self.save_at = self.t
        return int(kind == "full"), int(kind == "loss"), int(saves or best)

    def _evaluation(self, ends: bool) -> str:
        schedule, share = self.schedule, self.schedule.eval_share
        if not self.evaluates:
            return ""
        if schedule.eval_every != "never":
            within = share is None or self.spent + self.prices.full <= share * self.t
            if ends or (within and self._comes(schedule.eval_every, self.full_at)):
                return "full"
        if schedule.fast_eval_every == "never":
            return ""
        return "loss" if ends or self._comes(schedule.fast_eval_every, self.any_at) else ""

    def _save_comes(self) -> bool:
        schedule = self.schedule
        if schedule.checkpoint_every == "never":
            return False
        if schedule.save_only_best and self.evaluates and not by_clock(schedule.checkpoint_every):
            return False
        return self._comes(schedule.checkpoint_every, self.save_at)

    def _early(self) -> int | None:
        """The step of the early checkpoint: the 20th, or after a tenth of a short run, unless there is one by then."""
        schedule, step = self.schedule, min(20, -(-self.total // 10))
        if schedule.checkpoint_every == "never" or step >= self.total:
            return None
        by_steps = not by_clock(schedule.checkpoint_every) and not (schedule.save_only_best and self.evaluates)
        return None if by_steps and steps_of(schedule.checkpoint_every) <= step else step

    def _comes(self, every: str, since: float) -> bool:
        if by_clock(every):
            return self.t - since >= float(every.removesuffix("s"))
        return every != "never" and self.step % steps_of(every) == 0


def by_clock(every: str) -> bool:
    """`30s`, and not `30 steps`."""
    return every.endswith("s") and " " not in every


def steps_of(every: str) -> int:
    """`30 steps`, `0.5 epochs`."""
    count, unit = every.split()
    return max(round(float(count) * EPOCH), 1) if unit.startswith("epoch") else int(count)
