from __future__ import annotations

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.config.window import Window
from speedtui.engine.report.books import GROUPS, books_rows, closed_books, rounded
from speedtui.engine.report.compose import RunExpectation, training_report
from speedtui.engine.report.document import training_document
from speedtui.engine.report.record import EstimateComparison
from speedtui.engine.report.summary import summarize
from speedtui.engine.report.text import render_books, render_training
from speedtui.engine.report.words import accuracy_words
from speedtui.engine.state import fold
from speedtui.engine.state.event_words import describe
from speedtui.engine.state.series import Losses
from tests.engine.events_of_a_run import started, step, training
from tests.engine.report.sample_runs import (
    EPOCH_STEPS,
    EVAL_SECONDS,
    LOAD_SECONDS,
    SAVE_SECONDS,
    STARTED_AT,
    SampleTraining,
    estimate,
    killed_training,
    study_alone,
    whole_training,
)

EPOCHS = 4
WHOLE = fold(whole_training(EPOCHS))
TOOK = WHOLE.training.finished.t  # type: ignore[union-attr]


def expecting(seconds: float) -> RunExpectation:
    return RunExpectation(estimate=estimate(seconds), profile="balanced")


def test_counts_and_seconds_of_everything_are_those_of_the_log() -> None:
    report = training_report(WHOLE)
    assert (report.steps, report.total_steps, report.end_reason) == (
        EPOCHS * EPOCH_STEPS,
        EPOCHS * EPOCH_STEPS,
        "steps",
    )
    full = report.training.full_evaluations
    assert (full.count, full.seconds) == (EPOCHS, EPOCHS * EVAL_SECONDS)
    saves = report.training.checkpoint_totals
    assert (saves.count, saves.mean_seconds) == (EPOCHS + 1, SAVE_SECONDS)
    assert report.training.gap_totals.count == EPOCHS - 1
    assert report.first_batches_seconds == pytest.approx(EPOCHS * 0.4)
    assert report.best is not None and report.best.step == EPOCHS * EPOCH_STEPS
    assert (report.state.restarts, report.state.stall_totals.count, report.away_seconds) == (0, 0, 0.0)
    assert report.ended_at == STARTED_AT + TOOK


@pytest.mark.parametrize(
    ("share", "judgement", "words"),
    [
        (1.0, "goal", "within the goal of 95-105 %"),
        (0.951, "goal", "within the goal of 95-105 %"),
        (1.1, "good", "good (85-115 %), outside the goal of 95-105 %"),
        (0.86, "good", "good (85-115 %), outside the goal of 95-105 %"),
        (0.84, "off", "off: 85-115 % is called good"),
        (1.4, "off", "off: 85-115 % is called good"),
    ],
)
def test_the_accuracy_is_the_estimate_over_the_time_and_is_judged(share: float, judgement: str, words: str) -> None:
    comparison = training_report(WHOLE, expecting(TOOK * share)).comparison
    assert comparison.accuracy == pytest.approx(share, abs=1e-4)
    assert comparison.judgement == judgement
    assert accuracy_words(comparison).endswith(f"{share * 100:.1f} %, {words}")


def test_there_is_no_accuracy_where_the_two_are_not_of_the_same_thing() -> None:
    run = SampleTraining(epochs=10)
    cut = fold([*run.begin(), *run.epoch(1), *run.end("deadline", steps=EPOCH_STEPS)])
    early = training_report(cut, expecting(300.0)).comparison
    assert (early.accuracy, early.judgement) == (None, None)
    assert early.note == "it ended after 60 of 600 steps"
    killed = training_report(fold(killed_training()), expecting(300.0)).comparison
    assert (killed.accuracy, killed.actual_seconds, killed.note) == (None, None, "the training has no end")
    resumed = training_report(fold(resumed_training()), expecting(300.0)).comparison
    assert resumed.accuracy is None and "interrupted" in resumed.note


