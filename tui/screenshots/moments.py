"""Moments of a recorded run that are worth a picture, found by what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus

Log = Sequence[e.AnyEvent]
PictureMoment = Callable[[Log], int | None]
"""The index of the last event that is seen; None where the recording has no such moment."""

STEADY_SHARE, LAST_SHARE = 0.25, 2 / 3
"""Of a training's lines of steps: there is a verdict by then; most of the course is drawn."""
LATE_SHARE = 0.5
"""Of the time for which a run is late: charts and levers show it by then."""


def _first(log: Log, wanted: Callable[[e.AnyEvent], bool]) -> int | None:
    return next((i for i, event in enumerate(log) if wanted(event)), None)


def _steps(log: Log) -> list[int]:
    """Where the training's own steps are told."""
    return [i for i, event in enumerate(log) if isinstance(event, e.StepCompleted) and event.trial is None]


def loading(log: Log) -> int | None:
    """The first that is told of preparing."""
    return _first(log, lambda event: isinstance(event, e.ProgressMade))


def measuring(log: Log) -> int | None:
    """In the middle of the third throughput probe, so that there are results beside it; or of the last one."""
    probed = [
        (i, event.trial)
        for i, event in enumerate(log)
        if isinstance(event, e.StepCompleted) and event.probe == "throughput"
    ]
    trials = list(dict.fromkeys(trial for _, trial in probed))
    if not trials:
        return None
    chosen = trials[min(2, len(trials) - 1)]
    steps = [i for i, trial in probed if trial == chosen]
    return steps[len(steps) // 2]


def out_of_memory(log: Log) -> int | None:
    """The first trial that there is no room for."""
    return _first(
        log, lambda event: isinstance(event, e.TrialFinished) and event.result.status is TrialStatus.OUT_OF_MEMORY
    )


def study_finished(log: Log) -> int | None:
    """Every candidate has a result."""
    return _first(log, lambda event: isinstance(event, e.StudyFinished))


def on_track(log: Log) -> int | None:
    """The last estimate of the first stretch in which the training will be in time."""
    found = None
    for i, event in enumerate(log):
        if isinstance(event, e.EtaUpdated) and event.verdict in ("on_track", "late"):
            if event.verdict == "late":
                break
            found = i
    return found


def late(log: Log) -> int | None:
    """In the middle of being late."""
    estimates = [i for i, event in enumerate(log) if isinstance(event, e.EtaUpdated) and event.verdict == "late"]
    return estimates[int(len(estimates) * LATE_SHARE)] if estimates else None


def training(log: Log) -> int | None:
    """Two thirds through the training's steps."""
    steps = _steps(log)
    return steps[int(len(steps) * LAST_SHARE)] if steps else None


def finished(log: Log) -> int | None:
    """However it ended."""
    return _first(log, lambda event: isinstance(event, e.RunFinished))


MOMENTS: dict[str, PictureMoment] = {
    "loading": loading, "measuring": measuring, "out_of_memory": out_of_memory, "study_finished": study_finished,
    "training": training, "on_track": on_track, "late": late, "finished": finished,
}  # fmt: skip
