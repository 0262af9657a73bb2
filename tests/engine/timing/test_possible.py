"""Settings are held against the rows, the steps and the evaluation data that they meet."""

from __future__ import annotations

import random

import msgspec
import pytest
import torch

from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.errors import ConfigError
from speedtui.engine.schedule.steps import counts_of
from speedtui.engine.timing.possible import doubts, evaluations_before_the_end, require_possible
from speedtui.engine.trainer.best import BestSoFar
from speedtui.engine.workload.base import DataFacts, MapDataset, Workload


def workload(rows: int, *, evaluated: int | None = None) -> Workload:
    """Samples of a recipe, so that only their number counts."""
    data: MapDataset = torch.zeros(rows, 1)  # type: ignore[assignment]
    return Workload(
        name="model", model=torch.nn.Linear(1, 1), tokenizer=None, train_dataset=data,
        eval_dataset=None if evaluated is None else torch.zeros(evaluated, 1),  # type: ignore[arg-type]
        collator=lambda samples: {}, lengths=None, facts=DataFacts(train_rows=rows), padding="recipe",
    )  # fmt: skip


def settings(**values: object) -> Settings:
    plain = Settings(
        model=ModelSettings(path="model"), data=DataSettings(train="train.jsonl", text="text"),
        train=TrainSettings(effective_batch_size=4, epochs=2.0),
    )  # fmt: skip
    return with_values(plain, {name.replace("__", "."): value for name, value in values.items()}, "test")


def refusal(asked: Settings, met: Workload) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        require_possible(asked, met)
    return caught.value.message, caught.value.hint


def test_a_step_cannot_see_more_rows_than_there_are() -> None:
    asked = settings(train__effective_batch_size=16, train__micro_batch_size=16)
    assert refusal(asked, workload(6)) == (
        "train.effective_batch_size 16: there are 6 rows to train on, so that no step would see 16",
        "Set train.effective_batch_size = 6, or less.",
    )
    require_possible(asked, workload(16))
    require_possible(settings(train__effective_batch_size=6, train__micro_batch_size=3), workload(6))


def test_a_warm_up_ends_before_the_last_step() -> None:
    asked = settings(train__lr_warmup_steps=500, train__learning_rate=2e-4)
    assert refusal(asked, workload(4))[0] == (
        "train.lr_warmup_steps 500: the run has 2 steps, so that the learning rate would come to 8e-07 of 0.0002"
    )
    for rows, warmup, possible in ((40, 19, True), (40, 20, False), (40, 0, True), (4, 1, True), (4, 2, False)):
        asked = settings(train__lr_warmup_steps=warmup)
        if possible:
            require_possible(asked, workload(rows))
        else:
            assert f"{warmup}: the run has {rows // 2} steps" in refusal(asked, workload(rows))[0]
    require_possible(settings(train__lr_warmup_steps=500), workload(4), begun=True)


@pytest.mark.parametrize(
    ("name", "value"), [("generate", True), ("patience", 3), ("save_only_best", True)]
)  # fmt: skip
def test_what_rests_on_evaluations_needs_something_to_evaluate(name: str, value: object) -> None:
    asked = settings(**{f"schedule__{name}": value, "model__kind": "python"})
    assert refusal(asked, workload(8)) == (
        f"schedule.{name} needs evaluations, and there is no evaluation data",
        "Return eval_dataset from the recipe, or remove it.",
    )
    require_possible(asked, workload(8, evaluated=2))


def test_evaluations_that_were_spaced_and_have_no_data_are_told_and_those_of_the_default_are_not() -> None:
    assert doubts(settings(), workload(8)) == []
    assert doubts(settings(schedule__eval_every="never"), workload(8)) == []
    (told,) = doubts(settings(schedule__eval_every="30 steps"), workload(8))
    assert told.text == "schedule.eval_every 30 steps: there is no evaluation data, so nothing is evaluated"
    assert told.hint == "Name data.eval or set data.validation_share, or remove it."
    assert doubts(settings(schedule__eval_every="30 steps"), workload(8, evaluated=2)) == []
    assert [doubt.text[:24] for doubt in doubts(settings(schedule__fast_eval_every="1m"), workload(8))] == [
        "schedule.fast_eval_every"
    ]