def resumed_training() -> list[e.AnyEvent]:
    run = SampleTraining(epochs=3)
    events = [*run.begin(), *run.epoch(1), *run.epoch(2)]
    events += [run.step(2 * EPOCH_STEPS + n) for n in range(1, 11)]
    events.append(e.WorkerLost(t=run.t, reason="killed by SIGKILL", restarting=False))
    run.spend("away", 100.0)
    return [*events, *run.begin(restarts=1, first_step=2 * EPOCH_STEPS), *run.epoch(3), *run.end()]


def test_a_run_that_was_stopped_and_went_on_is_told_with_all_its_legs() -> None:
    run, away = SampleTraining(epochs=3), 5000.0
    events = [*run.begin(), *run.epoch(1), *run.epoch(2)]
    stopped = run.t
    events.append(e.RunFinished(t=stopped, outcome="stopped", exit_code=0))
    run.spend("away", away)
    begun = run.t
    events += [*run.begin(first_step=2 * EPOCH_STEPS), *run.epoch(3), *run.end()]
    state = fold(events)
    training_state = state.training
    assert training_state is not None and training_state.finished is not None
    legs = (stopped - LOAD_SECONDS) + (training_state.finished.t - begun - LOAD_SECONDS)
    assert training_state.trained_seconds == pytest.approx(legs)
    assert training_state.steps_again == 0
    lines = [(event.step, event.loss) for event in events if isinstance(event, e.StepCompleted)]
    first, last = Losses(*training_state.loss_ends).means()
    assert first == pytest.approx(sum(loss for _, loss in lines[:10]) / 10, abs=1e-6)
    assert last == pytest.approx(sum(loss for _, loss in lines[-10:]) / 10, abs=1e-6)
    comparison = training_report(state, expecting(300.0)).comparison
    assert comparison.actual_seconds == pytest.approx(training_state.finished.t - away)
    assert comparison.accuracy == pytest.approx(300.0 / comparison.actual_seconds, abs=1e-4)
    assert comparison.note == "it was interrupted; the time without a worker is left out"


def test_steps_that_were_made_twice_are_counted() -> None:
    state = fold(resumed_training())
    assert state.training is not None and state.training.steps_again == 10
    assert training_report(state, expecting(300.0)).comparison.note == (
        "it was interrupted, and 10 steps were made twice"
    )


def test_without_an_estimate_the_first_of_the_training_itself_stands_beside_the_time() -> None:
    comparison = training_report(WHOLE).comparison
    assert comparison.estimate is None and comparison.accuracy is None
    assert comparison.running_step == EPOCH_STEPS
    assert accuracy_words(comparison).startswith("none before the run; at step 60 it said ")
    assert accuracy_words(EstimateComparison()) == "none was made"


def test_a_change_on_the_way_is_said_beside_the_accuracy() -> None:
    change = e.SettingsChanged(t=50.0, step=30, values={"schedule.eval_every": "2 epochs"}, reason="command")
    events = whole_training(EPOCHS)
    report = training_report(fold([*events[:40], change, *events[40:]]), expecting(TOOK))
    assert report.comparison.accuracy == pytest.approx(1.0, abs=1e-3)
    assert report.comparison.note == "settings were changed on the way"
    assert "schedule.eval_every = 2 epochs" in render_training(report)


@pytest.mark.parametrize(
    ("spare", "margin", "verdict", "words"),
    [
        (600.0, 60.0, "on_track", "10m 00s before it: in time"),
        (600.0, 900.0, "tight", "10m 00s before it: in time, the margin used"),
        (-120.0, 60.0, "late", "2m 00s after it: late"),
    ],
)
def test_the_deadline_is_held_against_when_it_really_ended(
    spare: float, margin: float, verdict: str, words: str
) -> None:
    window = Window(deadline=STARTED_AT + TOOK + spare, margin_seconds=margin)
    report = training_report(fold(whole_training(EPOCHS, window=window)))
    assert report.verdict == verdict
    assert report.spare_seconds == pytest.approx(spare, abs=0.01)
    assert words in " ".join(render_training(report).split())


