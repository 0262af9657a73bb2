"""Panes as text: a state in, rows out."""

from __future__ import annotations

from collections.abc import Iterable

import builders as b
import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.config.window import Window
from speedtui.engine.errors import UsageError
from speedtui.engine.state import RunState, fold
from speedtui.engine.units import GIB
from speedtui.tui.drawing.text import Row, plain
from speedtui.tui.frame import Frame
from speedtui.tui.keys import Situation
from speedtui.tui.panes.deadline import draw_deadline
from speedtui.tui.panes.detail import draw_detail
from speedtui.tui.panes.devices import draw_devices
from speedtui.tui.panes.events import draw_events
from speedtui.tui.panes.footer import draw_footer
from speedtui.tui.panes.header import draw_header
from speedtui.tui.panes.loss import draw_loss
from speedtui.tui.panes.results import draw_results
from speedtui.tui.panes.scatter import draw_scatter
from speedtui.tui.panes.schedule import draw_schedule
from speedtui.tui.panes.step import draw_step
from speedtui.tui.panes.summary import draw_summary
from speedtui.tui.panes.trials import draw_empty, draw_trials


def text(rows: Iterable[Row]) -> str:
    return "\n".join(plain(line) for line in rows)


def frame_of(run: RunState, **more: object) -> Frame:
    return msgspec.structs.replace(Frame(run=run, study=run, clock=run.now), **more)


def deadline(log: list[e.AnyEvent], width: int = 76, height: int = 4, **more: object) -> str:
    return text(draw_deadline(frame_of(fold(log), **more), width, height))


def test_the_deadline_names_progress_verdict_and_finish() -> None:
    shown = deadline(b.training_log())
    assert "Deadline 03:20" in shown
    assert "42.1 %  step 7578/18000" in shown
    assert "ON TRACK   finish 02:04 (in 1h 11m)   p90 02:12" in shown


@pytest.mark.parametrize(("verdict", "word"), [("tight", "TIGHT"), ("late", "LATE by 44m"), ("measuring", "MEASURING")])
def test_every_verdict_is_a_word(verdict: e.Verdict, word: str) -> None:
    assert word in deadline(b.training_log(verdict=verdict))


def test_an_unknown_finish_is_a_dash_and_not_a_guess() -> None:
    run = msgspec.structs.replace(fold(b.training_log(verdict="measuring")), window=None)
    shown = text(draw_deadline(frame_of(run), 76, 4))
    assert "finish –" in shown
    assert "ON TRACK" not in shown


def test_without_a_window_there_is_a_finish_and_no_verdict() -> None:
    run = fold(b.training_log())
    assert run.training is not None and run.training.eta is not None
    training = msgspec.structs.replace(run.training, eta=msgspec.structs.replace(run.training.eta, verdict=None))
    shown = text(draw_deadline(frame_of(msgspec.structs.replace(run, window=None, training=training)), 76, 4))
    assert "Progress" in shown and "finish 02:04" in shown and "no deadline set" in shown


def test_a_wide_pane_draws_the_window_with_now_finish_and_safe_limit_on_it() -> None:
    axis = deadline(b.training_log(), 140, 5).splitlines()[2]
    assert (
        axis.index("00:00")
        < axis.index("●")
        < axis.index("◆")
        < axis.index("◇")
        < axis.index("┊")
        < axis.index("03:20")
    )


def test_a_study_shows_how_many_trials_are_done_and_which_one_runs() -> None:
    shown = deadline(b.study_log())
    assert "5 of 8 trials done" in shown
    assert "trial 6 of 8: #5 mb16 ga1 +ckpt, throughput probe" in shown


def test_a_candidate_waiting_for_a_person_names_the_next_key() -> None:
    assert "R runs them all" in deadline(b.idle_study_log())


def test_loading_shows_what_is_being_prepared() -> None:
    shown = deadline(b.loading_log())
    assert "tokenizing train.jsonl" in shown and "3200/8000" in shown


def test_a_finished_run_says_how_it_ended_and_what_comes_next() -> None:
    shown = deadline(b.finished_training_log())
    assert "DONE" in shown and "before the deadline" in shown and "The model is in model/." in shown


def test_an_error_of_the_session_stands_where_the_verdict_stood() -> None:
    error = UsageError("speedtui.toml: no such configuration file", "Run `speedtui init`.")
    shown = deadline([], 100, 5, error=error)
    assert "✗ speedtui.toml: no such configuration file" in shown and "Run `speedtui init`." in shown