def test_a_patience_that_the_run_cannot_use_up_is_told_with_both_numbers() -> None:
    asked = settings(schedule__patience=3, schedule__eval_every="1 epoch", train__epochs=3.0)
    (told,) = doubts(asked, workload(8, evaluated=2))
    assert told.text == (
        "schedule.patience 3 cannot end this training: 2 evaluations come before its last step, and the first of them "
        "is the best so far"
    )
    assert doubts(with_values(asked, {"train.epochs": 5.0}, "test"), workload(8, evaluated=2)) == []


def test_patience_is_doubted_exactly_where_no_course_of_losses_could_end_the_training() -> None:
    pick = random.Random(5)
    for _ in range(300):
        every, fast = (pick.choice(["never", "1 epoch", "2 epochs", "3 steps", "7 steps"]) for _ in range(2))
        asked = settings(
            schedule__patience=pick.randint(1, 8), schedule__eval_every=every, schedule__fast_eval_every=fast,
            train__epochs=float(pick.randint(1, 6)),
        )  # fmt: skip
        rows = pick.randint(4, 40)
        counts = counts_of(asked, rows)
        steps = [
            each for each in (_steps(every, counts.epoch_steps), _steps(fast, counts.epoch_steps)) if each is not None
        ]
        best, ends = BestSoFar(), False
        for step in range(1, counts.total_steps):
            if any(step % each == 0 for each in steps):
                best.take(step, 1.0 + step, {})  # never better than the first
                ends = ends or best.since >= (asked.schedule.patience or 0)
        assert bool(doubts(asked, workload(rows, evaluated=2))) is not ends, (asked.schedule, rows)


def _steps(every: str, epoch_steps: int) -> int | None:
    if every == "never":
        return None
    count, what = every.split()
    return int(count) * (epoch_steps if what.startswith("epoch") else 1)


def test_how_many_evaluations_there_are_by_the_clock_nobody_says() -> None:
    counts = counts_of(settings(), 40)
    for schedule in (ScheduleSettings(eval_every="5m"), ScheduleSettings(eval_share=0.1)):
        assert evaluations_before_the_end(schedule, counts) is None
    plain = ScheduleSettings(eval_every="5 steps", fast_eval_every="2 steps")
    assert evaluations_before_the_end(plain, counts) == len({5, 10, 15} | set(range(2, 20, 2)))
    by_metric = msgspec.structs.replace(plain, best_by="score")
    assert evaluations_before_the_end(by_metric, counts) == 3


def test_what_rests_on_evaluations_that_never_come_is_told() -> None:
    def told(**schedule: object) -> list[str]:
        asked = settings(**{f"schedule__{name}": value for name, value in schedule.items()})
        return [doubt.text for doubt in doubts(asked, workload(8, evaluated=2))]

    end = ": schedule.eval_every is never, so that nothing comes of it unless you ask for an evaluation"
    by_metric = {"generate": True, "metric": "metric.py:score", "best_by": "score"}
    for resting in ({"patience": 2}, {"save_only_best": True}, {"generate": True}):
        (name,) = resting
        assert told(eval_every="never", **resting) == [f"schedule.{name}{end}"]
        assert told(eval_every="1 step", **resting) == []
    assert told(eval_every="never", patience=2, save_only_best=True) == [
        f"schedule.patience, schedule.save_only_best{end}"
    ]
    assert told(eval_every="never", fast_eval_every="1 step", patience=2, save_only_best=True) == []
    assert told(eval_every="never", fast_eval_every="1 step", patience=2, **by_metric) == [
        f"schedule.generate, schedule.best_by, schedule.patience{end}"
    ]
    assert told(eval_every="never") == []


def test_a_patience_without_an_evaluation_before_the_end_does_not_speak_of_the_first() -> None:
    (told,) = doubts(settings(schedule__patience=1, train__epochs=1.0), workload(8, evaluated=2))
    assert told.text == "schedule.patience 1 cannot end this training: no evaluation comes before its last step"
