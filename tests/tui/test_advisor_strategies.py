"""What is advised from a run's own log: figures of its trials, computations said to be so, and nothing guessed."""

from __future__ import annotations

import math
from pathlib import Path

import builders as b
import builders_advisor as ba
import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.advise.gains import turns_of
from speedtui.engine.advise.strategies import Advised, advised, diagnosis_of
from speedtui.engine.advise.strategy import AdvisorStrategy
from speedtui.engine.candidate import Measurement
from speedtui.engine.log.tail import read_events
from speedtui.engine.plan_types import Choice, Plan, ProfileRow, Saving
from speedtui.engine.state import RunState, fold

DEMO = Path(__file__).parents[1] / "data/recordings/demo.jsonl"


def of(events: list[e.AnyEvent]) -> Advised:
    run = fold(events)
    return advised(run, run)


def named(found: Advised, name: str) -> AdvisorStrategy:
    return next(one for one in found.strategies if one.name == name)


def measurement_of(run: RunState, trial: int | None) -> Measurement:
    row = run.study.row(trial) if run.study is not None and trial is not None else None
    assert row is not None and row.result is not None and row.result.measurement is not None
    return row.result.measurement


# -- measured --------------------------------------------------------------------------------------


def test_every_measured_gain_of_the_recorded_demo_is_the_ratio_of_its_two_trials() -> None:
    run = fold(read_events(DEMO))
    measured = [one for one in advised(run, run).strategies if one.source == "measured"]
    assert measured
    for strategy in measured:
        assert strategy.gain is not None
        before, after = (measurement_of(run, trial) for trial in (strategy.gain.before, strategy.gain.after))
        assert strategy.gain.ratio == pytest.approx(after.samples_per_second / before.samples_per_second)


def test_a_pair_of_trials_differs_in_nothing_but_the_setting_it_speaks_for() -> None:
    run = fold(read_events(DEMO))
    study = run.study
    assert study is not None
    for strategy in advised(run, run).strategies:
        if strategy.source == "measured" and len(strategy.values) == 1 and strategy.gain is not None:
            rows = [study.row(trial or 0) for trial in (strategy.gain.before, strategy.gain.after)]
            values = [row.candidate.values for row in rows if row is not None]
            assert [path for path in values[0] if values[0][path] != values[1][path]] == list(strategy.values)


def test_what_gains_is_ready_what_is_open_is_unproven_and_what_loses_is_not_worth_it() -> None:
    found = of(ba.compared_study())
    states = {one.name: one.state for one in found.strategies if one.source == "measured"}
    assert states == {
        "micro-batch 1 → 2": "ready", "torch.compile on": "unproven", "checkpointing on": "not_worth_it",
    }  # fmt: skip


def test_the_interval_comes_from_those_of_both_trials() -> None:
    gain = named(of(ba.compared_study()), "torch.compile on").gain
    assert gain is not None and gain.low is not None and gain.high is not None
    half = math.hypot(math.log(1.02 / 0.98) / 2, math.log(1.05 / 0.95) / 2)
    assert gain.ratio == pytest.approx(600 / 590)
    assert (gain.low, gain.high) == pytest.approx((gain.ratio * math.exp(-half), gain.ratio * math.exp(half)))
    assert gain.low < 1 < gain.high


def test_the_peak_of_a_strategy_is_the_difference_of_the_measured_peaks() -> None:
    delta = named(of(ba.compared_study()), "micro-batch 1 → 2").peak_delta_bytes
    assert delta is not None and delta / 2**30 == pytest.approx(6.0, abs=0.01)


def test_a_gain_measured_beside_other_settings_is_open_and_says_beside_which() -> None:
    strategy = named(of(ba.stacked_study()), "loader workers 0 → 2")
    assert strategy.gain is not None and strategy.gain.low is not None and strategy.gain.low > 1
    assert strategy.state == "unproven"
    assert strategy.evidence.endswith("with mb4")


def test_a_measurement_in_turns_is_preferred_to_the_two_trials() -> None:
    strategy = named(of(ba.stacked_study()), "micro-batch 1 → 4")
    assert strategy.source == "in_turns"
    assert strategy.gain is not None
    assert (strategy.gain.ratio, strategy.gain.low, strategy.gain.high) == (1.45, 1.41, 1.49)


def test_a_setting_is_not_listed_both_ways_round() -> None:
    run = fold(read_events(DEMO))
    names = [one.name for one in advised(run, run).strategies]
    assert "micro-batch 4 → 2" in names and "micro-batch 2 → 4" not in names


def test_what_is_in_use_stays_listed_where_nothing_else_is_known_of_its_setting() -> None:
    run = fold(read_events(DEMO))
    assert named(advised(run, run), "loader workers 0 → 2").state == "applied"


def test_a_measurement_in_turns_speaks_for_both_ways_round() -> None:
    run = fold(ba.stacked_study())
    assert run.study is not None
    there, back = (turns_of(run.study)[pair] for pair in ((0, 1), (1, 0)))
    assert (back.ratio, back.low, back.high) == pytest.approx((1 / 1.45, 1 / 1.49, 1 / 1.41))
    assert (there.before, there.after, back.before, back.after) == (0, 1, 1, 0)


