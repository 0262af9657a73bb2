"""What helps a training that is late, with figures that can be followed by hand."""

from __future__ import annotations

import msgspec
import pytest

from speedtui.engine.advise.late import LateCase, late_levers
from speedtui.engine.config.check import check
from speedtui.engine.config.live import LIVE_SETTINGS
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.context.order import Alternative
from speedtui.engine.plan_types import Advice
from speedtui.engine.schedule.cadence import TrainingPosition
from speedtui.engine.schedule.count import Prices
from speedtui.engine.schedule.remaining import Remaining

MINUTE = 60.0
PRICES = Prices(step=1.0, full=5 * MINUTE, loss=MINUTE, save=30.0)
EVERY_100 = ScheduleSettings(
    eval_every="100 steps", checkpoint_every="100 steps", generate=True, metric="metric.py:score", best_by="exact",
)  # fmt: skip
SETTINGS = Settings(
    model=ModelSettings(path="model", kind="seq2seq"),
    data=DataSettings(train="train.jsonl", eval="eval.jsonl", prompt="question", response="answer"),
    train=TrainSettings(effective_batch_size=16, micro_batch_size=4),
    schedule=EVERY_100,
)


def remaining(prices: Prices = PRICES, step: int = 1000, **fields: object) -> Remaining:
    """A thousand steps of a second, ten full evaluations of five minutes and nine checkpoints of half a minute."""
    seconds = 1000 * prices.step + 10 * prices.full + 9 * prices.save
    made = Remaining(
        seconds=seconds, steps_seconds=1000 * prices.step, total_steps=2000, epoch_steps=500, evaluates=True,
        at=TrainingPosition(step=step, passed=2 * seconds), prices=prices, generate_seconds=3 * MINUTE,
        metric_seconds=MINUTE,
    )  # fmt: skip
    return msgspec.structs.replace(made, **fields)


def case(short: float, **fields: object) -> LateCase:
    made = LateCase(settings=SETTINGS, remaining=remaining(), short_seconds=short)
    return msgspec.structs.replace(made, **fields)


def changing(found: list[Advice], *paths: str) -> Advice:
    (advice,) = [advice for advice in found if advice.changes.keys() == set(paths)]
    return advice


def test_every_lever_has_the_minutes_that_its_counts_and_costs_make() -> None:
    found = late_levers(case(2 * 3600.0))
    gains = {tuple(advice.changes): (advice.gain_seconds or 0.0) / MINUTE for advice in found}
    assert gains == pytest.approx(
        {
            ("schedule.eval_every",): 45.0,  # nine of ten
            ("schedule.eval_every", "schedule.fast_eval_every"): 9 * 4.0,
            ("schedule.generate", "schedule.metric", "schedule.best_by"): 10 * 4.0,
            ("schedule.metric", "schedule.best_by"): 10 * 1.0,
            ("schedule.checkpoint_every",): 4.0,  # every 500 steps: one left of nine
            ("schedule.save_only_best",): 4.5 - 0.5 * sum(1 / n for n in range(1, 10)),
        }
    )
    assert [advice.gain_seconds for advice in found] == sorted((a.gain_seconds for a in found), reverse=True)
    assert {advice.kind for advice in found} == {"too_slow"}


def test_the_evidence_has_the_figures_that_were_measured_and_says_what_is_still_missing() -> None:
    advice = changing(late_levers(case(2 * 3600.0)), "schedule.eval_every")
    assert advice.evidence == (
        "10 evaluations still to come take 50m 00s at 5m 00s each; this saves 45m 00s: 1h 15m are still missing"
    )
    assert advice.lever == "evaluate only at the end instead of every 100 steps"
    assert advice.changes == {"schedule.eval_every": "2000 steps"}
    generation = changing(late_levers(case(MINUTE)), "schedule.generate", "schedule.metric", "schedule.best_by")
    assert generation.evidence == (
        "10 evaluations still to come take 50m 00s at 5m 00s each; generation takes 3m 00s of each; "
        "this saves 40m 00s: it finishes 39m 00s inside the margin"
    )


@pytest.mark.parametrize(
    ("short_minutes", "every", "spare"),
    [(20, "200 steps", "5m 00s"), (30, "300 steps", "0s"), (39, "500 steps", "1m 00s")],
)
def test_evaluations_are_spaced_no_wider_than_is_enough(short_minutes: int, every: str, spare: str) -> None:
    advice = changing(late_levers(case(short_minutes * MINUTE)), "schedule.eval_every")
    assert advice.changes == {"schedule.eval_every": every}
    assert advice.evidence.endswith(f"it finishes {spare} inside the margin")
    assert advice.lever == f"evaluate every {every} instead of every 100 steps"


def test_what_it_asks_for_can_be_set_while_the_training_goes_on() -> None:
    found = late_levers(
        case(3600.0, alternatives=[other(8, 0.5)], reachable_steps=200)
    )  # fmt: skip
    assert len(found) >= 7
    for advice in found:
        assert set(advice.changes) <= set(LIVE_SETTINGS)
        check(with_values(SETTINGS, advice.changes, "set"), "set")