def test_a_training_that_the_deadline_ended_is_late_though_it_stopped_in_time() -> None:
    run = SampleTraining(epochs=10, window=Window(deadline=STARTED_AT + 3600, margin_seconds=60.0))
    report = training_report(fold([*run.begin(), *run.epoch(1), *run.end("deadline", steps=EPOCH_STEPS)]))
    assert report.verdict == "late"
    assert "60 of 600 steps" in render_training(report) and "ended by the deadline" in render_training(report)


@pytest.mark.parametrize(
    ("reason", "words"),
    [("patience", "no better evaluation"), ("stop", "stopped on request"), ("steps", "all steps done")],
)
def test_it_says_why_it_ended(reason: e.EndReason, words: str) -> None:
    run = SampleTraining(epochs=10)
    assert words in render_training(training_report(fold([*run.begin(), *run.epoch(1), *run.end(reason)])))


def test_one_that_was_stopped_or_failed_or_killed_says_which() -> None:
    events = killed_training(1, steps_after=0)
    assert "60 of 1,200 steps with mb8 ga4: without an end" in render_training(training_report(fold(events)))
    for outcome in ("stopped", "failed"):
        end = e.RunFinished(t=events[-1].t + 0.5, outcome=outcome, exit_code=1)
        assert f"60 of 1,200 steps with mb8 ga4: {outcome}" in render_training(training_report(fold([*events, end])))


def test_the_largest_costs_come_with_a_lever_and_what_it_saves() -> None:
    costs = training_report(fold(whole_training(20))).costs
    assert [cost.name for cost in costs[:3]] == ["training steps", "evaluation", "checkpoints"]
    assert [cost.seconds for cost in costs] == sorted((cost.seconds for cost in costs), reverse=True)
    evaluation = costs[1]
    assert evaluation.changes["schedule.eval_every"] == "3 epochs"
    assert evaluation.gain_seconds is not None and 180 < evaluation.gain_seconds < evaluation.seconds
    text = render_training(training_report(fold(whole_training(20))))
    assert "evaluate in full every 3 epochs" in text and "saves 3m" in text


def test_costs_are_held_against_the_settings_as_they_became() -> None:
    change = e.SettingsChanged(t=20.0, step=3, reason="command", values={"schedule.save_only_best": True})
    events = whole_training(20)
    costs = training_report(fold([*events[:10], change, *events[10:]])).costs
    assert "schedule.save_only_best" not in [path for cost in costs for path in cost.changes]


def test_a_configuration_of_another_version_leaves_out_the_costs_alone() -> None:
    events = whole_training(2)
    begin = started("train", config={"train": {"warp": 9}}, started_at=STARTED_AT)
    report = training_report(fold([begin, *events[1:]]))
    assert report.costs == () and report.books


# -- books -------------------------------------------------------------------------------------------------------


def test_the_books_table_adds_up_to_the_whole_and_shows_what_is_unaccounted() -> None:
    report = training_report(WHOLE)
    assert sum(row.seconds for row in report.books) == pytest.approx(report.wall_seconds, abs=1e-5)
    assert sum(row.share for row in report.books) == pytest.approx(1.0)
    lines = render_books(report.books, report.wall_seconds).splitlines()
    phases = {line.split()[0]: line.split()[-1] for line in lines}
    assert "unaccounted" in phases
    assert lines[-1].split()[:3] == ["total", f"{report.wall_seconds:,.1f}", "100.0"]


