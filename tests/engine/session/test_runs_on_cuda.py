"""Whole runs on a simulated CUDA device, and what comes of one that breaks or is too small."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialResult, TrialStatus
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.paths import with_values
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import PlanOrder, read_order
from speedtui.engine.errors import ExitCode
from speedtui.engine.jobs.result import SPENT
from speedtui.engine.jobs.study import Study
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.process import ProcessSession
from speedtui.engine.session.start import start_plan, start_training
from speedtui.engine.state import RunState, fold
from tests.engine.session.conftest import Starter
from tests.simulated_cuda import SimulatedCuda, simulated_cuda, worker_environment

pytestmark = pytest.mark.slow

RECIPE = """
import os, torch
from speedtui.engine.workload import Recipe

class Model(torch.nn.Module):
    def __init__(self, width, breaks):
        super().__init__()
        self.width, self.breaks, self.passes = width, breaks, 0
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.Linear(width, 1))

    def forward(self, x, y):
        assert self.layers[0].weight.is_cuda
        self.passes += self.training
        if self.breaks_now():
            from tests.simulated_cuda import present
            present().poison()
        return {"loss": ((self.layers(x).squeeze(-1) - y) ** 2).mean()}

    def breaks_now(self):
        if self.breaks == "once" and self.passes == 12 and not os.path.exists("BROKEN"):
            open("BROKEN", "w").close()
            return True
        return (self.breaks == "training" and self.passes == 12) or (
            self.breaks == "evaluation" and self.passes >= 8 and not self.training) or (
            self.breaks == "trial" and self.width == 13 and self.passes)

def build(width=4, breaks="trial"):
    data = [{"x": torch.ones(8) * i, "y": torch.tensor(1.0)} for i in range(64)]
    return Recipe(model=Model(width, breaks), train_dataset=data, eval_dataset=data[:8])
"""


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """Settings of a model that breaks its device, in trials at width 13."""
    (tmp_path / "recipe.py").write_text(RECIPE.replace("BROKEN", str(tmp_path / "broken")))
    return {"model.kind": "python", "model.path": None, "model.recipe": f"{tmp_path / 'recipe.py'}:build",
            "data.eval": None, "search.memory_limit": None, "search.batches": 2}  # fmt: skip


@pytest.fixture
def candidates(tmp_path: Path) -> str:
    file = tmp_path / "candidates.json"
    file.write_text('[{"recipe.width": 13}, {"recipe.width": 8}]')
    return str(file)


@pytest.fixture
def simulated_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of workers have a simulated device."""
    for name, value in worker_environment().items():
        monkeypatch.setenv(name, value)


def statuses(state: RunState) -> list[TrialStatus]:
    assert state.study is not None
    return [row.status for row in state.study.rows]


def test_a_study_and_a_training_run_from_end_to_end(cuda: SimulatedCuda, start: Starter) -> None:
    study = start.study(in_thread=True, micro_batches=[4], values={"search.memory_limit": "1GiB"})
    state = study.end()
    assert (study.exit_code, statuses(state)) == (ExitCode.DONE, [TrialStatus.OK]), state.reason
    assert cuda.peak_allocated_bytes > 0
    training = start.training(in_thread=True, values={"train.max_steps": 4, "schedule.eval_every": "2 steps"})
    state = training.end()
    assert (training.exit_code, state.outcome) == (ExitCode.DONE, "ok"), state.reason
    steps = training.events(e.StepCompleted)
    assert steps and all(step.device_phases is not None for step in steps)
    assert state.training is not None and state.training.step == 4


# -- a device that breaks --------------------------------------------------------------------------


