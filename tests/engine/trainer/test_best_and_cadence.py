"""Which evaluation is the best, and when something is due again."""

from __future__ import annotations

import msgspec

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.cadence import Cadence
from speedtui.engine.schedule.rules import rules_of
from speedtui.engine.trainer.best import BestSoFar


def test_a_lower_loss_is_better_and_the_same_is_not() -> None:
    best = BestSoFar()
    assert [best.take(step, loss, {}) for step, loss in ((1, 2.0), (2, 1.5), (3, 1.5), (4, 1.6))] == [
        True, True, False, False,
    ]  # fmt: skip
    assert (best.step, best.value, best.since) == (2, 1.5, 2)


def test_a_higher_metric_is_better() -> None:
    best = BestSoFar("accuracy")
    assert best.take(1, 2.0, {"accuracy": 0.2})
    assert best.take(2, 3.0, {"accuracy": 0.4})
    assert not best.take(3, 1.0, {"accuracy": 0.3})
    assert best.step == 2


def test_an_evaluation_without_the_figure_judges_nothing() -> None:
    best = BestSoFar("accuracy")
    best.take(1, 2.0, {"accuracy": 0.2})
    assert not best.take(2, 1.0, {})
    assert not best.take(3, None, {})
    assert best.since == 0


def test_another_figure_begins_anew_and_a_state_goes_on() -> None:
    best = BestSoFar()
    best.take(1, 2.0, {})
    best.take(2, 2.5, {})
    again = BestSoFar()
    again.restore(best.state())
    assert (again.step, again.value, again.since) == (1, 2.0, 1)
    again.judge_by("accuracy")
    assert (again.step, again.since) == (None, 0)
    again.restore(best.state())
    assert again.step is None, "it was judged by something else"


def saving(every: str) -> Cadence:
    """Checkpoints in a run of 1000 steps, 10 an epoch, that began at 0; none is made early."""
    rules = rules_of(ScheduleSettings(checkpoint_every=every), 1000, 10, evaluates=False)
    return Cadence(msgspec.structs.replace(rules, first_save=None))


def test_steps_and_epochs_are_due_at_their_multiples() -> None:
    every_four = saving("4 steps")
    assert [step for step in range(1, 13) if every_four.save(step, 0.0)] == [4, 8, 12]
    half_epochs = saving("0.5 epochs")
    assert [step for step in range(1, 13) if half_epochs.save(step, 0.0)] == [5, 10]
    never = saving("never")
    assert not never.rules.saves
    assert not never.save(10, 1e9)


def test_a_stretch_of_time_begins_anew_when_it_was_done() -> None:
    long = saving("1h")
    assert not long.save(1, 3599.0)
    assert long.save(1, 3600.0)
    long.saved(3700.0)
    assert not long.save(1, 7299.0) and long.save(1, 7300.0)
    assert long.rules.saves