def test_two_trials_of_which_one_has_no_interval_have_a_ratio_without_one() -> None:
    log = ba.study((ba.moved(0, 1), ba.result(0.6, 31.0)), (ba.moved(1, 2), ba.result(0.5, 31.0, width=0.0)))
    gain = named(of(log), "micro-batch 1 → 2").gain
    assert gain is not None and (gain.ratio, gain.low, gain.high) == (pytest.approx(1.2), None, None)
    assert named(of(log), "micro-batch 1 → 2").state == "unproven"


def test_the_stack_begins_at_the_base_of_the_trials() -> None:
    """A search that kept its first change beside another trial than that of the study's own settings."""
    log = ba.study(
        (ba.moved(0, 1), ba.result(0.746, 31.2)), (ba.moved(1, 4), ba.result(0.517, 40.1)),
        (ba.moved(2, 4, loader_workers=2), ba.result(0.470, 40.1)),
        mode="auto", best=2, decisions=(ba.kept(2, 1, 1.12, 1.08, 1.16),),
    )  # fmt: skip
    stack = of(log).stack
    assert [(one.trial, one.added) for one in stack] == [(0, ()), (1, ("mb4",)), (2, ("workers 2",))]
    assert stack[1].gain is not None and stack[1].gain.ratio == pytest.approx(746 / 517)


def test_a_trial_that_ran_out_of_memory_is_not_possible_here_and_says_which() -> None:
    strategy = named(of(ba.compared_study()), "bf16 autocast on")
    assert (strategy.state, strategy.evidence) == ("not_possible", "trial #4 ran out of memory")
    assert strategy.gain is None


def test_settings_that_have_nothing_to_do_with_speed_are_no_strategy() -> None:
    log = ba.study((ba.moved(0, 1), ba.result(0.6, 31.0)), (ba.moved(1, 1, learning_rate=1e-4), ba.result(0.5, 31.0)))
    assert not [one for one in of(log).strategies if "train.learning_rate" in one.values]


def test_a_candidate_that_waits_has_its_predicted_peak_said_to_be_predicted() -> None:
    own, larger = (
        e.MemoryPredicted(t=16.0 + n, label="", trial=n, micro_batch_size=1 + n, predicted_bytes=(10 + 5 * n) * 2**30)
        for n in (0, 1)
    )
    log = ba.study((ba.moved(0, 1), b.ok_result(0.6, 10.0)), (ba.moved(1, 2), None))
    strategy = named(of([*log, own, larger]), "micro-batch 1 → 2")
    assert (strategy.state, strategy.peak_predicted) == ("queued", True)
    assert strategy.peak_delta_bytes == pytest.approx(15 * 2**30 - 0.98 * 10 * 2**30)


# -- nothing is guessed ----------------------------------------------------------------------------


def test_what_nobody_measured_has_no_gain_and_no_peak() -> None:
    found = of(ba.compared_study())
    waiting = [one for one in found.strategies if one.state in ("to_probe", "queued")]
    assert {"flash attention 2", "packing on"} <= {one.name for one in waiting}
    assert {(one.gain, one.peak_delta_bytes, one.saves_seconds, one.source) for one in waiting} == {
        (None, None, None, "none")
    }


def test_a_candidate_that_waits_is_queued_with_its_number() -> None:
    strategy = named(of(ba.compared_study()), "loader workers 0 → 2")
    assert (strategy.state, strategy.evidence) == ("queued", "trial #5 is waiting")


def test_a_training_without_a_study_lists_its_levers_and_what_could_be_tried() -> None:
    found = of(b.late_training_log())
    live = [one for one in found.strategies if one.live]
    assert [one.saves_seconds for one in live] == sorted((one.saves_seconds or 0.0 for one in live), reverse=True)
    assert live and found.strategies[: len(live)] == tuple(live)
    assert all(one.gain is None for one in found.strategies)


def planned_to_group(*, micro_batch_size: int) -> e.PlanMade:
    """A plan for the study's own settings with this micro-batch."""
    saving = Saving(lever="group_by_length", seconds=600.0, share=0.2, padding_before=0.3, padding_after=0.02,
                    values={"train.group_by_length": True})  # fmt: skip
    row = ProfileRow(profile="fast", description="", label="", values={"train.micro_batch_size": micro_batch_size},
                     micro_batch_size=micro_batch_size, grad_accum_steps=1, max_length=1024, epochs=3.0)  # fmt: skip
    plan = Plan(made_at=0.0, device="H100", device_here=True, limit_bytes=None, train_rows=8000, mean_tokens=212.0,
                longest_tokens=1024, total_tokens=None, selected="fast", profiles=[row], savings=[saving],
                choice=Choice(profile="fast", epochs=3.0, max_length=1024, reason="rows"))  # fmt: skip
    return e.PlanMade(t=410.0, plan=plan)


def test_what_a_plan_computed_is_an_estimate_with_its_seconds() -> None:
    found = of([*ba.compared_study(), planned_to_group(micro_batch_size=1)])
    strategy = named(found, "group by length on")
    assert (strategy.source, strategy.saves_seconds, strategy.risk) == ("estimate", 600.0, "order")
    assert strategy.gain is not None and strategy.gain.ratio == pytest.approx(1.25) and strategy.gain.low is None


