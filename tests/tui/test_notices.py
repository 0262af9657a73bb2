"""What stands below the deadline while it needs a person, what the schedule and the loss say, how a run ended."""

from __future__ import annotations

import builders as b
import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.plan_types import Advice
from speedtui.engine.state import RunState, fold
from speedtui.tui.drawing.text import plain
from speedtui.tui.frame import Frame
from speedtui.tui.panes.deadline import draw_deadline
from speedtui.tui.panes.header import draw_header
from speedtui.tui.panes.loss import draw_loss
from speedtui.tui.panes.notices import notices
from speedtui.tui.panes.schedule import draw_schedule
from speedtui.tui.screens.levers import draw_levers

LATE = b.late_training_log()
T = LATE[-1].t


def frame_of(run: RunState, **more: object) -> Frame:
    return msgspec.structs.replace(Frame(run=run, study=run, clock=run.now), **more)


def said(log: list[e.AnyEvent], width: int = 140, **more: object) -> list[str]:
    return [plain(line) for line in notices(frame_of(fold(log), **more), width)]


def schedule(log: list[e.AnyEvent], width: int = 140, height: int = 3) -> list[str]:
    return [plain(line) for line in draw_schedule(fold(log), width, height)]


def test_nothing_is_said_while_all_is_well() -> None:
    assert said(b.training_log()) == []


def test_a_late_run_names_the_best_lever_with_its_gain_and_its_key() -> None:
    assert said(LATE) == ["l  evaluate every 6000 steps instead of every 1200 steps: saves 1h 10m, enough  +2 more"]


@pytest.mark.parametrize("width", [24, 36, 56, 76])
def test_where_there_is_no_room_the_words_of_a_lever_are_cut_and_never_its_gain(width: int) -> None:
    (line,) = said(LATE, width)
    assert line.startswith("l ") and "saves 1h 10m" in line and len(line) <= width


def test_a_lever_that_is_not_enough_says_how_much_is_missing() -> None:
    small = msgspec.structs.replace(b.LEVERS[1], gain_seconds=21.0)
    assert "saves 21s of 1h 04m" in said([*LATE, e.LeversFound(t=T, levers=[small], short_seconds=3840.0)])[0]


def test_a_lever_goes_when_the_run_is_no_longer_late() -> None:
    assert said([*LATE, e.LeversFound(t=T, levers=[], short_seconds=0.0)]) == []


def test_a_stall_counts_on_while_it_lasts_and_is_gone_with_the_next_step() -> None:
    stall = e.Stalled(t=T, phase="eval", seconds=312.0, budget_seconds=120.0)
    first = said([*b.training_log(), stall, b.hardware(T + 20)])[0]
    assert "STALLED 5m 32s in eval, 2m 00s expected at most" in first
    assert said([*b.training_log(), stall, b.coalesced(T + 30, 7579, 1, loss=1.2)]) == []


def test_a_checkpoint_that_was_not_saved_is_said_until_one_is() -> None:
    failed = e.CheckpointFailed(t=T, step=7500, reason="No space left on device", retry_seconds=60.0)
    log = [*b.training_log(), failed]
    assert said([*log, b.hardware(T + 18)]) == ["! NOT SAVED step 7500: No space left on device; next try in 40s"]
    assert "trying again" in said([*log, b.hardware(T + 61)])[0]
    saved = e.CheckpointSaved(t=T + 62, step=7600, path="checkpoints/7600", bytes=1000, seconds=3.8)
    assert said([*log, saved]) == []


def test_trouble_comes_before_what_helps_a_late_run() -> None:
    failed = e.CheckpointFailed(t=T, step=7500, reason="No space left on device", retry_seconds=60.0)
    stall = e.Stalled(t=T + 1, phase="training", seconds=90.0, budget_seconds=60.0)
    first, second, third = said([*LATE, failed, stall])
    assert "STALLED" in first and "NOT SAVED" in second and third.startswith("l ")


def test_a_lost_worker_that_nobody_starts_again_names_the_command_that_goes_on() -> None:
    lost = [*LATE, e.WorkerLost(t=T, reason="killed by SIGKILL", restarting=False)]
    assert said(lost, read_only=True)[-1] == "Go on: speedtui train --resume 20260101-000000-train-4f1a"
    restarted = said([*LATE, e.WorkerLost(t=T, reason="killed by SIGKILL", restarting=True)])
    assert restarted == ["the worker was lost: killed by SIGKILL; starting it again"]


def test_with_two_rows_trouble_takes_the_place_of_the_bar_and_the_verdict_stays() -> None:
    rows = [plain(line) for line in draw_deadline(frame_of(fold(LATE)), 40, 4)]
    assert "LATE by 44m" in rows[1] and "finish 04:04" in rows[1] and "saves 1h 10m" in rows[2]


def test_what_goes_on_between_steps_stands_beside_the_finish_and_goes_with_its_end() -> None:
    generating = e.ProgressMade(t=T + 1, what="generating", done=120, total=512)
    during = fold([*LATE, generating])
    assert "finish 04:04 (in 3h 11m)   … generating 120/512" in plain(draw_deadline(frame_of(during), 80, 5)[2])
    after = fold([*LATE, generating, msgspec.structs.replace(b.evaluation(7200), t=T + 2, step=7578)])
    assert "generating" not in plain(draw_deadline(frame_of(after), 80, 5)[2])


