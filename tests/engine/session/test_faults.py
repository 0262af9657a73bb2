"""Real processes that are killed at the worst moments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.load import dump_settings
from speedtui.engine.context.order import read_order
from speedtui.engine.errors import ExitCode, RunFolderError
from speedtui.engine.jobs.execute import execute
from speedtui.engine.log.tail import EventTail, read_events
from speedtui.engine.runs import RunFolder, find_run, list_runs
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.start import resume_training
from speedtui.engine.state import RunState, RunStatus, fold
from tests.engine.session.conftest import Starter, tried

pytestmark = pytest.mark.slow


def in_trial(number: int) -> Callable[[RunState], bool]:
    def condition(state: RunState) -> bool:
        running = state.study.running if state.study is not None else None
        return running is not None and running.candidate.id == number and running.batches_done > 0

    return condition


def kill_worker(state: RunState) -> None:
    assert state.pid is not None
    os.kill(state.pid, signal.SIGKILL)


def test_a_worker_killed_in_a_trial_costs_that_trial_and_nothing_else(start: Starter) -> None:
    study = start.study(values={"search.batches": 100})
    kill_worker(study.until(in_trial(1)))
    state = study.end()
    assert (study.exit_code, state.outcome, state.restarts) == (ExitCode.DONE, "ok", 1)
    assert state.study is not None
    assert [row.status for row in state.study.rows] == [TrialStatus.OK, TrialStatus.FAILED, TrialStatus.OK]
    assert [event.reason for event in study.events(e.WorkerLost)] == ["killed by SIGKILL"]
    started = [event.trial for event in study.events(e.TrialStarted)]
    assert started == [0, 1, 2], "no trial is run twice"
    first, second = study.events(e.RunStarted)
    assert first.t < study.events(e.WorkerLost)[0].t <= second.t
    tail = EventTail(study.session.folder.events)
    for _ in tail.pieces():
        pass
    assert not tail.passed_over


def test_a_worker_that_only_ever_dies_ends_the_run_with_what_to_do(start: Starter, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.py"
    recipe.write_text("import os, signal\ndef build():\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    study = start.study(values={"model.kind": "python", "model.path": None, "model.recipe": f"{recipe}:build"})
    state = study.end()
    assert (study.exit_code, state.outcome) == (ExitCode.FAILED, "failed")
    assert "killed by SIGKILL" in state.reason
    assert "worker.log" in state.next


def test_a_recipe_that_kills_its_worker_for_one_candidate_fails_that_candidate(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(RECIPE)
    candidates = tmp_path / "candidates.json"
    candidates.write_text('[{"recipe.width": 4}, {"recipe.width": 13}, {"recipe.width": 8}]')
    study = start.study(
        values={
            "model.kind": "python", "model.path": None, "model.recipe": f"{tmp_path / 'recipe.py'}:build",
            "search.configs": str(candidates), "search.memory_limit": None,
        }
    )  # fmt: skip
    state = study.end()
    assert state.study is not None
    assert [row.status for row in state.study.rows] == [TrialStatus.OK, TrialStatus.FAILED, TrialStatus.OK]
    reason = state.study.rows[1].result
    assert reason is not None and "its worker died during this trial" in reason.reason


RECIPE = """
import os, signal, torch
from speedtui.engine.workload import Recipe

class Model(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.Linear(width, 1))

    def forward(self, x, y):
        if self.width == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"loss": ((self.layers(x).squeeze(-1) - y) ** 2).mean()}

def build(width):
    data = [{"x": torch.randn(8), "y": torch.tensor(1.0)} for _ in range(64)]
    return Recipe(model=Model(width), train_dataset=data)
"""


def test_a_run_goes_on_without_the_session_that_started_it(start: Starter, tmp_path: Path) -> None:
    script = (
        "import sys, msgspec\n"
        "from pathlib import Path\n"
        "from speedtui.engine.config.load import load_settings\n"
        "from speedtui.engine.session.start import StartOptions, start_study\n"
        "settings = load_settings(Path(sys.argv[1]))\n"
        "options = StartOptions(runs=Path(sys.argv[2]), where='t', train_command=[])\n"
        "start_study(settings, options).run()\n"
    )
    config = tmp_path / "speedtui.toml"
    config.write_text(dump_settings(start.settings))
    session = subprocess.Popen([sys.executable, "-c", script, str(config), str(start.runs)])
    while not list_runs(start.runs):
        time.sleep(0.05)
    session.send_signal(signal.SIGKILL)
    session.wait()
    attached = AttachedSession(find_run(start.runs, None))
    assert attached.run() is ExitCode.DONE
    study = attached.snapshot().study
    assert study is not None and tried(attached.snapshot()) == len(study.rows)


def test_a_held_worker_that_nobody_looks_at_ends_by_itself(start: Starter) -> None:
    study = start.study(queued=False, hold=True)
    state = study.until(lambda s: s.status is RunStatus.IDLE)
    assert state.pid is not None
    worker = psutil.Process(state.pid)
    study.session._detached.set()  # type: ignore[attr-defined]  # as if the screen had been killed
    study.end()
    worker.wait(timeout=60)
    assert fold(read_events(study.session.folder.events)).outcome == "ok"


def test_a_killed_training_goes_on_from_its_last_checkpoint(start: Starter) -> None:
    training = start.training(values={"train.max_steps": 60, "schedule.checkpoint_every": "5 steps"})
    kill_worker(training.until(lambda s: s.training is not None and len(s.training.checkpoints) >= 2))
    state = training.end()
    assert (training.exit_code, state.outcome) == (ExitCode.FAILED, "failed")
    assert f"--resume {training.session.folder.id}" in state.next
    resumed = resume_training(training.session.folder, start.options(False))
    assert resumed.run() is ExitCode.DONE
    after = resumed.snapshot()
    assert after.training is not None and after.training.finished is not None
    assert after.training.step == 60
    first_steps = [event.first_step for event in training.events(e.TrainingStarted)]
    assert first_steps[0] == 0 and first_steps[1] >= 10


def test_two_workers_of_one_run_are_refused(start: Starter) -> None:
    study = start.study(queued=False, hold=True)
    study.until(lambda s: s.status is RunStatus.IDLE)
    with pytest.raises(RunFolderError, match="a worker is writing this run already"):
        execute(study.session.folder)
    study.session.send(c.Finish())
    study.end()


def test_a_worker_leaves_no_process_behind_when_it_is_interrupted_twice(start: Starter) -> None:
    study = start.study(values={"search.batches": 400, "train.loader_workers": 2})
    state = study.until(in_trial(0))
    assert state.pid is not None
    family = [psutil.Process(state.pid), *psutil.Process(state.pid).children(recursive=True)]
    for _ in range(3):
        study.session.interrupt(ExitCode.INTERRUPTED)
    state = study.end()
    assert study.exit_code is ExitCode.INTERRUPTED
    assert state.exit_code == 130
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_an_attached_session_refuses_to_command_a_run_that_has_ended(start: Starter) -> None:
    study = start.study(in_thread=True, micro_batches=[4])
    study.end()
    attached = AttachedSession(study.session.folder)
    with pytest.raises(RunFolderError, match="has ended"):
        attached.send(c.Pause())
    assert attached.run() is ExitCode.DONE


def test_an_order_reads_back_as_it_was_written(start: Starter) -> None:
    study = start.study(micro_batches=[4], queued=False, hold=True)
    order = read_order(RunFolder(study.session.folder.path))
    assert (order.job, order.mode, order.enforce_limit) == ("tune", "knobs", True)
    study.until(lambda s: s.status is RunStatus.IDLE)
    study.session.send(c.Finish())
    study.end()