def test_a_trial_that_breaks_its_device_costs_one_worker_and_counts_as_a_finished_one(
    simulated_workers: None, start: Starter, recipe: dict[str, Any], candidates: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speedtui.engine.session.process.FRUITLESS_RESTARTS", 0)  # none without a finished trial
    study = start.study(values={**recipe, "search.configs": candidates})
    state = study.end(seconds=280)
    assert statuses(state) == [TrialStatus.FAILED, TrialStatus.OK]
    assert state.study is not None and state.study.rows[0].result is not None
    reason = state.study.rows[0].result.reason
    assert "an illegal memory access was encountered" in reason and "\n" not in reason
    assert (study.exit_code, state.restarts) == (ExitCode.DONE, 1)


def test_a_training_whose_device_breaks_is_started_again_where_that_is_wanted(
    simulated_workers: None, start: Starter, recipe: dict[str, Any]
) -> None:
    values = {**recipe, "recipe.breaks": "once", "train.micro_batch_size": 4, "schedule.checkpoint_every": "2 steps",
              "schedule.check_evaluation": False}  # fmt: skip
    settings = with_values(start.settings, values, "test")
    training = start._drive(start_training(settings, start.options(False, restarts=1)))
    state = training.end(seconds=280)
    assert (training.exit_code, state.restarts) == (ExitCode.DONE, 1), state.reason
    assert state.training is not None and state.training.step == 12
    first = [event.first_step for event in training.events(e.TrainingStarted)]
    assert first[0] == 0 and first[1] >= 2


@pytest.mark.parametrize("where", ["training", "evaluation"])
def test_a_training_whose_device_breaks_says_so_and_how_to_go_on(
    where: str, cuda: SimulatedCuda, start: Starter, recipe: dict[str, Any]
) -> None:
    values = {**recipe, "recipe.breaks": where, "train.micro_batch_size": 4, "schedule.eval_every": "4 steps",
              "schedule.check_evaluation": False, "schedule.checkpoint_every": "2 steps"}  # fmt: skip
    training = start.training(in_thread=True, values=values)
    state = training.end()
    assert training.exit_code is ExitCode.FAILED
    assert "CUDA error: an illegal memory access was encountered" in state.reason
    assert "a new one can use it again" in state.next and "--resume" in state.next
    assert not any("goes on" in notice.text for notice in training.events(e.Notice))
    assert not any("a part of the measuring has stopped" in notice.text for notice in training.events(e.Notice))
    steps = training.events(e.StepCompleted)
    assert steps[-1].step == state.training.step if state.training is not None else 0


def test_a_job_in_this_very_process_ends_where_its_device_breaks(
    cuda: SimulatedCuda, start: Starter, recipe: dict[str, Any], candidates: str
) -> None:
    study = start.study(in_thread=True, values={**recipe, "search.configs": candidates})
    state = study.end()
    assert (study.exit_code, state.outcome) == (ExitCode.FAILED, "failed")
    assert statuses(state) == [TrialStatus.FAILED, TrialStatus.NOT_RUN]
    assert "this process cannot be trusted with another trial" in state.reason
    assert "--engine process" in state.next


def test_a_plan_goes_on_in_another_worker_with_what_the_first_one_measured(start: Starter) -> None:
    values: dict[str, Any] = {"train.micro_batch_size": 4}
    session = start_plan(start.settings, start.options(False), PlanOrder())
    assert isinstance(session, ProcessSession)
    with _job(session.folder) as context:
        context.emit(_started(context))
        study = Study(context)
        study.begin()
        tried = study.propose(values)
        study.start_trial(tried)
        study.finish_trial(tried, TrialResult(status=TrialStatus.FAILED, reason="it broke", seconds=1.0))
    session._take_in(None, time.monotonic())
    session._worker = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({SPENT})"])
    session._worker.wait()
    assert session._worth_restarting()
    with _job(session.folder) as context:
        study = Study(context)
        study.begin()
        assert study.propose(values) == tried
        assert study.next_queued() is None
        other = study.propose({"train.micro_batch_size": 2})
        assert study.next_queued() == other


@contextmanager
def _job(folder: RunFolder) -> Iterator[JobContext]:
    """What a worker's job has at hand, with what the workers before it have left."""
    before = fold(read_events(folder.events)) if folder.events.exists() else RunState()
    log = EventLog(folder.events, RunClock())
    try:
        yield JobContext(folder, load_settings(folder.config), read_order(folder), log, before, frozenset())
    finally:
        log.close()


def _started(context: JobContext) -> e.RunStarted:
    return e.RunStarted(
        t=0.0, run=context.folder.id, job="plan", started_at=0.0, host="here", pid=1, devices=[], versions={}, config={}
    )


# -- a device that is too small --------------------------------------------------------------------


@pytest.mark.parametrize("job", ["tune", "train", "plan"])
def test_a_model_that_finds_no_memory_fits_nowhere_and_what_helps_is_said(job: str, start: Starter) -> None:
    with simulated_cuda(memory_bytes=64 << 20, external_bytes=64 << 20):
        values = {"search.memory_limit": None}
        if job == "tune":
            run = start.study(in_thread=True, values=values)
        elif job == "train":
            run = start.training(in_thread=True, values=values)
        else:
            settings = with_values(start.settings, values, "test")
            run = start._drive(start_plan(settings, start.options(True), PlanOrder()))
        state = run.end()
    assert (run.exit_code, state.outcome) == (ExitCode.NO_FIT, "no_fit")
    assert state.reason.startswith("the model does not fit in memory: no room for another")
    assert "64.0 MiB of the device are taken by something else" in state.next
    assert "Its weights alone take" in state.next and 'model.dtype = "bfloat16"' in state.next
