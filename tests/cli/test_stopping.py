"""A job that is ended from outside: by a signal, a closed pipe, or a command."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import pytest

from speedtui.engine.errors import ExitCode
from speedtui.engine.events import (
    CheckpointSaved,
    CommandApplied,
    Paused,
    Resumed,
    RunFinished,
    RunStarted,
    TrialFinished,
    TrialStarted,
)
from speedtui.engine.log.tail import read_events
from tests.cli.program import SCRIPT, Ended, Place, Program, wait_for, wait_for_event

pytestmark = pytest.mark.slow

ENDLESS = {"search": {"batches": 200_000, "early_stop": False}}
"""A trial that only ends when it is told to: minutes on the fastest machine."""
WAITING = "speedtui: sent; waiting for the job's next step boundary\n"
"""What a command says on stderr, without -q, where the machine is too busy for an answer at once."""


def finish_of(place: Place) -> RunFinished:
    """The end of the log, once the worker is gone."""
    events = list(read_events(place.run_folder.events))
    (pid,) = {event.pid for event in events if isinstance(event, RunStarted)}
    wait_for(lambda: not place.run_folder.worker_alive() and not psutil.pid_exists(pid))
    *_, last = read_events(place.run_folder.events)
    assert isinstance(last, RunFinished)
    return last


def interrupted(place: Place) -> Program:
    return place.start("tune", "--json")


def terminated(place: Place) -> Program:
    return place.start("tune")


def unread(place: Place) -> Program:
    return Program(["sh", "-c", f"{SCRIPT} tune --json | head -n 2"], place.folder)


def commanded(place: Place) -> Program:
    return place.start("tune")


def training(place: Place) -> Program:
    place.configure({"train": {"max_steps": 100_000}, "schedule": {"checkpoint_every": "10 steps"}})
    return place.start("train")


Start = Callable[[Place], Program]


@dataclass(frozen=True)
class Live:
    """A study that goes on until it is ended."""

    place: Place
    program: Program

    def end(self, number: signal.Signals | None = None) -> Ended:
        """Its end; with a signal once there is something to be stopped."""
        if number is not None:
            wait_for_event(self.place, TrialStarted | CheckpointSaved)
            self.program.signal(number)
        return self.program.end()


@pytest.fixture
def live(place: Place) -> Iterator[Callable[[Start], Live]]:
    """Starts one; never several at once, each of which would take a core for as long as the others are looked at."""
    started: list[Live] = []

    def begin(start: Start) -> Live:
        place.configure(ENDLESS)
        started.append(Live(place, start(place)))
        return started[-1]

    yield begin
    for study in started:
        if study.program.process.poll() is None:
            study.end(signal.SIGINT)


@pytest.mark.parametrize(
    ("start", "number", "code"),
    [(interrupted, signal.SIGINT, ExitCode.INTERRUPTED), (terminated, signal.SIGTERM, ExitCode.TERMINATED)],
)
def test_a_signal_ends_the_run_at_a_step_boundary(
    live: Callable[[Start], Live], place: Place, start: Start, number: signal.Signals, code: ExitCode
) -> None:
    ended = live(start).end(number)
    assert ended.code == code
    finished = finish_of(place)
    assert (finished.outcome, finished.exit_code, finished.reason) == ("stopped", code, start.__name__)
    assert f"speedtui: {start.__name__}" in ended.err.splitlines()
    assert "Traceback" not in ended.err
    (trial,) = (event for event in read_events(place.run_folder.events) if isinstance(event, TrialFinished))
    assert trial.result.reason == "the run was stopped during this trial"
    if start is interrupted:  # the one with --json
        assert ended.out == place.run_folder.events.read_text()


def test_an_interrupted_training_says_how_to_go_on(live: Callable[[Start], Live], place: Place) -> None:
    ended = live(training).end(signal.SIGINT)
    assert ended.code == ExitCode.INTERRUPTED
    hint = ended.err.splitlines()[-1]
    assert hint.startswith("Go on from the last checkpoint: ")
    assert shlex.split(hint)[-4:] == ["--runs", str(place.folder / "runs"), "--resume", place.run_folder.id]
    assert finish_of(place).next == hint


def test_a_closed_pipe_ends_the_run_without_a_traceback(live: Callable[[Start], Live], place: Place) -> None:
    ended = live(unread).end()
    first, _ = ended.lines()
    assert first["type"] == "run_started"
    assert ended.err == ""
    assert finish_of(place).outcome == "stopped"


def test_a_live_run_is_paused_resumed_and_cancelled_from_another_terminal(
    live: Callable[[Start], Live], place: Place
) -> None:
    study = live(commanded)
    wait_for_event(place, TrialStarted)
    run = place.run_folder.id
    paused = place.run("send", run, "pause")
    assert (paused.code, paused.out, paused.err.removeprefix(WAITING)) == (ExitCode.DONE, "pause: done\n", "")
    wait_for_event(place, Paused)
    (entry,) = place.run("runs", "--json").lines()
    assert entry["state"] == "alive"
    again = place.run("send", run, "pause", "-q")
    assert again.code == ExitCode.FAILED
    assert again.message == "pause refused: it is paused already"
    (answer,) = place.run("send", run, "resume", "--json").lines()
    assert (answer["type"], answer["command"]) == ("command_applied", "resume")
    wait_for_event(place, Resumed)
    assert place.run("send", run, "eval", "-q").message == "eval refused: this run has nothing it could apply to now"
    assert place.run("send", run, "cancel").code == ExitCode.DONE
    ended = study.end()
    assert ended.code == ExitCode.INTERRUPTED
    assert "\x1b" not in ended.out
    assert (finish_of(place).outcome, finish_of(place).exit_code) == ("stopped", ExitCode.INTERRUPTED)
    applied = [event.command for event in read_events(place.run_folder.events) if isinstance(event, CommandApplied)]
    assert applied == ["pause", "resume", "cancel"]
