"""What is said once, briefly, or not at all: predicted peaks, spreads of one step, times below a second."""

from __future__ import annotations

from pathlib import Path

import builders as b
import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.plan_types import Advice
from speedtui.engine.state import RunState, fold
from speedtui.engine.state.event_words import describe
from speedtui.tui.drawing.text import Row, plain
from speedtui.tui.frame import Frame
from speedtui.tui.panes.deadline import draw_deadline
from speedtui.tui.panes.devices import draw_devices
from speedtui.tui.panes.events import draw_events, listed
from speedtui.tui.panes.step import draw_step
from speedtui.tui.panes.trial_log import draw_trial_log
from speedtui.tui.screens.leave import ask_leave

MIB = 1024**2


def text(rows: list[Row]) -> str:
    return "\n".join(plain(line) for line in rows)


def predicted(t: float, trial: int, size: int, micro: int, largest: int | None = 4) -> e.MemoryPredicted:
    return e.MemoryPredicted(t=t, label=f"mb{micro} ga1", trial=trial, micro_batch_size=micro,
                             predicted_bytes=size * MIB, limit_bytes=120 * MIB,
                             largest_micro_batch_size=largest)  # fmt: skip


SIZES = ((0, 40, 1), (1, 60, 2), (2, 90, 4), (3, 150, 8))
STUDY = [*b.idle_study_log(), *(predicted(20.0, *one) for one in SIZES)]
AGAIN = [*STUDY, predicted(21.0, 3, 160, 8), e.TrialStarted(t=22.0, trial=3)]


def test_predicted_peaks_stand_in_one_line_and_are_not_said_again() -> None:
    shown = text(draw_events(fold(AGAIN), 0, 120, 12))
    assert "4 peaks predicted; #3 does not fit" in shown
    assert "memory ~" not in shown and "#3 started" in shown


def test_all_that_fit_are_said_to_fit_and_several_that_do_not_are_named() -> None:
    assert "3 peaks predicted; all fit" in text(draw_events(fold(STUDY[:-1]), 0, 120, 12))
    more = [*STUDY, predicted(20.0, 4, 200, 16), predicted(20.0, 5, 300, 16)]
    assert "6 peaks predicted; #3, #4 and #5 do not fit" in text(draw_events(fold(more), 0, 120, 12))


def test_a_peak_alone_has_a_short_line_of_its_own() -> None:
    assert "#3 memory ~150 MiB, does not fit" in text(draw_events(fold([*STUDY[:4], STUDY[-1]]), 0, 60, 12))


def test_a_filter_and_the_trials_own_log_find_each_prediction() -> None:
    run = fold(AGAIN)
    assert [entry.text for entry in listed(run, "memory #3")] == [
        "#3 memory ~160 MiB, does not fit", "#3 memory ~150 MiB, does not fit"
    ]  # fmt: skip
    assert "memory ~160 MiB, does not fit" in text(draw_trial_log(run, 3, 60, 8))


def test_the_line_of_the_predictions_stays_the_same_one_as_more_of_them_come() -> None:
    before, after = fold(STUDY[:-1]), fold(STUDY)
    assert listed(before, "")[0].line == listed(after, "")[0].line


def test_of_one_step_no_spread_is_claimed() -> None:
    started = [*b.study_log()[:4], e.TrialStarted(t=16.0, trial=0)]
    one = fold([*started, b.step(17.0, 1, seconds=0.9, trial=0, probe="throughput")])
    two = fold([*started, *(b.step(17.0 + i, 1 + i, seconds=0.9 + i, trial=0, probe="throughput") for i in range(2))])
    assert "±" not in text(draw_step(one, 60, 12)) and "±" in text(draw_step(two, 60, 12))


@pytest.mark.parametrize(("load", "busy"), [(3.9, False), (9.0, True)])
def test_a_machine_with_more_to_do_than_it_has_cores_is_called_busy(load: float, busy: bool) -> None:
    sample = b.hardware(60.0, gpu=False)
    host = msgspec.structs.replace(sample.host, load_1m=load, cores=4)
    run = fold([b.run_started(gpu=False), msgspec.structs.replace(sample, host=host)])
    shown = text(draw_devices(run, 50, 12))
    assert ("! busy" in shown) == busy and "peak" not in shown


def test_nobody_is_late_by_no_time_at_all() -> None:
    levers = e.LeversFound(t=9.0, levers=b.LEVERS[:1], short_seconds=0.2)
    assert (describe(levers) or ("", ""))[1].startswith("late by 1s: ")
    late = fold(b.training_log(verdict="late"))
    assert late.training is not None and late.training.eta is not None and late.window is not None
    finish = late.window.deadline + 0.2 - late.started_at
    eta = msgspec.structs.replace(late.training.eta, p50_seconds=finish - late.training.eta.t, spare_seconds=-0.2)
    run = fold([*b.training_log(verdict="late"), eta])
    shown = text(draw_deadline(Frame(run=run, study=run, clock=run.now), 140, 5))
    assert "LATE by 1s" in shown and "short 1s" in shown


def leave(run: RunState, **more: bool) -> str:
    return text(list(ask_leave(run, **more).body(76)))


def test_the_question_names_its_run_where_there_are_several() -> None:
    run = fold(b.training_log(200))
    assert run.run in leave(run, named=True) and run.run not in leave(run)


def test_a_job_in_this_program_is_not_promised_to_go_on() -> None:
    run = fold(b.training_log(200))
    assert "leave it running" in leave(run)
    inside = leave(run, in_thread=True)
    assert "leaving ends it safely" in " ".join(inside.split()) and "running" not in inside


def test_old_recordings_are_told_with_their_predictions_in_one_line() -> None:
    from speedtui.engine.log.tail import read_events

    log = Path(__file__).parents[1] / "data" / "recordings" / "study.jsonl"
    assert sum("peaks predicted" in entry.text for entry in listed(fold(list(read_events(log))), "")) == 1


def test_the_same_lever_is_told_again_only_when_the_shortage_is_another() -> None:
    def found(t: float, short: float, levers: list[Advice] = b.LEVERS) -> e.LeversFound:
        return e.LeversFound(t=t, levers=levers, short_seconds=short)

    told = [found(9000.0, 600.0), found(9100.0, 500.0), found(9200.0, 200.0), found(9300.0, 190.0, b.LEVERS[1:])]
    lines = [line.text for line in fold([*b.training_log(200), *told]).log if line.text.startswith("late by")]
    assert [line.partition(":")[0] for line in lines] == ["late by 10m 00s", "late by 3m 20s", "late by 3m 10s"]
