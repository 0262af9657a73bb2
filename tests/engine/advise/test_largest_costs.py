"""Where the time of a run went, with figures that can be followed by hand: an hour of a dozen epochs."""

from __future__ import annotations

import msgspec
import pytest

from speedtui.engine.advise.advise import advise
from speedtui.engine.advise.costs import Cost, largest_costs
from speedtui.engine.advise.rule_input import Actual
from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.events import Books
from speedtui.engine.schedule.count import Made
from tests.engine.advise.cases import MINUTE, case, row

SCORED = ScheduleSettings(
    eval_every="1 epoch", checkpoint_every="1 epoch", generate=True, metric="metric.py:score", best_by="exact",
)  # fmt: skip
SETTINGS = Settings(
    model=ModelSettings(path="model", kind="seq2seq"),
    data=DataSettings(train="train.jsonl", eval="eval.jsonl", prompt="question", response="answer"),
    train=TrainSettings(epochs=12),
    schedule=SCORED,
)
MADE = Made(steps=1200, epoch_steps=100, full=12, saves=11)
PHASES = {
    "load": 60.0, "data": 20.0, "forward": 3 * MINUTE, "backward": 4 * MINUTE, "optimizer": 40.0, "eval": 6 * MINUTE,
    "generate": 18 * MINUTE, "metric": 12 * MINUTE, "checkpoint": 2 * MINUTE, "write": 10 * MINUTE, "gap": 2 * MINUTE,
    "other": 60.0,
}  # fmt: skip
BOOKS = Books(wall=60 * MINUTE, phases=PHASES, unaccounted=0.0)


def named(costs: list[Cost], name: str) -> Cost:
    (cost,) = [cost for cost in costs if cost.name == name]
    return cost


def test_the_three_largest_costs_are_named_and_the_steps_with_them() -> None:
    costs = largest_costs(BOOKS, SETTINGS, MADE)
    assert [(cost.name, cost.seconds / MINUTE) for cost in costs] == [
        ("evaluation", pytest.approx(36.0)), ("checkpoints", pytest.approx(12.0)),
        ("training steps", pytest.approx(7.0 + 2 / 3)), ("between epochs", pytest.approx(2.0)),
    ]  # fmt: skip
    assert sum(cost.share for cost in costs) < 1.0


def test_expensive_evaluations_are_made_every_third_epoch_with_the_loss_alone_in_between() -> None:
    cost = named(largest_costs(BOOKS, SETTINGS, MADE), "evaluation")
    assert cost.changes == {"schedule.eval_every": "3 epochs", "schedule.fast_eval_every": "1 epoch"}
    assert cost.lever == (
        "evaluate in full every 3 epochs and the loss alone in between, since generation took 18m 00s of 36m 00s "
        "(50 %) and the metric took 12m 00s of 36m 00s (33 %)"
    )
    # eight of twelve no longer generate and score, two and a half minutes each
    assert cost.gain_seconds == pytest.approx(8 * 2.5 * MINUTE)


def test_evaluations_of_the_loss_are_made_less_often() -> None:
    schedule = ScheduleSettings(eval_every="50 steps", checkpoint_every="never")
    settings = msgspec.structs.replace(SETTINGS, schedule=schedule)
    books = msgspec.structs.replace(BOOKS, phases={"forward": 1200.0, "eval": 2400.0})
    cost = named(largest_costs(books, settings, Made(steps=1200, epoch_steps=100, full=24)), "evaluation")
    assert (cost.lever, cost.changes) == (
        "evaluate every 150 steps instead of every 50 steps", {"schedule.eval_every": "150 steps"},
    )  # fmt: skip
    assert cost.gain_seconds == pytest.approx(16 * 100.0)


