"""A worker that a person kills: real processes, a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.candidate import TrialResult, TrialStatus
from speedtui.engine.errors import ExitCode, JobError
from speedtui.engine.log.writer import append_event
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.start import resume_training
from speedtui.engine.session.worker_process import ON_REQUEST, worker_of
from speedtui.engine.state import RunState, RunStatus, fold
from tests.engine.events_of_a_run import finished, started, step, study, training
from tests.engine.session.conftest import Driven, Starter, tried

pytestmark = pytest.mark.slow


def in_trial(number: int, state: RunState) -> bool:
    running = state.study.running if state.study is not None else None
    return running is not None and running.candidate.id == number and running.batches_done > 0


def trained(steps: int, state: RunState) -> bool:
    return state.training is not None and state.training.step >= steps and len(state.training.checkpoints) > 0


def test_killing_the_worker_of_a_study_costs_the_trial_and_the_next_one_goes_on(start: Starter) -> None:
    driven = start.study(values={"search.batches": 400}, micro_batches=[1, 2])
    driven.until(lambda s: s.model is not None)
    looking_on = Driven(AttachedSession(driven.session.folder))
    looking_on.until(lambda s: in_trial(0, s))
    looking_on.session.kill()  # as from a second screen: the first one owns the run
    state = driven.end()
    assert (driven.exit_code, state.outcome, state.restarts) == (ExitCode.DONE, "ok", 1)
    assert state.study is not None
    assert [row.status for row in state.study.rows] == [TrialStatus.FAILED, TrialStatus.OK]
    assert state.study.rows[0].result is not None and state.study.rows[0].result.reason == ON_REQUEST
    assert [event.trial for event in driven.events(e.TrialStarted)] == [0, 1], "it is not tried again"
    assert [event.reason for event in driven.events(e.WorkerLost)] == [ON_REQUEST]
    assert looking_on.end() == state and looking_on.exit_code is ExitCode.DONE


def test_killing_the_worker_of_a_training_ends_it_and_it_can_go_on_later(start: Starter) -> None:
    driven = start.training(values={"train.max_steps": 400, "schedule.checkpoint_every": "4 steps"})
    driven.session._restarts._most = 3  # type: ignore[attr-defined]  # as with --restarts 3
    driven.until(lambda s: trained(5, s))
    driven.session.kill()
    state = driven.end()
    assert (driven.exit_code, state.outcome, state.restarts) == (ExitCode.INTERRUPTED, "stopped", 0)
    assert ON_REQUEST in state.reason and f"--resume {state.run}" in state.next
    with pytest.raises(JobError, match="no worker"):
        driven.session.kill()
    assert state.training is not None
    resumed = resume_training(driven.session.folder, start.options(False))
    again = start._drive(resumed)
    later = again.until(lambda s: s.training is not None and s.training.resumes == 1 and s.status is RunStatus.TRAINING)
    assert later.training is not None and later.training.step >= 4
    again.session.send(c.Stop())
    assert again.end().outcome == "stopped"


def test_a_worker_that_nobody_owns_is_killed_from_an_attached_session_which_then_ends_the_run(start: Starter) -> None:
    driven = start.training(values={"train.max_steps": 400, "schedule.checkpoint_every": "4 steps"})
    driven.until(lambda s: trained(5, s))
    driven.session.detach()
    driven.end()
    first, second = Driven(AttachedSession(driven.session.folder)), Driven(AttachedSession(driven.session.folder))
    for one in (first, second):
        one.until(lambda s: trained(5, s))
    first.session.kill()
    states = [one.end() for one in (first, second)]
    assert [one.exit_code for one in (first, second)] == [ExitCode.INTERRUPTED] * 2
    assert states[0] == states[1] and states[0].outcome == "stopped" and "--resume" in states[0].next
    assert len(first.events(e.RunFinished)) == len(first.events(e.WorkerLost)) == 1


def test_two_sessions_on_one_run_both_command_it_and_see_each_others_answers(start: Starter) -> None:
    driven = start.study(queued=False, hold=True, micro_batches=[1, 2])
    driven.until(lambda s: s.status is RunStatus.IDLE)
    screens = [Driven(AttachedSession(driven.session.folder)) for _ in range(2)]
    for i, screen in enumerate(screens):
        screen.until(lambda s: s.status is RunStatus.IDLE)
        screen.session.send(c.RunTrial(trial=i))
    for screen in screens:
        screen.until(lambda s: tried(s) == 2)
    screens[1].session.send(c.Finish())
    states = [screen.end() for screen in screens]
    assert states[0] == states[1] == driven.end()
    assert len(driven.events(e.CommandApplied)) == 3


def test_a_job_in_this_program_is_not_killed(start: Starter) -> None:
    driven = start.study(in_thread=True, queued=False, hold=True)
    driven.until(lambda s: s.status is RunStatus.IDLE)
    with pytest.raises(JobError, match="thread of this very program"):
        driven.session.kill()
    with pytest.raises(JobError, match="no worker process of its own"):
        AttachedSession(driven.session.folder).kill()
    driven.session.send(c.Finish())
    driven.end()


def test_no_process_is_killed_that_is_not_this_runs_worker(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(JobError, match="no worker"):
        worker_of(folder, fold([started("train")]))


def test_a_lost_worker_that_is_started_again_is_told_from_one_that_is_not(tmp_path: Path) -> None:
    events: list[e.AnyEvent] = [started("train"), training(), step(1)]
    lost = [*events, e.WorkerLost(t=20.0, reason="killed by SIGKILL", restarting=True)]
    assert (fold(lost).status, fold(lost).restarting) == (RunStatus.LOST, True)
    assert not fold([*lost, started("train", t=22.0, restarts=1)]).restarting
    assert not fold([*events, e.WorkerLost(t=20.0, reason="killed by SIGKILL", restarting=False)]).restarting


def test_a_line_is_whole_beside_half_of_one_that_the_killed_worker_left(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(e.encode(study(0)) + e.encode(step(1))[:-20])
    append_event(path, finished(0, _failed(), t=9.0))
    assert path.read_bytes().splitlines()[-1] + b"\n" == e.encode(finished(0, _failed(), t=9.0))


def _failed() -> TrialResult:
    return TrialResult(status=TrialStatus.FAILED, reason=ON_REQUEST, seconds=1.0)