def other(size: int, step_seconds: float, **values: object) -> Alternative:
    paths = {"train.micro_batch_size": size, **values}
    return Alternative(values=paths, label=f"mb{size}", step_seconds=step_seconds)  # type: ignore[arg-type]


def test_a_larger_micro_batch_counts_where_a_trial_measured_it_and_pays_for_the_changeover() -> None:
    known = [other(8, 0.8), other(16, 0.7), other(16, 0.1, **{"train.gradient_checkpointing": True})]
    advice = changing(late_levers(case(60.0, alternatives=known, changeover_seconds=40.0)), "train.micro_batch_size")
    assert advice.changes == {"train.micro_batch_size": 16}
    assert advice.gain_seconds == pytest.approx(1000 * 0.3 - 40)
    assert advice.lever == (
        "train.micro_batch_size 4 → 16, the effective batch stays 16; the changeover takes about 40s"
    )
    # what a trial measured of both counts as their ratio: this run may be slower than the trial was
    slower = case(60.0, alternatives=known, changeover_seconds=40.0, trial_step_seconds=0.875)
    advice = changing(late_levers(slower), "train.micro_batch_size")
    assert advice.gain_seconds == pytest.approx(1000 * 0.2 - 40)
    dear = late_levers(case(60.0, alternatives=known, changeover_seconds=290.0))
    assert all("train.micro_batch_size" not in advice.changes for advice in dear)
    slow = late_levers(case(60.0, alternatives=[other(16, 1.1)]))
    assert all("train.micro_batch_size" not in advice.changes for advice in slow)


def test_fewer_steps_come_last_whatever_they_gain_and_say_what_is_given_up() -> None:
    found = late_levers(case(3000.0, reachable_steps=250))
    assert found[-1].changes == {"train.max_steps": 1250}
    assert found[-1].lever == "end after 1250 steps instead of 2000"
    assert found[-1].evidence.startswith("gives up 750 steps, 38 % of the training; this saves ")
    # 750 steps, seven evaluations (at 1100, 1200 and the last are left of ten) and seven checkpoints
    assert found[-1].gain_seconds == pytest.approx(750 + 7 * 300 + 7 * 30)
    assert (found[-1].gain_seconds or 0.0) > (found[0].gain_seconds or 0.0)
    for reachable in (None, 0, 1000):
        levers = late_levers(case(3000.0, reachable_steps=reachable))
        assert all("train.max_steps" not in advice.changes for advice in levers)


def test_what_gains_less_than_a_second_or_a_hundredth_is_not_worth_a_word() -> None:
    cheap = remaining(Prices(step=10.0, full=5.0, loss=4.0, save=0.1))
    assert late_levers(case(3600.0, remaining=cheap)) == []
    short = Remaining(
        seconds=3.0, steps_seconds=0.0, total_steps=20, epoch_steps=20, evaluates=True,
        at=TrainingPosition(step=19, passed=100.0), prices=Prices(step=0.1, full=3.0), metric_seconds=0.9,
        generate_seconds=0.9,
    )  # fmt: skip
    assert late_levers(case(60.0, remaining=short, settings=plain("1 epoch"))) == []


def plain(every: str, **fields: object) -> Settings:
    """Without generation and metric."""
    schedule = ScheduleSettings(eval_every=every, checkpoint_every="never")
    return msgspec.structs.replace(SETTINGS, schedule=msgspec.structs.replace(schedule, **fields))


def test_evaluations_of_the_loss_alone_are_not_offered_what_they_do_not_have() -> None:
    same = remaining(Prices(step=1.0, full=60.0, loss=60.0))
    found = late_levers(case(60.0, remaining=same, settings=plain("100 steps")))
    assert [set(advice.changes) for advice in found] == [{"schedule.eval_every"}]


@pytest.mark.parametrize(("every", "chosen"), [("1 epoch", "2 epochs"), ("0.2 epochs", "0.4 epochs"), ("5m", "10m")])
def test_spacings_are_written_as_they_were(every: str, chosen: str) -> None:
    advice = changing(late_levers(case(60.0, settings=plain(every))), "schedule.eval_every")
    assert advice.changes == {"schedule.eval_every": chosen}


def test_checkpoints_are_never_spaced_wider_than_two_hours_of_work() -> None:
    slow = remaining(Prices(step=30.0, full=0.0, loss=0.0, save=600.0))
    found = late_levers(case(10 * 3600.0, remaining=slow, settings=plain("never", checkpoint_every="100 steps")))
    checkpoints = changing(found, "schedule.checkpoint_every")
    assert checkpoints.changes == {"schedule.checkpoint_every": "200 steps"}  # 300 of them are 2.5 hours
    assert "up to 1h 40m of work could then be lost" in checkpoints.evidence