def test_what_a_plan_computed_for_another_micro_batch_is_no_gain_of_the_one_in_use() -> None:
    found = of([*ba.compared_study(), planned_to_group(micro_batch_size=8)])
    strategy = named(found, "group by length on")
    assert (strategy.state, strategy.gain, strategy.saves_seconds) == ("not_worth_it", None, None)
    assert strategy.evidence == "a micro-batch of 1 has no padding"


def test_before_the_configuration_is_known_nothing_is_advised() -> None:
    assert of([]) == Advised(problem="No configuration is known yet.")


def test_settings_written_by_another_version_are_a_problem_and_not_a_crash() -> None:
    started = msgspec.structs.replace(b.run_started(), config={"future": {}})
    assert "future" in of([started]).problem


# -- together --------------------------------------------------------------------------------------


def test_a_stack_has_the_figures_of_its_own_trials_and_multiplies_nothing() -> None:
    stack = of(ba.stacked_study()).stack
    assert [step.trial for step in stack] == [0, 1, 2]
    assert [step.added for step in stack] == [(), ("mb4",), ("workers 2",)]
    last = stack[-1].gain
    assert last is not None
    assert last.ratio == pytest.approx(0.746 / 0.470)
    assert abs(last.ratio - 1.45 * 1.12) > 0.02  # what multiplying would have said
    assert stack[-1].in_turns is not None and stack[-1].in_turns.ratio == 1.12


def test_the_whole_stack_is_a_strategy_of_its_own_where_it_was_measured() -> None:
    strategy = of(ba.stacked_study()).strategies[0]
    assert strategy.name == "together: mb4, workers 2"
    assert strategy.values == {"train.micro_batch_size": 4, "train.loader_workers": 2}
    assert strategy.gain is not None and strategy.gain.ratio == pytest.approx(0.746 / 0.470)


def test_without_comparisons_the_trials_on_the_way_to_the_best_one_are_the_stack() -> None:
    log = ba.study(
        (ba.moved(0, 1), ba.result(0.6, 31.0)),
        (ba.moved(1, 2), ba.result(0.5, 37.0)),
        (ba.moved(2, 2, bf16=True), ba.result(0.4, 36.0)),
        (ba.moved(3, 4, compile=True), ba.result(0.7, 36.0)),
        best=2,
    )
    stack = of(log).stack
    assert [step.trial for step in stack] == [0, 1, 2]
    assert [step.cautious for step in stack] == [True, True, False]


def test_nothing_is_stacked_where_the_study_s_own_settings_were_not_measured() -> None:
    log = ba.study((ba.moved(0, 2), ba.result(0.6, 31.0)), (ba.moved(1, 4), ba.result(0.5, 37.0)), best=1)
    assert of(log).stack == ()


def test_a_larger_micro_batch_leaves_the_numbers_alone_and_bf16_does_not() -> None:
    risks = {one.name: one.risk for one in of(ba.compared_study()).strategies}
    assert risks["micro-batch 1 → 2"] == "memory"
    assert risks["bf16 autocast on"] == "numbers"
    assert risks["packing on"] == "order"
    assert risks["loader workers 0 → 2"] == "none"


# -- diagnosis -------------------------------------------------------------------------------------


def diagnosis(events: list[e.AnyEvent]) -> tuple[str, str]:
    run = fold(events)
    found = diagnosis_of(run, advised(run, run))
    return found.bottleneck, found.reason


def phases(**moved: float) -> dict[str, float]:
    return {**b.PHASES, **moved}


def steps_of(taken: dict[str, float]) -> list[e.AnyEvent]:
    log = b.training_log(300)
    return [
        msgspec.structs.replace(event, phases={name: value * event.steps for name, value in taken.items()})
        if isinstance(event, e.StepCompleted)
        else event
        for event in log
    ]


def test_a_busy_gpu_is_the_bottleneck_where_nothing_else_is() -> None:
    assert diagnosis(b.training_log(300)) == ("GPU compute", "")


def test_waiting_for_data_names_the_loader_without_workers() -> None:
    assert diagnosis(steps_of(phases(data=0.2))) == ("waiting for data", "the loader has no workers")


def test_evaluations_that_take_a_quarter_of_the_run_come_before_its_steps() -> None:
    books = e.Books(wall=400.0, phases={"forward": 200.0, "eval": 30.0, "generate": 100.0}, unaccounted=0.0)
    name, reason = diagnosis([*b.training_log(300), e.BooksUpdated(t=900.0, books=books)])
    assert (name, reason) == ("evaluation", "every 1 epoch, mostly answers and their metric")


def test_without_a_measured_step_there_is_no_diagnosis() -> None:
    assert diagnosis(b.loading_log()) == ("", "")


def test_free_memory_is_that_of_the_measured_peak() -> None:
    run = fold(b.training_log(300))
    found = diagnosis_of(run, advised(run, run))
    assert found.headroom == "memory 39 % free of 79.6 GiB" and found.room