def test_a_lost_worker_is_said_with_its_reason() -> None:
    log = [*b.training_log(), e.WorkerLost(t=4000.0, reason="killed by SIGKILL", restarting=False)]
    shown = deadline(log, 100, 5)
    assert "WORKER LOST" in shown and "killed by SIGKILL" in shown


def test_a_deadline_on_another_day_names_the_day() -> None:
    run = msgspec.structs.replace(
        fold(b.training_log()), window=Window(deadline=b.STARTED_AT + 100_000, margin_seconds=0)
    )
    assert "Deadline Fri 03:46" in text(draw_deadline(frame_of(run), 76, 4))


def test_a_narrow_step_pane_has_letters_names_times_and_shares() -> None:
    shown = text(draw_step(fold(b.training_log()), 40, 8))
    assert "412 ms" in shown and "39.8k tok/s" in shown
    assert "F fwd  138 ms 33%" in shown and "B bwd  221 ms 54%" in shown
    assert "padding 11 %" in shown


def test_a_wide_step_pane_has_percentiles_for_every_phase() -> None:
    shown = text(draw_step(fold(b.training_log()), 70, 13))
    for name in ("forward", "backward", "optimizer", "data", "host copy", "log", "other"):
        assert name in shown
    assert "p50" in shown and "p95" in shown


def test_the_steps_of_a_trial_are_shown_as_that_trials() -> None:
    assert "Step of trial #5" in text(draw_step(fold(b.study_log()), 60, 12))


def test_values_that_the_driver_does_not_give_read_as_dashes() -> None:
    silent = e.HardwareSampled(t=1.0, devices=[e.DeviceSample(index=0, name="Odd GPU")], host=e.HostSample())
    shown = text(draw_devices(fold([b.run_started(), silent]), 68, 13))
    assert shown.count("–") >= 6
    assert "None" not in shown


def test_without_a_gpu_the_host_takes_its_place() -> None:
    shown = text(draw_devices(fold(b.training_log(300, gpu=False)), 68, 13))
    assert "Host" in shown and "AMD EPYC 7763" in shown and "No GPU was found" in shown


def test_several_gpus_have_a_row_each() -> None:
    sample = b.hardware(1.0)
    more = [msgspec.structs.replace(sample.devices[0], index=i) for i in range(4)]
    rows = draw_devices(fold([b.run_started(), msgspec.structs.replace(sample, devices=more)]), 68, 13)
    assert "4 GPUs" in plain(rows[0])
    assert sum("38.4/79.6 GiB" in plain(line) for line in rows) == 4


def test_the_loss_has_its_numbers_in_the_title_and_evaluations_on_the_chart() -> None:
    shown = text(draw_loss(fold(b.training_log()), 80, 16))
    assert "eval 1.265" in shown.splitlines()[0]
    assert "○" in shown.split("\n", 1)[1]


def test_a_loss_that_is_not_finite_is_said() -> None:
    broken = msgspec.structs.replace(b.step(10.0, 40, loss=None), nonfinite=True)
    assert "not finite" in text(draw_loss(fold([*b.training_log(30), broken]), 80, 16))


def test_the_newest_event_comes_first_and_scrolling_says_what_is_above() -> None:
    run = fold(b.training_log())
    assert "checkpoint 7200" in plain(draw_events(run, 0, 60, 10)[1])
    scrolled = draw_events(run, 3, 60, 10)
    assert "3 newer" in plain(scrolled[0])
    assert "checkpoint 7200" not in text(scrolled)


def test_a_warning_has_a_sign_besides_its_colour() -> None:
    assert "! #4 out of memory" in text(draw_events(fold(b.study_log()), 0, 60, 10))


def test_results_show_the_fastest_with_a_star_and_failures_in_words() -> None:
    shown = text(draw_results(fold(b.study_log()), 60, 12))
    assert "☆ #3" in shown and "out of memory" in shown and "running" in shown


def table(log: list[e.AnyEvent], width: int, selected: int = 0) -> list[str]:
    return [plain(line) for line in draw_trials(fold(log), selected, 0, width, 20)]


def test_the_table_keeps_status_speed_and_memory_when_it_gets_narrow() -> None:
    heading = table(b.study_log(), 80)[0]
    for name in ("configuration", "status", "smp/s", "peak", "free", "ETA", "fits"):
        assert name in heading
    assert "status" in table(b.study_log(), 40)[0]


def test_a_wide_table_has_every_column() -> None:
    lines = table(b.study_log(), 190)
    for name in ("±", "tok/s", "free", "predicted", "vs #0", "finish", "fits", "note"):
        assert name in lines[0]
    assert "1.81× [1.76 1.86]" in lines[3]