def test_the_rounded_rows_of_the_table_add_up_as_they_are_printed() -> None:
    books = e.Books(wall=30.0, phases=dict.fromkeys(["forward", "backward", "data"], 30 / 7), unaccounted=30 / 7 * 4)
    lines = [line for line in render_books(books_rows(books), 30.0).splitlines()[1:] if line.startswith("    ")]
    unaccounted = [line for line in render_books(books_rows(books), 30.0).splitlines() if "unaccounted" in line]
    printed = [float(line.replace("█", "").split()[2]) for line in [*lines, *unaccounted]]
    assert round(sum(printed), 6) == 100.0


def test_rounding_by_largest_remainders_keeps_the_sum() -> None:
    assert rounded([1 / 3, 1 / 3, 1 / 3], 0.1) == [0.4, 0.3, 0.3]
    assert sum(rounded([14.2857] * 7)) == pytest.approx(100.0)
    assert rounded([-0.0001, 10.0001]) == [0.0, 10.0]
    assert rounded([]) == []


def test_every_phase_has_a_group_and_a_phase_of_a_later_version_counts_as_other() -> None:
    assert {phase for _, phases in GROUPS for phase in phases} == {*e.PHASES, "unaccounted"}
    rows = books_rows(e.Books(wall=10.0, phases={"forward": 6.0, "dreaming": 4.0}, unaccounted=0.0))
    assert {row.phase: row.seconds for row in rows} == {"forward": 6.0, "other": 4.0, "unaccounted": 0.0}


def test_what_a_killed_worker_left_untold_is_away_once_the_run_is_over() -> None:
    events = killed_training(2, steps_after=30)
    going_on = closed_books(fold(events))
    assert going_on is not None and "away" not in going_on.phases
    last = fold(events).t
    end = e.RunFinished(t=last + 40.0, outcome="failed", exit_code=1, reason="the worker was lost: killed by SIGKILL")
    ended = closed_books(fold([*events, e.WorkerLost(t=last + 40.0, reason="killed", restarting=False), end]))
    assert ended is not None
    assert ended.wall == pytest.approx(last + 40.0)
    assert ended.phases["away"] == pytest.approx(last + 40.0 - going_on.wall)
    assert ended.wall == pytest.approx(sum(ended.phases.values()) + ended.unaccounted)


def test_the_seconds_between_closing_the_books_and_the_last_line_are_nobodys_absence() -> None:
    books = e.Books(wall=99.5, phases={"forward": 99.5}, unaccounted=0.0)
    state = fold([started("train"), training(), e.RunFinished(t=100.0, outcome="ok", exit_code=0, books=books)])
    assert closed_books(state) == books


# -- text and document -------------------------------------------------------------------------------------------


def test_the_text_keeps_to_a_hundred_columns() -> None:
    window = Window(deadline=STARTED_AT + 1e6, margin_seconds=60.0)
    states = [fold(whole_training(EPOCHS, window=window)), fold(killed_training()), fold(resumed_training())]
    for state in states:
        text = summarize(state, expected=expecting(300.0))
        assert max(len(line) for line in text.splitlines() if not line.startswith("model")) <= 100


def test_trouble_is_told_and_only_where_there_was_some() -> None:
    assert "trouble" not in render_training(training_report(WHOLE))
    text = " ".join(render_training(training_report(fold(resumed_training()))).split())
    assert "trouble 1 restart, 1m 40s without a worker" in text
    failed = e.CheckpointFailed(t=40.0, step=9, reason="No space left on device", retry_seconds=60.0)
    stall = e.Stalled(t=500.0, phase="eval", seconds=90.0, budget_seconds=60.0)
    state = fold([started("train"), training(), failed, stall, step(20, t=530.0)])
    text = render_training(training_report(state))
    assert "1 stall of 2m 00s in all, 1 checkpoint could not be saved" in text


def test_a_run_that_failed_before_its_first_step_has_a_report_too() -> None:
    end = e.RunFinished(t=11.0, outcome="failed", exit_code=1, reason="out of memory", next="Take less.")
    state = fold([started("train"), training(), end])
    text = summarize(state)
    assert text.startswith("failed: out of memory") and "0 of 100 steps" in text and text.endswith("next: Take less.")
    assert training_document(training_report(state))["books"] is None