def test_a_command_is_said_to_be_sent_until_it_is_answered() -> None:
    run = fold(b.training_log())
    assert "evaluate sent" in plain(draw_header(frame_of(run, unanswered=("evaluate",)), "monitor", 80))
    assert "sent" not in plain(draw_header(frame_of(run), "monitor", 80))
    read = fold([*b.training_log(), e.CommandReceived(t=T, id="1", command="checkpoint")])
    assert "checkpoint sent" in plain(draw_header(frame_of(read), "monitor", 80))


def test_the_schedule_says_what_it_was_before_it_was_changed() -> None:
    changed = e.SettingsChanged(
        t=T, step=7578, values={"schedule.eval_every": "6000 steps", "schedule.metric": ""}, reason="command"
    )
    plan = schedule([*LATE, changed])[0]
    assert ", every 6000 steps (was 1200 steps)" in plan and "metric not set (changed)" in plan
    assert "checkpoint in 27m, every 30m   " in plan and "was" not in schedule(LATE)[0]


@pytest.mark.parametrize(
    ("every", "after"),
    [
        ("1200 steps", "822 steps (6m)"), ("7580 steps", "2 steps (<5s)"), ("7579 steps", "1 step (<5s)"),
        ("1 epoch", "422 steps (3m)"),
        ("7 epochs", "2922 steps (20m)"), ("2h", "10422 steps (1h 12m)"), ("30m", "27m"),
    ],
)  # fmt: skip
def test_the_next_evaluation_comes_when_the_schedule_says(every: str, after: str) -> None:
    """An epoch of 8000 rows in effective batches of 16 is 500 steps, a step 0.412 s; by the clock it counts from the
    last full evaluation, 156 s ago."""
    changed = e.SettingsChanged(t=T, step=7578, values={"schedule.eval_every": every}, reason="command")
    assert f" next eval in {after}, every {every}" in schedule([*LATE, changed], 200)[0]


def test_an_evaluation_costs_what_they_took_and_before_the_first_what_the_rehearsal_lets_expect() -> None:
    assert "an eval takes 14.2 s (2.7 % so far)" in schedule(LATE)[0]
    rehearsed = e.EvaluationRehearsed(t=42.0, rows=16, seconds=0.4, expected_seconds=13.1)
    early = sorted([*b.training_log(300), rehearsed], key=lambda event: event.t)
    assert "an eval takes ~13.1 s" in schedule(early)[0]


def test_the_books_show_every_phase_of_the_time_so_far_and_what_is_besides() -> None:
    assert schedule(LATE)[2] == (
        " of the time so far steps 86 %   generate 5 %   metric 3 %   other 3 %   eval 2 %   load 1 %   unaccounted 0 %"
    )


def test_on_a_small_screen_the_books_keep_what_is_unaccounted_for() -> None:
    assert schedule(LATE, 80, 2) == [
        " next eval in 822 steps (6m), every 1200 steps   checkpoint in 27m, every 30m",
        " of the time so far steps 86 %   generate 5 %   metric 3 %   unaccounted 0 %",
    ]


def test_the_loss_has_the_metric_and_the_best_evaluation_in_its_title() -> None:
    title, *chart = [plain(line) for line in draw_loss(fold(LATE), 96, 16)]
    assert "exact 0.5300  eval 1.265  best 0.4900 at 4800" in title and "○ eval ◦ loss only ★ best" in title
    assert {"○", "◦", "★"} <= set("".join(chart))


def ended(because: e.EndReason, outcome: e.Outcome, **more: object) -> list[e.AnyEvent]:
    finished = e.TrainingFinished(
        t=T + 60, steps=7578, seconds=3100.0, first_loss=2.8, last_loss=1.3, model_path="/r/model", reason=because,
        total_steps=18_000, best_step=4800,
    )  # fmt: skip
    return [*LATE, finished, e.RunFinished(t=T + 61, outcome=outcome, exit_code=0, **more)]


def test_a_training_without_patience_left_says_so_with_its_best_step_and_its_model() -> None:
    (line,) = said(ended("patience", "ok"), 200)
    assert "ended early: no better evaluation within patience, at step 7578" in line
    assert "best step 4800 (kept): exact 0.490" in line and line.endswith("model /r/model")


def test_why_a_training_ended_early_is_whole_on_the_smallest_usual_terminal() -> None:
    (line,) = said(ended("patience", "ok"), 76)
    assert line == "ended early: no better evaluation within patience, at step 7578"


def test_a_stop_is_told_once_by_the_outcome_and_leaves_its_row_to_what_the_run_came_to() -> None:
    log = ended("stop", "stopped", reason="stopped on request", next="Go on: speedtui train --resume x")
    go_on, came_to = said(log, 76)
    assert go_on == "Go on: speedtui train --resume x" and came_to.startswith("best step 4800 (kept): exact 0.4900")