def test_a_trial_that_was_not_measured_has_dashes() -> None:
    assert table(b.study_log(), 80)[8].count("–") >= 3


def test_the_cursor_the_best_and_the_promoted_trial_have_signs() -> None:
    log = [*b.study_log(), e.TrialPromoted(t=120.0, trial=2, config_file="config.toml")]
    lines = table(log, 80, selected=2)
    assert lines[3].startswith("›P") and lines[4].startswith(" ☆")


def test_a_trial_out_of_memory_keeps_its_reason_and_names_what_to_do() -> None:
    shown = text(draw_detail(fold(b.study_log()), 4, 78, 9))
    assert "4.3 GiB more were" in shown and "asked for with 0.5 GiB free" in shown
    assert "try       train.micro_batch_size = 8" in shown and "train.gradient_checkpointing = true" in shown


def test_what_comes_next_is_never_cut_off() -> None:
    for trial in range(8):
        for height in range(4, 12):
            assert "next" in text(draw_detail(fold(b.study_log(finished=True)), trial, 60, height))


def test_the_detail_says_what_a_candidate_changes() -> None:
    shown = text(draw_detail(fold(b.study_log()), 5, 100, 9))
    assert "train.micro_batch_size 1 → 16" in shown and "train.gradient_checkpointing false → true" in shown


def test_the_scatter_draws_the_limit_and_numbers_the_trials() -> None:
    shown = text(draw_scatter(fold(b.study_log()), 2, 80, 14))
    assert "limit 79.6" in shown and shown.count("●") == 2 and "◆2" in shown and "☆3" in shown


def test_an_empty_study_names_the_key_that_adds() -> None:
    empty = msgspec.structs.replace(b.study_started(), candidates=[])
    assert "a adds one" in text(draw_empty(fold([b.run_started(), empty]), 10))


def test_a_training_without_a_study_says_so() -> None:
    assert "it has no study" in text(draw_empty(fold(b.training_log(100)), 10))


def test_the_summary_counts_by_status() -> None:
    assert "4 ok, 1 running, 2 queued, 1 out of memory" in plain(draw_summary(frame_of(fold(b.study_log())), 100))


def test_the_schedule_shows_what_is_still_to_come() -> None:
    shown = text(draw_schedule(fold(b.training_log()), 120))
    assert "checkpoint in 27m, every 30m" in shown and "still to come steps 1h 11m" in shown


def test_a_run_that_falls_silent_is_said_to_be_silent() -> None:
    run = fold(b.training_log())
    assert "silent for 90 s" in plain(draw_header(frame_of(run, silent_seconds=90), "monitor", 140))
    assert "silent" not in plain(draw_header(frame_of(run, silent_seconds=90, read_only=True), "monitor", 140))


def test_names_from_files_cannot_move_the_cursor() -> None:
    nasty = msgspec.structs.replace(b.run_started(), run="x\x1b[2Jy")
    assert "\x1b" not in plain(draw_header(frame_of(fold([nasty])), "monitor", 140))


def test_sizes_below_a_gibibyte_keep_their_digits() -> None:
    small = b.ok_result(0.1, 0.42)
    log = [
        b.run_started(),
        b.study_started(),
        e.TrialStarted(t=16.0, trial=0),
        e.TrialFinished(t=20.0, trial=0, result=small),
    ]
    assert "430 MiB" in table(log, 100)[1]
    assert small.memory is not None and small.memory.peak_bytes == int(0.42 * GIB)


def test_while_the_run_is_paused_the_footer_offers_to_resume_it() -> None:
    running = fold(b.training_log())
    paused = fold([*b.training_log(), e.Paused(t=running.t)])
    for run, word, other in ((running, "pause", "resume"), (paused, "resume", "pause")):
        footer = " ".join(plain(line) for line in draw_footer("monitor", Situation(run=run, study=run), 100, 2))
        assert f" {word} " in footer and f" {other} " not in footer


@pytest.mark.parametrize(("outcome", "words"), [("failed", "✗ failed"), ("stopped", "■ stopped"), ("ok", "■ finished")])
def test_a_run_that_did_not_end_well_does_not_read_like_one_that_did(outcome: e.Outcome, words: str) -> None:
    log = b.training_log()
    ended = fold([*log, e.RunFinished(t=fold(log).t, outcome=outcome, exit_code=0)])
    assert words in plain(draw_header(frame_of(ended), "monitor", 100))
