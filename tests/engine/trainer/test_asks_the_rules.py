"""The trainer's own decisions after every step, on a clock that is set, against what was counted before them."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

import msgspec
from transformers import TrainerControl

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.checkpoint.store import CheckpointStore
from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.schedule.cadence import START
from speedtui.engine.schedule.count import Due, Prices, count_due
from speedtui.engine.schedule.rules import rules_of
from speedtui.engine.state import RunState
from speedtui.engine.timing.eta import Eta
from speedtui.engine.trainer.live_settings import LiveSettings
from speedtui.engine.trainer.schedule import TrainingSchedule
from tests.engine.schedule.simulated import EPOCH, any_prices, any_schedule
from tests.engine.timing.walked_training import line


class Trainer:
    """What transformers does at the end of a step, with the product's schedule and estimate."""

    def __init__(self, folder: Path, total: int, prices: Prices, schedule: ScheduleSettings, seed: int) -> None:
        self.now = 0.0
        log = EventLog(folder / f"{seed}.jsonl", RunClock(now_ns=lambda: int(self.now * 1e9)))
        order = Order(job="train", started_at=time.time())
        self.context = JobContext(RunFolder(folder), Settings(), order, log, RunState(), frozenset())
        self.total, self.prices, self.settings = total, prices, schedule
        self.outcomes = [not n or random.Random(seed + n).random() < 0.4 for n in range(total)]  # the first is the best
        self.step = self.judged = 0
        self.made = {"full": 0, "loss": 0, "save": 0}
        self.begins()

    def begins(self) -> None:
        """A worker does."""
        running = self.total * self.prices.step
        steps = Estimate(
            p50_seconds=running, p90_seconds=running, terms={"steps": running}, total_steps=self.total, evals=0, saves=0
        )
        self.eta = Eta(
            total_steps=self.total, first_step=self.step, epoch_steps=EPOCH, schedule=self.settings, evaluates=True,
            window=None, wall=lambda t: t, sizes=None, estimate=steps, judged=self.judged,
        )  # fmt: skip
        self.eta.rehearsed(
            self.prices.full, {"eval": self.prices.loss, "generate": self.prices.full - self.prices.loss}
        )
        store = CheckpointStore(self.context.folder.checkpoints, 1)
        self.schedule = TrainingSchedule(
            self.context, LiveSettings(self.context, Settings()), self.settings, self.eta, store
        )
        self.eta.begins(self.context.t)

    def is_resumed(self) -> None:
        """Another worker goes on from here."""
        left = self.schedule.state()
        self.now += 64.0
        self.begins()
        self.schedule.restore(left)

    def is_changed(self, settings: ScheduleSettings) -> None:
        """As by a command."""
        self.settings = settings
        self.schedule.change(settings)

    def walk(self, last: int) -> Due:
        """On to this step; what was made."""
        before = dict(self.made)
        while self.step < last:
            self.step += 1
            self.now += self.prices.step
            self.eta.observe(line(self.step, self.now, self.prices.step))
            self.after_step()
        full, loss, saves = (self.made[name] - before[name] for name in before)
        return Due(full=full, loss=loss, saves=float(saves))

    def after_step(self) -> None:
        control = TrainerControl()
        self.schedule.after_step(self.step, self.total, control)
        if control.should_evaluate:
            self.evaluate(control)
        if control.should_save:
            self.made["save"] += 1
            self.eta.began("checkpoint", self.context.t)
            self.now += self.prices.save
            self.schedule.saved(e.CheckpointSaved(
                t=self.now, step=self.step, path="", bytes=0, seconds=self.prices.save, reason=self.schedule.save_reason
            ))  # fmt: skip

    def evaluate(self, control: TrainerControl) -> None:
        kind = self.schedule.kind
        self.made[kind] += 1
        self.eta.began(kind, self.context.t)
        seconds = self.prices.full if kind == "full" else self.prices.loss
        self.now += seconds
        best, judges = self.schedule.best, kind == "full" or self.settings.best_by == "loss"
        rises = bool(judges and self.outcomes[self.judged])
        self.judged += judges
        value = (best.value or 0.0) + (1.0 if rises else -1.0)
        phases = {"eval": self.prices.loss, "generate": self.prices.full - self.prices.loss} if kind == "full" else {}
        by_loss = self.settings.best_by == "loss"
        self.schedule.evaluated(
            e.EvaluationCompleted(
                t=self.now, step=self.step, rows=1, kind=kind, seconds=seconds, phases=phases,
                loss=(best.value or 0.0) + (-1.0 if rises else 1.0) if by_loss else 1.0,
                metrics={"accuracy": value} if kind == "full" else {},
            ),
            control, last=self.step == self.total,
        )  # fmt: skip


def test_the_trainer_decides_what_was_counted_also_after_resumes_and_changes(tmp_path: Path) -> None:
    for seed in range(400):
        chance = random.Random(seed)
        total, prices = chance.randint(2, 120), any_prices(chance)
        prices = msgspec.structs.replace(prices, full=max(prices.full, prices.loss))
        trainer = Trainer(tmp_path, total, prices, settings(chance), seed)
        at = START
        for first, last in pairwise([0, *sorted({*(chance.randint(1, total) for _ in range(2)), total})]):
            rules = rules_of(trainer.settings, total, EPOCH, evaluates=True)
            expected = count_due(
                rules, last, prices, at, last=last == total,
                best=lambda judged, coming, made=trainer: float(sum(made.outcomes[judged : judged + coming])),
            )  # fmt: skip
            assert trainer.walk(last) == expected, (seed, first, last)
            if chance.random() < 0.5:
                trainer.is_resumed()
            else:
                trainer.is_changed(settings(chance, like=trainer.settings))
            remaining = trainer.eta.remaining(trainer.now)
            assert remaining is not None
            at = remaining.at
        trainer.context.log.close()


def settings(chance: random.Random, like: ScheduleSettings | None = None) -> ScheduleSettings:
    """`like`: judged by the same figure, which a change forgets the best of."""
    found = any_schedule(chance)
    return found if like is None else msgspec.structs.replace(found, best_by=like.best_by)
