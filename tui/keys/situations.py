"""When keys do something: one small question each."""

from __future__ import annotations

from collections.abc import Callable

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState, RunStatus
from speedtui.tui.keys.key import Situation


def busy(now: Situation) -> bool:
    """The run in front works on something, and somebody follows commands."""
    return now.run.status.busy and not now.read_only


def training(now: Situation) -> bool:
    """It trains."""
    state = now.run.training
    return busy(now) and state is not None and state.finished is None


def levers(now: Situation) -> bool:
    """There is something that would bring a late run nearer to its deadline."""
    state = now.run.training
    return state is not None and state.finished is None and bool(state.levers) and now.run.outcome is None


def has_training(now: Situation) -> bool:
    """There is a training, over or not."""
    return now.run.training is not None


def study_over(run: RunState) -> bool:
    """The run tries nothing any more: it has ended, or its worker trains the winner."""
    return run.status in (RunStatus.FINISHED, RunStatus.LOST) or run.training is not None


def study_open(now: Situation) -> bool:
    """The study takes candidates and commands."""
    return now.study.study is not None and not study_over(now.study) and not now.read_only


def has_trials(now: Situation) -> bool:
    """The study has candidates, whether it is over or not."""
    return now.study.study is not None and bool(now.study.study.rows)


def selected(*, running: bool | None = None, result: bool | None = None) -> Callable[[Situation], bool]:
    """A trial is under the cursor, and is running or not, has a result or not, where that is asked."""

    def allowed(now: Situation) -> bool:
        row = now.selected
        if row is None or not study_open(now):
            return False
        is_running = row.status is TrialStatus.RUNNING
        return (running is None or is_running == running) and (result is None or row.status.finished == result)

    return allowed


def stoppable(now: Situation) -> bool:
    """The trial under the cursor runs or is queued."""
    row = now.selected
    return study_open(now) and row is not None and row.status in (TrialStatus.RUNNING, TrialStatus.QUEUED)


def some_without_result(now: Situation) -> bool:
    """A candidate waits to be run."""
    study = now.study.study
    return study_open(now) and study is not None and study.count(TrialStatus.WAITING) > 0


def next_differs(now: Situation) -> bool:
    """The next run is another one than this."""
    return now.next_differs


def replaying(now: Situation) -> bool:
    """A recording is shown."""
    return now.replaying


def several_runs(now: Situation) -> bool:
    """More than one run is open."""
    return now.runs > 1
