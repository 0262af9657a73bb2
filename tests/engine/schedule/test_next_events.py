"""What a run is said to do next, against the counts of the same rules."""

from __future__ import annotations

import random

import msgspec

from speedtui.engine import events as e
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.cadence import TrainingPosition
from speedtui.engine.schedule.count import Prices, count_due
from speedtui.engine.schedule.next_events import next_checkpoint, next_evaluation
from speedtui.engine.schedule.rules import rules_of
from speedtui.engine.state import RunState, fold
from tests.engine.events_of_a_run import started, step, training

TOTAL, LONG, EPOCH = 240, 100_000, 40
LOADED = e.ModelLoaded(
    t=5.0, model="m", parameters=1, trainable_parameters=1, seconds=5.0, train_rows=16 * EPOCH, eval_rows=8,
    longest_tokens=8, mean_tokens=8.0,
)  # fmt: skip


def run_at(number: int, schedule: ScheduleSettings, *more: e.AnyEvent, total: int = TOTAL) -> RunState:
    config = {"schedule": msgspec.to_builtins(schedule)}
    return fold([started("train", config=config), LOADED, training(total), step(number), *more])


def test_what_comes_next_by_steps_is_the_first_thing_that_is_counted() -> None:
    chance = random.Random(0)
    for _ in range(60):
        every = [chance.choice(["7 steps", "0.5 epochs", "1 epoch", "30 steps", "never"]) for _ in range(2)]
        schedule = ScheduleSettings(eval_every=every[0], checkpoint_every=every[1])
        at = chance.randrange(1, TOTAL)
        rules = rules_of(schedule, TOTAL, EPOCH, evaluates=True)

        position = TrainingPosition(step=at)
        come = [
            (last - at, count_due(rules, last, Prices(step=1.0), position, last=last == TOTAL))
            for last in range(at + 1, TOTAL + 1)
        ]
        run = run_at(at, schedule)
        assert run.training is not None
        evaluation, saving = next_evaluation(run, run.training), next_checkpoint(run, run.training)
        assert (evaluation.steps if evaluation is not None else None) == next((n for n, due in come if due.full), None)
        assert (saving.steps if saving is not None else None) == next((n for n, due in come if due.saves), None)


def test_a_stretch_of_time_is_told_from_where_the_trainer_counts_it() -> None:
    schedule = ScheduleSettings(eval_every="300s", checkpoint_every="600s")
    saved = e.CheckpointSaved(t=60.0, step=50, path="", bytes=1, seconds=1.0)
    done = e.EvaluationCompleted(t=59.0, step=50, loss=1.0, seconds=1.0, rows=8, kind="full")
    again = training(LONG, t=900.0, first_step=50)
    after = msgspec.structs.replace(step(51), t=910.0)
    run = run_at(50, schedule, done, saved, again, after, total=LONG)
    assert run.training is not None
    evaluation, saving = next_evaluation(run, run.training), next_checkpoint(run, run.training)
    assert evaluation is not None and evaluation.seconds == 900.0 + 300.0 - 910.0, "from the second worker's start"
    assert saving is not None and saving.seconds == 900.0 + 600.0 - 910.0


def test_a_programs_own_trainer_makes_no_early_checkpoint() -> None:
    config = {"schedule": msgspec.to_builtins(ScheduleSettings(checkpoint_every="100 steps"))}
    expected: dict[e.Job, int] = {"train": 19, "run": 99}
    for job, steps in expected.items():
        run = fold([started(job, config=config), LOADED, training(TOTAL), step(1)])
        assert run.training is not None
        saving = next_checkpoint(run, run.training)
        assert saving is not None and saving.steps == steps