def test_a_run_without_a_training_has_no_training_report() -> None:
    with pytest.raises(ValueError, match="no training"):
        training_report(fold(study_alone()))
    assert "best        #1" in summarize(fold(study_alone()))


def test_an_outcome_that_its_reason_names_is_told_once() -> None:
    end = {"t": 9.0, "exit_code": 0}
    stopped = e.RunFinished(outcome="stopped", reason="stopped on request", **end)
    assert summarize(fold([*study_alone()[:-1], stopped])).startswith("stopped on request\n")
    failed = e.RunFinished(outcome="failed", reason="the disk is full", **end)
    assert summarize(fold([*study_alone()[:-1], failed])).startswith("failed: the disk is full\n")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (e.StudyStarted(t=1.0, mode="auto", batches=10, candidates=[], queued=True), "study auto: chooses as it goes"),
        (e.CheckpointSaved(t=1.0, step=60, path="/r/c", bytes=1 << 20, seconds=0.5), "checkpoint 60: 1.0 MiB, 500 ms"),
        (
            e.EvaluationCompleted(t=1.0, step=60, loss=1.5, metrics={"exact": 0.25}, seconds=6.2, rows=8, best=True),
            "eval 60: loss 1.500, exact 0.2500, 6.2 s, the best so far",
        ),
    ],
)
def test_two_figures_of_an_event_never_stand_beside_each_other_without_a_comma(event: e.AnyEvent, words: str) -> None:
    assert describe(event) == ("info", words)


def test_the_document_says_what_the_interface_promises() -> None:
    window = Window(deadline=STARTED_AT + TOOK + 600, margin_seconds=60.0)
    state = fold(whole_training(EPOCHS, window=window))
    document = training_document(training_report(state, expecting(TOOK)))
    assert msgspec.json.decode(msgspec.json.encode(document)) == document
    assert {
        "profile",
        "estimate",
        "window",
        "verdict",
        "dataset",
        "devices",
        "versions",
        "time",
        "actual",
        "accuracy",
    } <= set(document)
    assert (document["profile"], document["verdict"], document["fits_in_window"]) == ("balanced", "on_track", True)
    assert document["accuracy_judgement"] == "goal"
    assert document["estimate"]["hours"] == pytest.approx(document["actual"]["hours"], abs=1e-3)
    assert document["steps"]["ended_by"] == "steps"
    assert document["evaluations"]["full"]["count"] == EPOCHS
    assert document["evaluations"]["best"]["metrics"].keys() == {"execution"}
    assert document["dataset"]["train_rows"] == 1920


def test_a_demos_training_counts_from_its_plan() -> None:
    events = [*study_alone()[:-1], training(t=31.0, trial=1), *(step(n) for n in range(1, 101))]
    end = e.TrainingFinished(t=80.0, steps=100, seconds=40.0, first_loss=2.0, last_loss=1.0, model_path="m")
    report = training_report(fold([*events, end]), RunExpectation(estimate=estimate(50.0), since=30.0))
    assert report.comparison.actual_seconds == 50.0 and report.comparison.accuracy == 1.0


def test_rows_that_were_held_out_are_told_beside_those_that_were_left_out() -> None:
    loaded = e.ModelLoaded(
        t=1.0, model="m", parameters=1, trainable_parameters=1, train_rows=95, eval_rows=5, longest_tokens=9,
        mean_tokens=9.0, seconds=0.0, held_out_rows=5, dropped_rows=2,
    )  # fmt: skip
    state = msgspec.structs.replace(WHOLE, model=loaded)
    assert (
        "95 to train, 5 to evaluate; 5 of the training rows held out to evaluate on, "
        "2 dropped, with nothing to learn from" in " ".join(render_training(training_report(state)).split())
    )
