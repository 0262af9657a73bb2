"""A training on the command line that outlives its screens, its sessions and its workers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from speedtui.engine import events as e
from speedtui.engine.runs import list_runs
from tests.cli.killing import PROGRAM, Front, Killing
from tests.engine.session.survival_run import (
    PATIENCE_SECONDS,
    STEPS,
    as_events,
    check_steps,
    events_of,
    last_step,
    wait_for,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def killing(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Killing]:
    found = Killing(tmp_path, seed=7, steps=getattr(request, "param", STEPS))
    yield found
    found.clean_up()


@pytest.fixture
def heard_hang_ups() -> Iterator[None]:
    """Programs that are started end at a hang-up, also where the tests run under nohup, which is inherited."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def run_json(killing: Killing, *arguments: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [*PROGRAM, *arguments, "--json"], cwd=killing.training.folder, capture_output=True, text=True, check=True
    )
    return as_events(done.stdout)


def exit_status(code: int) -> int:
    """As a shell counts it."""
    return code if code >= 0 else 128 - code


def test_four_kills_at_random_points_cost_nothing_but_the_steps_since_the_last_checkpoint(killing: Killing) -> None:
    for victim in ("session", "worker", "screen", "worker"):
        played = killing.play(victim)
        assert played.orphans == 0
        assert played.worker_survived == (victim != "worker")
    killing.finish()
    assert last_step(killing.run) == STEPS
    workers = len(events_of(killing.run, e.RunStarted))
    assert workers == 3
    assert max(played.torn_lines for played in killing.rounds) <= workers - 1
    assert events_of(killing.run, e.RunFinished)[-1].outcome == "ok"


@pytest.mark.usefixtures("heard_hang_ups")
@pytest.mark.parametrize("killing", [100_000], indirect=True)  # it does not end before it is terminated
def test_a_terminal_that_hangs_up_takes_neither_a_run_nor_its_loader_processes_along(killing: Killing) -> None:
    folder = killing.training.folder
    lines = Front(folder, ["train", "-q"], killing.env, screen=True)  # on a terminal, but without the screen
    (run,) = wait_for(lambda: list_runs(folder / "runs"))
    wait_for(lambda: last_step(run) > 0)
    screen = Front(folder, ["attach"], killing.env, screen=True)
    screen.seen.goes_on()
    (entry,) = run_json(killing, "runs")
    assert (entry["run"], entry["state"]) == (run.id, "alive")

    for front in (lines, screen):
        assert front.terminal is not None
        os.close(front.terminal.fd)  # as when the connection is gone: the kernel sends SIGHUP
        _, status = wait_for(lambda: pair if (pair := os.waitpid(front.pid, os.WNOHANG))[0] else None)  # noqa: B023
        assert exit_status(os.waitstatus_to_exitcode(status)) == (129 if front is lines else 0)
        step = last_step(run)
        wait_for(lambda: last_step(run) > step)  # noqa: B023
    worker = psutil.Process(events_of(run, e.RunStarted)[-1].pid)
    family = [worker, *worker.children()]
    assert len(family) == 3

    os.killpg(worker.pid, signal.SIGHUP)
    step = last_step(run)
    wait_for(lambda: last_step(run) > step)
    assert worker.children() == family[1:]

    second = subprocess.run(
        [*PROGRAM, "train", "--resume", run.id], cwd=folder, capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert second.stderr.splitlines()[0] == f"speedtui: run {run.id} is running"
    third = subprocess.run(
        [PROGRAM[0], "-m", "speedtui.engine.jobs.worker", str(run.path)], capture_output=True, text=True, check=False
    )
    assert third.returncode == 2
    assert len(third.stderr.splitlines()) == 1 and "a worker is writing this run already" in third.stderr

    worker.terminate()
    _, alive = psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
    assert not alive
    end = events_of(run, e.RunFinished)[-1]
    assert (end.outcome, end.exit_code, end.reason) == ("stopped", 143, "terminated")
    assert events_of(run, e.CheckpointSaved)[-1].step == last_step(run)
    assert "Traceback" not in run.worker_log.read_text()
    check_steps(run)
