from __future__ import annotations

import time

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunStatus, StateReducer, fold
from speedtui.engine.state.series import GrowingSeries
from tests.engine.events_of_a_run import candidate, finished, ok, out_of_memory, started, step, study, training


def test_a_study_shows_each_candidate_with_its_status() -> None:
    state = fold([
        started(), study(0, 1, 2), e.TrialStarted(t=2.0, trial=0), finished(0, ok(40)), e.TrialStarted(t=6.0, trial=1),
    ])  # fmt: skip
    assert state.study is not None
    assert [row.status for row in state.study.rows] == [TrialStatus.OK, TrialStatus.RUNNING, TrialStatus.QUEUED]
    assert state.status is RunStatus.TUNING
    assert state.study.best == 0


def test_the_best_trial_is_the_fastest_that_fits() -> None:
    results = [finished(0, ok(40)), finished(1, out_of_memory()), finished(2, ok(55))]
    state = fold([started(), study(0, 1, 2), *results])
    assert state.study is not None
    assert state.study.best == 2
    assert state.status is RunStatus.IDLE


def test_candidates_are_added_edited_and_removed() -> None:
    state = fold([
        started(), study(0, 1, queued=False),
        e.CandidateAdded(t=2.0, candidate=candidate(2, micro=4), queued=True),
        e.CandidateEdited(t=3.0, candidate=candidate(1, micro=8)),
        e.CandidateRemoved(t=4.0, trial=0),
    ])  # fmt: skip
    assert state.study is not None
    assert [(r.candidate.id, r.candidate.micro_batch_size, r.status) for r in state.study.rows] == [
        (1, 8, TrialStatus.WAITING), (2, 4, TrialStatus.QUEUED),
    ]  # fmt: skip


def test_a_candidate_added_after_the_end_is_queued_and_the_study_goes_on() -> None:
    over = [started(), study(0, 1), finished(0, ok(40)), finished(1, ok(30)), e.StudyFinished(t=6.0, best=1)]
    assert fold(over).study.best == 1  # type: ignore[union-attr]
    later = [*over, e.CandidateAdded(t=7.0, candidate=candidate(2, micro=4), queued=True)]
    state = fold(later)
    assert state.study is not None
    assert not state.study.finished
    assert fold([*later, finished(2, ok(50))]).study.best == 2  # type: ignore[union-attr]
    waiting = fold([*over, e.CandidateAdded(t=7.0, candidate=candidate(2), queued=False)]).study
    assert waiting is not None and waiting.finished and waiting.best == 1


