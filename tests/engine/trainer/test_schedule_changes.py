"""What a command that changes the schedule leaves as it was."""

from __future__ import annotations

import time

import msgspec
import pytest
from transformers import TrainerControl

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.checkpoint.store import CheckpointStore
from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.log.tail import read_events
from speedtui.engine.schedule.cadence import Cadence
from speedtui.engine.schedule.rules import Rules, rules_of
from speedtui.engine.timing.eta import Eta
from speedtui.engine.trainer.live_settings import LiveSettings
from speedtui.engine.trainer.schedule import TrainingSchedule
from tests.engine.timing.walked_training import Run, line

EVERY_SECOND = ScheduleSettings(eval_every="1h", fast_eval_every="20 steps", checkpoint_every="1s")


def eta_of(schedule: ScheduleSettings) -> Eta:
    return Run(total_steps=1000, epoch_steps=100, schedule=schedule, step_seconds=lambda step: 1.0, start=0.0).eta()


def test_other_beams_put_off_no_checkpoint(context: JobContext) -> None:
    eta, store = eta_of(EVERY_SECOND), CheckpointStore(context.folder.checkpoints, 1)
    schedule = TrainingSchedule(context, LiveSettings(context, Settings()), EVERY_SECOND, eta, store)
    time.sleep(1.01)
    schedule.change(msgspec.structs.replace(EVERY_SECOND, beams=4))
    control = TrainerControl()
    schedule.after_step(1, 1000, control)
    assert control.should_save and not control.should_evaluate


def test_a_frequency_that_changes_counts_from_when_it_was_done_last() -> None:
    def every(text: str) -> Rules:
        return rules_of(ScheduleSettings(eval_every=text), 1000, 10, evaluates=True)

    def due(now: float) -> bool:
        return cadence.evaluation(1, now, 0.0, ends=False) is not None

    cadence = Cadence(every("30s"))
    cadence.evaluated("full", 0.0, 20.0)
    cadence.change(every("15s"), 40.0)
    assert due(40.0)
    cadence.change(every("30s"), 40.0)
    assert not due(40.0)
    assert due(50.0)
    cadence.change(every("never"), 50.0)
    assert not due(50.0)
    cadence.change(every("30s"), 50.0)
    assert not due(50.0), "it begins now: it was never due before"


@pytest.mark.parametrize(
    "changes", [{"beams": 4}, {"eval_every": "never"}, {"fast_eval_every": "7s"}, {"keep_checkpoints": 3}], ids=str
)
def test_what_is_told_of_the_time_to_come_still_counts_from_the_last_checkpoint(changes: dict[str, object]) -> None:
    schedule = ScheduleSettings(eval_every="400s", checkpoint_every="300s")
    kept, changed = eta_of(schedule), eta_of(schedule)
    for eta in (kept, changed):
        for step in range(1, 151):
            eta.observe(line(step, float(step), 1.0))
        eta.saved(2.0)
        for step in range(151, 301):
            eta.observe(line(step, float(step + 2), 1.0))
    changed.change(msgspec.structs.replace(schedule, **changes), 300)
    assert changed.ahead(302.0).due.saves == kept.ahead(302.0).due.saves
    before, after = kept.remaining(302.0), changed.remaining(302.0)
    assert before is not None and after is not None
    assert after.at.since_save == before.at.since_save == 150.0
    assert after.at.since_full == before.at.since_full


def test_what_a_training_is_called_follows_a_setting_that_is_in_its_name(context: JobContext) -> None:
    asked = Settings(
        model=ModelSettings(path="tiny"), data=DataSettings(train="t.jsonl", eval="e.jsonl", prompt="q", response="a")
    )
    live = LiveSettings(context, asked, named=["train.learning_rate"])
    live.total_steps = 10
    assert live.label == "mb1 ga16 r16 lr 0.0002"
    context.handlers[c.Set](c.Set(values={"learning_rate": "5e-5"}))
    assert live.label == "mb1 ga16 r16 lr 5e-05"
    context.log.flush()
    (changed,) = (event for event in read_events(context.folder.events) if isinstance(event, e.SettingsChanged))
    assert changed.label == live.label