def test_where_the_losses_have_no_room_for_a_chart_their_pane_says_how_to_see_it() -> None:
    for height in range(3, 6):
        drawn = "".join(plain(line) for line in draw_loss(fold(LATE), 40, height))
        assert "tab here, z: the curve" in drawn and "1.248" in drawn


def test_a_training_that_the_deadline_ended_says_why_and_how_to_go_on() -> None:
    log = ended("deadline", "late", reason="the deadline came at step 7578 of 18000", next="speedtui train --resume x")
    why, following, *_ = said(log, 76)
    assert why == "the deadline came at step 7578 of 18000" and following == "speedtui train --resume x"
    assert "ENDED BY THE DEADLINE" in plain(draw_deadline(frame_of(fold(log)), 80, 7)[2])


def test_the_end_is_held_against_the_first_estimate_of_the_finish() -> None:
    start = [event for event in b.training_log(100) if not isinstance(event, e.EtaUpdated)]
    first = msgspec.structs.replace(b.eta(start[-1].t, 100), t=82.0, p50_seconds=7400.0)
    finished = e.TrainingFinished(
        t=7640.0, steps=18_000, seconds=7600.0, first_loss=2.8, last_loss=1.2, model_path="/r/model"
    )
    log = [*start, first, finished, e.RunFinished(t=7641.0, outcome="ok", exit_code=0)]
    assert "estimate at step 100: 2h 04m, took 2h 07m (98 %)" in said(log)[0]
    away = e.BooksUpdated(t=7641.0, books=e.Books(wall=7641.0, phases={"away": 600.0}, unaccounted=7041.0))
    assert "estimate at step 100: 2h 04m, took 1h 57m (106 %)" in said([*log[:-1], away, log[-1]])[0]


def test_the_way_on_of_a_failed_session_is_not_cut_off_by_a_long_reason() -> None:
    failed = [
        *LATE,
        e.RunFinished(t=T, outcome="failed", exit_code=1, reason="word " * 80, next="speedtui train --resume x"),
    ]
    assert "speedtui train --resume x" in said(failed, 76)


def not_finite(*, certain: bool) -> e.NonFiniteFound:
    return e.NonFiniteFound(
        t=T, step=7202, what="weights" if certain else "loss", since=7201, last_finite_step=7200, certain=certain,
        where="lm_head.weight" if certain else "", checkpoint=7200,
    )  # fmt: skip


def test_what_is_not_finite_is_said_first_with_its_levers_until_it_is_again() -> None:
    lever = Advice(kind="not_finite", evidence="not finite since step 7201", lever="halve the learning rate to 0.0001",
                   changes={"train.learning_rate": 1e-4}, gain_seconds=None)  # fmt: skip
    log = [*b.training_log(), not_finite(certain=False), e.LeversFound(t=T, levers=[lever], short_seconds=0.0)]
    assert said(log) == [
        "✗ NOT FINITE the loss is not finite since step 7201, the last finite step is 7200",
        "l  halve the learning rate to 0.0001",
    ]
    run = fold(log)
    assert "not finite" in plain(draw_header(frame_of(run), "monitor", 140))
    shown = "\n".join(plain(line) for line in draw_levers(run, 0, 90))
    assert "the loss is not finite since step 7201" in shown and "train.learning_rate = 0.0001" in shown
    over = [*log, e.FiniteAgain(t=T, step=7203, steps=2), e.LeversFound(t=T, levers=[], short_seconds=0.0)]
    assert said(over) == []
    assert "not finite" not in plain(draw_header(frame_of(fold(over)), "monitor", 140))


def test_a_diverged_run_says_so_while_it_goes_on_and_once_it_is_over() -> None:
    log = [*b.training_log(), not_finite(certain=True)]
    assert said(log)[0].endswith("7201, the last finite step is 7200: the training has diverged")
    assert "✗ DIVERGED" in "\n".join(plain(line) for line in draw_deadline(frame_of(fold(log)), 140, 8))
    finished = e.TrainingFinished(
        t=T, steps=7202, seconds=T, first_loss=2.0, last_loss=None, model_path="runs/x/model", reason="diverged",
        total_steps=12000, best_step=7200,
    )  # fmt: skip
    reason = "the training diverged: the weights are not finite, since step 7201; the model is that of step 7200"
    end = e.RunFinished(t=T, outcome="failed", exit_code=1, reason=reason, next="Go on from step 7200 at a lower rate")
    run = fold([*log, finished, end])
    assert "■ FAILED: DIVERGED" in "\n".join(plain(line) for line in draw_deadline(frame_of(run), 140, 8))
    assert said([*log, finished, end])[:2] == [reason, "Go on from step 7200 at a lower rate"]


def test_an_evaluation_that_is_not_finite_is_shown_as_such() -> None:
    broken = e.EvaluationCompleted(t=T, step=7200, loss=None, nonfinite=True, seconds=1.0, rows=8)
    shown = plain(draw_loss(fold([*b.training_log(), broken]), 100, 16)[0])
    assert "eval not finite" in shown