@pytest.mark.parametrize(
    "event",
    [
        e.CandidateEdited(t=3.0, candidate=candidate(7)),
        e.TrialQueued(t=3.0, trial=7),
        e.TrialStarted(t=3.0, trial=7),
        finished(7, ok(40), t=3.0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_trial_that_nothing_in_the_log_added_is_said_once_and_nothing_else_is_lost(event: e.AnyEvent) -> None:
    state = fold([started(), study(0), event, event, e.CandidateRemoved(t=4.0, trial=7), finished(0, ok(30))])
    assert state.study is not None
    assert [row.candidate.id for row in state.study.rows] == [0]
    assert state.study.best == 0
    said = [line for line in state.log if "#7 was never added: a part of the log is missing" in line.text]
    assert [(line.level, line.trial) for line in said] == [("warning", 7)]


def test_what_comes_of_a_removed_candidate_is_no_missing_part() -> None:
    state = fold([started(), study(0, 1), e.CandidateRemoved(t=2.0, trial=1), e.TrialQueued(t=3.0, trial=1)])
    assert not [line for line in state.log if "missing" in line.text]


def test_a_probes_steps_belong_to_its_trial_and_not_to_the_training() -> None:
    probe = [step(n, trial=0, probe="throughput", micro_steps=2) for n in range(1, 4)]
    state = fold([started(), study(0), e.TrialStarted(t=2.0, trial=0), *probe])
    assert state.study is not None and state.study.running is not None
    assert state.study.running.batches_done == 6
    assert state.study.running.steps.seconds == pytest.approx(0.4)
    assert state.training is None
    assert state.live_steps == state.study.running.steps


def test_memory_probe_steps_do_not_count_as_throughput() -> None:
    state = fold([started(), study(0), e.TrialStarted(t=2.0, trial=0), step(1, trial=0, probe="memory", seconds=9)])
    assert state.study is not None and state.study.running is not None
    assert state.study.running.batches_done == 0
    assert state.study.running.steps.seconds is None


def test_a_training_shows_its_rates_and_losses() -> None:
    state = fold([started("train"), training(), *(step(n, loss=3 - n / 50) for n in range(1, 51))])
    assert state.training is not None
    assert state.training.progress == 0.5
    assert state.training.steps.samples_per_second == pytest.approx(16 / 0.4)
    assert state.training.steps.padding_fraction == pytest.approx(0.2)
    assert state.training.losses[0] == (1, pytest.approx(2.98))
    assert state.training.loss == pytest.approx(2.0)
    assert state.training.smoothed_loss is not None and state.training.smoothed_loss > 2.0


def test_a_coalesced_line_counts_for_all_its_steps() -> None:
    line = step(10, seconds=0.04, steps=10, samples=160)
    state = fold([started("train"), training(), line])
    assert state.training is not None
    assert state.training.step == 10
    assert state.training.steps.seconds == pytest.approx(0.004)
    assert state.training.steps.samples_per_second == pytest.approx(4000)


def test_a_loss_that_is_not_finite_is_counted_and_leaves_no_point() -> None:
    state = fold([started("train"), training(), step(1, loss=None, nonfinite=True), step(2, loss=1.5)])
    assert state.training is not None
    assert state.training.nonfinite_steps == 1
    assert state.training.losses == ((2, 1.5),)


def test_a_restarted_worker_goes_on_in_the_same_study_and_training() -> None:
    state = fold([
        started("demo"), study(0), finished(0, ok(40)), training(), step(1), step(2),
        e.WorkerLost(t=12.0, reason="killed by SIGKILL", restarting=True),
        started("demo", t=13.0, pid=8, restarts=1), training(first_step=2), step(3),
    ])  # fmt: skip
    assert state.restarts == 1
    assert state.status is RunStatus.TRAINING
    assert state.training is not None
    assert [x for x, _ in state.training.losses] == [1, 2, 3]
    assert state.study is not None and state.study.best == 0


def test_a_lost_worker_shows_until_another_starts() -> None:
    state = fold([started(), study(0), e.WorkerLost(t=3.0, reason="killed by SIGKILL", restarting=False)])
    assert state.status is RunStatus.LOST
    assert state.log[-1].text == "the worker was lost: killed by SIGKILL"


def test_pause_and_resume_show_in_the_status() -> None:
    running = [started("train"), training(), step(1)]
    assert fold([*running, e.Paused(t=20.0)]).status is RunStatus.PAUSED
    assert fold([*running, e.Paused(t=20.0), e.Resumed(t=30.0)]).status is RunStatus.TRAINING


def test_the_end_of_a_run_carries_its_outcome_and_books() -> None:
    books = e.Books(wall=10.0, phases={"forward": 9.0, "other": 1.0}, unaccounted=0.0)
    end = e.RunFinished(t=20.0, outcome="failed", exit_code=1, reason="why", next="what", books=books)
    state = fold([started("train"), training(), end])
    assert (state.status, state.outcome, state.exit_code) == (RunStatus.FINISHED, "failed", 1)
    assert (state.reason, state.next, state.books) == ("why", "what", books)


def test_a_snapshot_never_changes_once_it_is_taken() -> None:
    folder = StateReducer()
    for event in (started("train"), training(), step(1)):
        folder.apply(event)
    before = folder.snapshot()
    assert folder.snapshot() is before
    folder.apply(step(2))
    assert before.training is not None and before.training.step == 1
    assert folder.snapshot().training is not None


def test_folding_costs_the_same_however_long_the_run_is() -> None:
    folder = StateReducer()
    for event in (started("train"), training(total=200_000)):
        folder.apply(event)

    def block(first: int) -> float:
        lines = [step(n, seconds=0.001) for n in range(first, first + 4000)]
        began = time.thread_time()
        for line in lines:
            folder.apply(line)
        folder.snapshot()
        return time.thread_time() - began

    costs = [block(1 + 4000 * i) for i in range(12)]
    assert min(costs[8:]) < 3 * min(costs[:4])
    training_state = folder.snapshot().training
    assert training_state is not None
    assert len(training_state.losses) <= 512


def test_a_growing_series_keeps_the_whole_run_in_bounded_points() -> None:
    series = GrowingSeries(capacity=8)
    for x in range(1, 1001):
        series.add(x, float(x))
    points = series.points()
    assert len(points) <= 9
    assert points[-1][0] == 1000
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[0][1] < points[-1][1]


@pytest.mark.parametrize(
    ("reason", "level", "text"),
    [
        ("steps", "info", "training finished: 60 steps in 41s"),
        ("deadline", "warning", "training finished after 60 of 600 steps in 41s: the deadline came"),
        ("patience", "info", "training finished after 60 of 600 steps in 41s: no better evaluation came"),
    ],
)
def test_the_end_of_a_training_says_how_far_it_came_and_why(reason: e.EndReason, level: str, text: str) -> None:
    end = e.TrainingFinished(
        t=50.0, steps=60, seconds=41.0, first_loss=2.0, last_loss=1.0, model_path="m", reason=reason, total_steps=600
    )
    line = fold([started("train"), training(600), end]).log[-1]
    assert (line.level, line.text) == (level, text)


def test_changed_settings_are_told_as_they_would_be_typed() -> None:
    values = {"schedule.generate": False, "schedule.metric": "", "schedule.eval_every": "3 epochs"}
    change = e.SettingsChanged(t=20.0, step=7, values=values, reason="command")
    assert fold([started("train"), training(), change]).log[-1].text == (
        "from step 7 on schedule.generate = false, schedule.metric = unset, schedule.eval_every = 3 epochs (command)"
    )


def test_a_training_is_called_what_it_is_set_to() -> None:
    begun = [started("train"), training()]
    change = e.SettingsChanged(
        t=20.0, step=7, values={"train.learning_rate": 1e-5}, reason="command", label="mb1 ga4 lr 1e-05"
    )
    for events, label in (([*begun, change], "mb1 ga4 lr 1e-05"), ([*begun, change, training()], training().label)):
        state = fold(events).training
        assert state is not None and state.label == label
    old = msgspec.structs.replace(change, label="")
    assert fold([*begun, old]).training.label == training().label  # type: ignore[union-attr]
