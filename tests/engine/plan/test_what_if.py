"""Another schedule from a run that is known: held against the estimate that is made from its curve."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.plan.goals import seek_goals
from speedtui.engine.plan.run_options import known_from_training
from speedtui.engine.plan.schedules import schedules
from speedtui.engine.plan.what_if import KnownRun, known_from_estimate, nearest_known, unmeasured, what_if
from speedtui.engine.plan_types import Saving
from speedtui.engine.schedule.costs import RunCosts, StepsTime
from speedtui.engine.state import fold
from speedtui.engine.timing.estimate import estimate_schedule
from tests.engine.events_of_a_run import started, step, training

EPOCH_STEPS, EPOCHS, STEP_SECONDS = 500, 6, 0.4
COSTS = RunCosts(
    load_seconds=30.0, compile_seconds=8.0, eval_seconds=6.0, generate_seconds=20.0, metric_seconds=12.0,
    save_seconds=3.5, final_seconds=4.0,
)  # fmt: skip
MEASURED = Settings(
    model=ModelSettings(path="m"),
    data=DataSettings(train="t", eval="e", text="x"),
    train=TrainSettings(epochs=float(EPOCHS), effective_batch_size=16, micro_batch_size=4),
    schedule=ScheduleSettings(
        eval_every="300 steps", fast_eval_every="100 steps", checkpoint_every="10m", generate=True, metric="m.py:f"
    ),
)


def steps_time(settings: Settings) -> StepsTime:
    train = settings.train
    total = train.max_steps or round(train.epochs * EPOCH_STEPS)
    return StepsTime(
        seconds=total * STEP_SECONDS, deviation=0.0, uncertainty=0.06, total_steps=total, epoch_steps=EPOCH_STEPS,
        epochs=-(-total // EPOCH_STEPS),
    )  # fmt: skip


def engine_says(settings: Settings, costs: RunCosts = COSTS):
    return estimate_schedule(steps_time(settings), costs, settings.schedule, evaluates=True)


@pytest.fixture(scope="module")
def known() -> KnownRun:
    return known_from_estimate(engine_says(MEASURED), MEASURED, rows=8000, eval_rows=512)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"schedule.eval_every": "1 epoch"},
        {"schedule.eval_every": "never", "schedule.fast_eval_every": "50 steps"},
        {"schedule.eval_every": "2m", "schedule.fast_eval_every": "never"},
        {"schedule.generate": False, "schedule.metric": ""},
        {"schedule.metric": ""},
        {"schedule.checkpoint_every": "1 epoch"},
        {"schedule.checkpoint_every": "never", "schedule.save_only_best": True},
        {"train.epochs": 2.0},
        {"train.epochs": 11.5, "schedule.eval_every": "1000 steps"},
        {"train.max_steps": 750},
        {"schedule.eval_share": 0.05},
    ],
)
def test_it_says_what_the_engine_would(known: KnownRun, values: dict[str, object]) -> None:
    settings = with_values(MEASURED, values, "test")
    found, expected = what_if(known, settings), engine_says(settings)
    assert found is not None
    assert found.p50_seconds == pytest.approx(expected.p50_seconds, rel=0.01)
    assert found.evals == pytest.approx(expected.evals, abs=1) and found.total_steps == expected.total_steps


def test_three_schedules_are_those_of_the_engine(known: KnownRun) -> None:
    def engine(settings: Settings) -> Estimate:
        share = (settings.data.eval_rows or 512) / 512
        priced = {name: getattr(COSTS, name) * share for name in ("eval_seconds", "generate_seconds", "metric_seconds")}
        return engine_says(settings, msgspec.structs.replace(COSTS, **priced))

    asked = (None, 0.0, EPOCH_STEPS)
    expected = schedules(MEASURED, engine, *asked, eval_rows=512)
    found = schedules(MEASURED, lambda settings: what_if(known, settings), *asked, eval_rows=512)
    assert [row.name for row in found] == ["full", "fast", "ultra fast"]
    for one, other in zip(found, expected, strict=True):
        assert (one.name, one.values, one.monitored) == (other.name, other.values, other.monitored)
        for figure in ("epoch_seconds", "gap_seconds", "total_seconds"):
            assert getattr(one, figure) == pytest.approx(getattr(other, figure), rel=0.01), (one.name, figure)
    full, fast, ultra = found
    assert full.gap_seconds == pytest.approx(6.0 + 20.0 + 12.0 + 3.5, rel=0.1)
    assert full.gap_seconds > fast.gap_seconds > 10 * ultra.gap_seconds > 0
    assert "answers and metric every epoch" in full.monitored and "answers" not in ultra.monitored


def grouped(known: KnownRun, *, share: float = 0.25) -> KnownRun:
    saving = Saving(lever="group_by_length", seconds=share * 1200, share=share, padding_before=0.3, padding_after=0.02,
                    values={"train.group_by_length": True})  # fmt: skip
    return msgspec.structs.replace(known, savings=(saving,))


def test_steps_that_were_computed_take_what_was_computed_and_say_so(known: KnownRun) -> None:
    settings = with_values(MEASURED, {"train.group_by_length": True, "train.epochs": 3.0}, "test")
    assert what_if(known, settings) is None
    found, plain = what_if(grouped(known), settings), what_if(known, with_values(MEASURED, {"train.epochs": 3.0}, "t"))
    assert found is not None and plain is not None
    assert found.terms["steps"] == pytest.approx(0.75 * plain.terms["steps"])
    assert (plain.source, found.source) == ("measured", "model")
    other = with_values(settings, {"train.micro_batch_size": 2}, "test")
    assert unmeasured(grouped(known), other) == "another step"


def test_a_measurement_of_the_same_steps_answers_before_a_computation(known: KnownRun) -> None:
    settings = with_values(MEASURED, {"train.group_by_length": True}, "test")
    measured = known_from_estimate(engine_says(settings), settings, rows=8000, eval_rows=512)
    assert nearest_known(settings, [grouped(known), measured]) is measured
    assert nearest_known(settings, [grouped(known)]) is not None


def test_what_an_estimate_takes_for_nothing_is_named() -> None:
    costs = RunCosts(load_seconds=30.0, eval_seconds=6.0, save_seconds=None)
    known = known_from_estimate(engine_says(MEASURED, costs), MEASURED, rows=8000, eval_rows=512)
    found = what_if(known, MEASURED)
    assert found is not None
    assert found.unmeasured == engine_says(MEASURED, costs).unmeasured == ("answers", "the metric", "checkpoints")
    alone = with_values(MEASURED, {"schedule.generate": False, "schedule.metric": ""}, "test")
    without = what_if(known, alone)
    assert without is not None and without.unmeasured == ("checkpoints",)
    assert engine_says(MEASURED, RunCosts()).unmeasured == ("evaluations", "checkpoints")


def test_the_ninety_percent_point_keeps_its_distance_from_what_is_computed(known: KnownRun) -> None:
    longer = with_values(MEASURED, {"train.epochs": 12.0}, "test")
    found, expected = what_if(known, longer), engine_says(longer)
    assert found is not None
    late, expected_late = found.p90_seconds - found.p50_seconds, expected.p90_seconds - expected.p50_seconds
    assert late == pytest.approx(expected_late, rel=0.1) and late > 100


def test_fewer_rows_make_an_evaluation_cheaper_in_proportion(known: KnownRun) -> None:
    some = what_if(known, with_values(MEASURED, {"data.eval_rows": 128}, "test"))
    all_rows = what_if(known, MEASURED)
    assert some is not None and all_rows is not None
    for term in ("evals", "generate", "metric"):
        assert some.terms[term] == pytest.approx(all_rows.terms[term] / 4, rel=0.01)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"train.micro_batch_size": 8}, "another step"),
        ({"data.max_length": 512}, "another step"),
        ({"model.dtype": "bfloat16"}, "another step"),
        ({"train.method": "full"}, "another step"),
        ({"schedule.beams": 4}, "the time to generate answers"),
        ({"schedule.generation_batch_size": 4}, "the time to generate answers"),
        ({"schedule.eval_batch_size": 4}, "the time of an evaluation"),
        ({"schedule.metric": "other.py:f"}, "the time of the metric"),
    ],
)
def test_what_was_not_measured_is_not_answered(known: KnownRun, values: dict[str, object], words: str) -> None:
    settings = with_values(MEASURED, values, "test")
    assert what_if(known, settings) is None and unmeasured(known, settings) == words


def test_an_evaluation_that_was_never_made_has_no_price() -> None:
    never = with_values(MEASURED, {"schedule.eval_every": "never", "schedule.fast_eval_every": "never"}, "test")
    known = known_from_estimate(engine_says(never), never, rows=8000, eval_rows=512)
    assert what_if(known, never) is not None
    assert unmeasured(known, MEASURED) == "the time of an evaluation"


def test_a_run_that_was_measured_with_those_settings_answers_instead(known: KnownRun) -> None:
    other = with_values(MEASURED, {"train.micro_batch_size": 8}, "test")
    second = msgspec.structs.replace(known, settings=other)
    assert nearest_known(other, [known, second]) is second
    assert nearest_known(with_values(other, {"train.micro_batch_size": 2}, "test"), [known, second]) is None


def test_goals_are_sought_with_it(known: KnownRun) -> None:
    from speedtui.engine.config.window import Window

    window = Window(deadline=3600.0, margin_seconds=300.0)
    goals = seek_goals(MEASURED, lambda settings: what_if(known, settings), window, 0.0, EPOCH_STEPS)
    best = next(goal for goal in goals if goal.what == "epochs")
    at = what_if(known, with_values(MEASURED, best.values, "test"))
    beyond = what_if(known, with_values(MEASURED, {"train.epochs": best.value + 1}, "test"))
    assert at is not None and beyond is not None
    assert at.p90_seconds <= 3300.0 < beyond.p90_seconds


def test_the_screen_can_ask_without_numpy() -> None:
    code = (
        "import sys; import speedtui.tui.draft.draft_editor, speedtui.tui.draft.planning, speedtui.tui.screens.plan, "
        "speedtui.tui.screens.profiles; print([m for m in ('numpy', 'torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_that_rehearsed_its_evaluation_will_do_so_again() -> None:
    rehearsed = e.EvaluationRehearsed(t=10.0, rows=4, seconds=5.0, expected_seconds=40.0)
    evaluated = e.EvaluationCompleted(t=40.0, step=50, loss=1.0, seconds=6.0, rows=16)
    run = fold([started("train"), training(100), rehearsed, *(step(number) for number in range(1, 51)), evaluated])
    assert run.training is not None
    settings = with_values(MEASURED, {"schedule.generate": False, "schedule.metric": None}, "test")
    known = known_from_training(run, run.training, settings)
    assert known is not None
    seconds = []
    for check in (True, False):
        found = what_if(known, with_values(settings, {"schedule.check_evaluation": check}, "test"))
        assert found is not None
        seconds.append(found.p50_seconds)
    assert seconds[0] - seconds[1] == pytest.approx(5.0)