def test_checkpoints_follow_the_best_evaluation_and_by_the_clock_they_are_spaced_out() -> None:
    cost = named(largest_costs(BOOKS, SETTINGS, MADE), "checkpoints")
    assert cost.changes == {"schedule.save_only_best": True}
    # twelve saves of a minute, the final model among them; of eleven evaluations about three are the best so far
    expected = 11 - sum(1 / n for n in range(1, 12))
    assert cost.gain_seconds == pytest.approx(expected * MINUTE)
    by_clock = msgspec.structs.replace(SETTINGS, schedule=ScheduleSettings(checkpoint_every="5m"))
    cost = named(largest_costs(BOOKS, by_clock, MADE), "checkpoints")
    assert cost.changes == {"schedule.checkpoint_every": "15m"}
    assert 0 < (cost.gain_seconds or 0.0) < 12 * MINUTE


def test_one_evaluation_and_no_checkpoint_leave_nothing_to_space_out() -> None:
    costs = largest_costs(BOOKS, SETTINGS, Made(steps=1200, epoch_steps=1200, full=1))
    for name in ("evaluation", "checkpoints"):
        cost = named(costs, name)
        assert (cost.lever, cost.changes, cost.gain_seconds) == ("", {}, None)


def test_waiting_for_data_and_new_workers_have_levers_without_a_promise() -> None:
    books = Books(wall=100.0, phases={"data": 40.0, "forward": 40.0, "first_batch": 15.0, "gap": 5.0}, unaccounted=0.0)
    train = msgspec.structs.replace(SETTINGS.train, loader_workers=4)
    costs = largest_costs(books, msgspec.structs.replace(SETTINGS, train=train), Made(steps=10, epoch_steps=5))
    assert named(costs, "waiting for data").changes == {"train.loader_workers": 8}
    for cores, more in ((6, {"train.loader_workers": 6}), (2, {})):
        settings, made = msgspec.structs.replace(SETTINGS, train=train), Made(steps=10, epoch_steps=5)
        assert named(largest_costs(books, settings, made, cores=cores), "waiting for data").changes == more
    assert named(costs, "between epochs").lever.startswith("the 4 loader workers start anew with every epoch")
    assert all(cost.gain_seconds is None for cost in costs)


def test_time_in_which_nobody_worked_is_a_cost_too() -> None:
    books = Books(wall=100.0, phases={"paused": 60.0, "away": 30.0, "forward": 9.9}, unaccounted=0.1)
    costs = largest_costs(books, SETTINGS, Made(steps=10, epoch_steps=5))
    assert [cost.name for cost in costs] == ["paused", "no worker", "training steps"]


def looked_back(phases: dict[str, float], made: Made | None) -> list[tuple[str, str]]:
    seconds = 60 * MINUTE
    ran = case(1.0, "unknown", settings=SETTINGS, window=None, actual=Actual(seconds=seconds, phases=phases, made=made),
               row=row("balanced", 1.0, "unknown", estimate=None))  # fmt: skip
    return [(advice.evidence, next(iter(advice.changes))) for advice in advise(ran)]


def test_a_run_that_is_over_is_told_what_its_evaluations_and_checkpoints_could_have_saved() -> None:
    assert looked_back(PHASES, MADE) == [
        ("12 evaluations took 36m 00s, 60 % of the run; this would have saved 20m 00s", "schedule.eval_every"),
        ("12 checkpoints took 12m 00s, 20 % of the run; this would have saved 7m 59s", "schedule.save_only_best"),
    ]


def test_a_run_that_spent_little_on_them_is_told_nothing() -> None:
    little = {**PHASES, "generate": 60.0, "metric": 60.0, "eval": 60.0, "checkpoint": 5.0, "write": 60.0}
    assert looked_back(little, MADE) == []
    assert looked_back(PHASES, None) == []


def test_waiting_for_data_shows_in_the_phases_of_the_run_itself() -> None:
    assert looked_back({"data": 600.0, "forward": 2400.0, "other": 600.0}, MADE) == [
        ("20 % of a step waits for the loader", "train.loader_workers")
    ]
