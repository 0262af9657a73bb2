"""Trainings whose workers die, hang and are told to go, with real processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode, RunFolderError
from speedtui.engine.jobs.worker import AGAIN_SECONDS
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.base import Session
from speedtui.engine.session.process import ProcessSession
from speedtui.engine.session.stall import StallBudgets
from speedtui.engine.session.start import resume_training
from tests.engine.session.conftest import Driven
from tests.engine.session.survival_run import (
    CHECKPOINT_STEPS,
    PATIENCE_SECONDS,
    STEPS,
    SlowTraining,
    check_steps,
    events_of,
    last_step,
    torn_lines,
    wait_for,
)

pytestmark = pytest.mark.slow

QUICK = StallBudgets(step_least=3.0, step_most=3.0)
"""Budgets of a test: a step of the training takes a fiftieth of a second."""


class Sessions:
    """Sessions in threads of the test; whatever still runs at the end is killed."""

    def __init__(self, training: SlowTraining) -> None:
        self.training = training
        self._driven: list[Driven] = []

    def drive(self, session: Session) -> Driven:
        self._driven.append(Driven(session))
        return self._driven[-1]

    def clean_up(self) -> None:
        self.training.go_on()
        for driven in self._driven:
            for _ in range(3):
                if driven.exit_code is None:
                    driven.session.interrupt(ExitCode.INTERRUPTED)
            driven._thread.join(PATIENCE_SECONDS)


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Sessions]:
    found = Sessions(SlowTraining(tmp_path))
    yield found
    found.clean_up()


def saved_in_this_worker(folder: RunFolder) -> bool:
    """Whether the present worker has saved a checkpoint."""
    started = events_of(folder, e.RunStarted)
    return any(saved.t > started[-1].t for saved in events_of(folder, e.CheckpointSaved))


def worker_of(folder: RunFolder) -> psutil.Process:
    return psutil.Process(events_of(folder, e.RunStarted)[-1].pid)


def test_a_training_whose_worker_and_loader_are_killed_is_started_again_and_finishes(sessions: Sessions) -> None:
    folder = sessions.training.create()
    owner = sessions.drive(ProcessSession(folder, restarts=1))
    wait_for(lambda: len(events_of(folder, e.CheckpointSaved)) >= 2)
    onlooker = sessions.drive(AttachedSession(folder))
    first = worker_of(folder)
    loaders = first.children(recursive=True)
    assert len(loaders) == 2
    first.kill()
    _, alive = psutil.wait_procs(loaders, timeout=PATIENCE_SECONDS)
    assert not alive, "loader processes outlived their worker"
    wait_for(lambda: len(events_of(folder, e.RunStarted)) == 2 and saved_in_this_worker(folder))
    (victim, _) = worker_of(folder).children(recursive=True)
    victim.kill()
    wait_for(lambda: len(events_of(folder, e.TrainingStarted)) == 3)
    sessions.training.let_go()
    state = owner.end()
    assert (owner.exit_code, state.outcome, state.restarts) == (ExitCode.DONE, "ok", 2)
    onlooker.end()
    assert onlooker.exit_code is ExitCode.DONE
    lost = events_of(folder, e.WorkerLost)
    assert [(x.reason, x.restarting) for x in lost] == [("killed by SIGKILL", True), ("its training failed", True)]
    (complaint,) = (x for x in events_of(folder, e.Notice) if x.level == "error")
    assert "a loader process" in complaint.text
    assert str(victim.pid) in complaint.text and "killed by" in complaint.text
    starts = [x.first_step for x in events_of(folder, e.TrainingStarted)]
    assert 0 == starts[0] < starts[1] < starts[2] and starts[2] % CHECKPOINT_STEPS == 0
    check_steps(folder)
    assert state.training is not None and state.training.step == STEPS
    assert [x.t for x in events_of(folder, e.RunStarted)] == sorted(x.t for x in events_of(folder, e.RunStarted))
    assert state.books is not None and state.books.wall >= state.training.started_at
    assert abs(state.books.wall - sum(state.books.phases.values())) <= 0.01 * state.books.wall
    assert torn_lines(folder) <= 1


def test_a_stall_is_told_once_with_stacks_and_a_terminated_worker_leaves_a_run_that_one_of_two_takes_up(
    sessions: Sessions,
) -> None:
    folder = sessions.training.create()
    owner = sessions.drive(ProcessSession(folder, budgets=QUICK))
    onlooker = sessions.drive(AttachedSession(folder, budgets=QUICK))
    wait_for(lambda: last_step(folder) > CHECKPOINT_STEPS)
    for with_lock in (False, True):
        before = events_of(folder, e.Stalled)
        sessions.training.hang(with_lock=with_lock)
        told = wait_for(lambda: events_of(folder, e.Stalled)[len(before) :])  # noqa: B023
        assert sessions.training.hangs(), "it was told of while it lasted"
        assert told[0].phase == "training" and told[0].seconds >= told[0].budget_seconds
        for one in (owner, onlooker):
            one.until(lambda s: s.stalled is not None)
        sessions.training.go_on()
        wait_for(lambda: not sessions.training.hangs())
        step = last_step(folder)
        wait_for(lambda: last_step(folder) > step)  # noqa: B023
        assert len(events_of(folder, e.Stalled)) == len(before) + 1, "one stall is one event, whoever looks on"
    owner.until(lambda s: s.stalled is None)
    stacks = folder.worker_log.read_text()
    assert stacks.index("in hang_in_python") < stacks.index("in hang_with_the_lock_of_the_interpreter")

    worker = worker_of(folder)
    family = [worker, *worker.children(recursive=True)]
    assert len(family) == 3
    os.killpg(worker.pid, signal.SIGTERM)  # to its loader processes too, as a batch system does it
    state = owner.end()
    assert (owner.exit_code, state.outcome, state.exit_code) == (ExitCode.TERMINATED, "stopped", 143)
    _, alive = psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
    assert not alive
    assert "Traceback" not in folder.worker_log.read_text()
    assert events_of(folder, e.CheckpointSaved)[-1].step == last_step(folder), "not a step was lost"
    assert f"--resume {folder.id}" in state.next

    refusals: list[str] = []
    at_once = threading.Barrier(2)

    def resume() -> None:
        session = resume_training(folder, sessions.training.options())
        at_once.wait()
        try:
            session.run()
        except RunFolderError as error:
            refusals.append(f"{error.message} ({error.exit_code})")

    both = [threading.Thread(target=resume, daemon=True) for _ in range(2)]
    for thread in both:
        thread.start()
    wait_for(lambda: len(events_of(folder, e.TrainingStarted)) == 2)
    wait_for(lambda: refusals)
    assert refusals == [f"run {folder.id}: another session has started its worker (2)"]
    with pytest.raises(RunFolderError, match="is running"):
        resume_training(folder, sessions.training.options())
    again = last_step(folder)
    wait_for(lambda: last_step(folder) > again)
    worker_of(folder).kill()
    for thread in both:
        thread.join(PATIENCE_SECONDS)
    end = events_of(folder, e.RunFinished)[-1]
    assert (end.outcome, end.exit_code, end.reason) == ("failed", 1, "the worker was lost: killed by SIGKILL")
    assert end.next.endswith(f"--resume {folder.id}")
    check_steps(folder)


def test_a_second_signal_moments_later_is_the_first_one_again_and_a_later_one_kills(sessions: Sessions) -> None:
    folder = sessions.training.create()
    owner = sessions.drive(ProcessSession(folder))
    wait_for(lambda: last_step(folder) > 0)
    sessions.training.hang(with_lock=False)
    worker = worker_of(folder)
    worker.terminate()
    worker.terminate()
    time.sleep(AGAIN_SECONDS)
    assert worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE

    def insisted() -> bool:
        with suppress(psutil.NoSuchProcess):
            worker.terminate()
        return owner.exit_code is not None

    wait_for(insisted)  # the worker counts from when it has heard the first
    state = owner.end()
    assert sessions.training.hangs(), "it did not wait for the step to end"
    assert (owner.exit_code, state.outcome) == (ExitCode.TERMINATED, "stopped")
    assert state.reason == "the worker was lost: killed by SIGTERM"
