"""What a list says of a run, from the two ends of its log: a long one is not read for a row."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import msgspec

from speedtui.engine import events as e
from speedtui.engine.log.tail import EventTail, events_in
from speedtui.engine.regular_file import open_regular
from speedtui.engine.runs import RunFolder, list_runs
from speedtui.engine.state import RunState, RunStatus, StateReducer
from speedtui.engine.state.passed_over import PassedOver

HEAD_BYTES = 1 << 18
"""Of the log's beginning: what was started is there, the training of a short study's demo, too."""
TAIL_BYTES = 1 << 16
"""Of its end, and up to `MOST_TAIL_BYTES` where that says nothing of how far the run is: while an evaluation lasts only
readings of the hardware come, some kilobyte a second."""
MOST_TAIL_BYTES = 1 << 20
BEGINNING = (e.RunStarted, e.ModelLoaded, e.StudyStarted, e.TrainingStarted)
"""Events that still hold when what follows them is not known."""
AT_END = (
    *BEGINNING, e.StepCompleted, e.EtaUpdated, e.TrainingFinished, e.StudyFinished, e.Paused, e.Resumed, e.WorkerLost,
    e.RunFinished,
)  # fmt: skip
"""Events that mean what they say even where those before them are not known."""
HOW_FAR = (e.StepCompleted, e.TrainingFinished)


Stamp = tuple[int, ...]
"""Of a file: another one whenever its content is."""


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run as a list shows it."""

    folder: RunFolder
    alive: bool | None
    """A worker holds it, or a session that will start one; None where that cannot be told."""
    state: RunState
    """Of a long log only what its ends say: how it began, where it is, how it ended."""
    whole: bool = True
    """Whether all of the log was read."""
    step: int | None = None
    """Of the training; None where there is none, or where the end of a long log does not say."""
    problem: str = ""
    """Why nothing is known of it."""


class RunSummaries:
    """Looks at all runs of a folder again and again; a log that has not grown is not read again."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._known: dict[Path, tuple[Stamp, RunSummary]] = {}

    def look(self) -> list[RunSummary]:
        """Every run, those that are known to be alive first, then the newest."""
        found = [self._summary_of(folder) for folder in list_runs(self._runs)]
        self._known = {summary.folder.path: self._known[summary.folder.path] for summary in found}
        return sorted(found, key=lambda summary: not summary.alive)

    def _summary_of(self, folder: RunFolder) -> RunSummary:
        alive = folder.goes_on()
        stamp = stamp_of(folder.events)
        known = self._known.get(folder.path)
        summary = known[1] if known is not None and known[0] == stamp else _read(folder)
        if summary.alive != alive:
            summary = msgspec.structs.replace(summary, alive=alive)
        self._known[folder.path] = (stamp, summary)
        return summary


def read_summary(folder: RunFolder) -> RunSummary:
    """One run now."""
    return msgspec.structs.replace(_read(folder), alive=folder.goes_on())


def stamp_of(path: Path) -> Stamp:
    """Which file it is, how long, and when it was written and changed last; of one that cannot be looked at, none."""
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def status_of(summary: RunSummary) -> RunStatus:
    """What it is doing; a run that is not alive and has not ended has lost its worker."""
    if summary.alive or summary.state.status is RunStatus.FINISHED:
        return summary.state.status
    return RunStatus.UNKNOWN if summary.alive is None else RunStatus.LOST


def _read(folder: RunFolder) -> RunSummary:
    """A run that cannot be read costs its own row, whatever is the matter with it."""
    try:
        return _read_log(folder)
    except OSError as error:
        problem = f"{folder.events.name} {error.strerror or error}"
        problem = problem if error.errno == errno.EINVAL else f"{folder.events.name} cannot be read: {error.strerror}"
    except Exception as error:  # not foreseen; the other runs are listed
        problem = f"{folder.events.name} cannot be read: {type(error).__name__}: {error}"
    return RunSummary(folder=folder, alive=False, state=StateReducer().snapshot(), problem=problem)


def _read_log(folder: RunFolder) -> RunSummary:
    passed_over = PassedOver()
    with open_regular(folder.events) as file:
        size = os.fstat(file.fileno()).st_size
        whole = size <= HEAD_BYTES + TAIL_BYTES
        if whole:
            tail = EventTail(folder.events)
            events = [event for pairs in tail.pieces() for _, event in pairs]
            passed_over = tail.passed_over_at_end
        else:
            begin = events_in(file.read(HEAD_BYTES))
            events = [event for event in begin if isinstance(event, BEGINNING)] + _of_end(file, size)
    state = _fold(events, passed_over)
    return RunSummary(
        folder=folder, alive=False, state=state, whole=whole, step=_step(state, events, whole=whole),
        problem="" if state.run else _why_nothing(folder, size, passed_over),
    )  # fmt: skip


def _why_nothing(folder: RunFolder, size: int, passed_over: PassedOver) -> str:
    if not size:
        return "nothing written yet"
    return passed_over.words if passed_over.newer else f"no event of speedtui in {folder.events.name}"


def _of_end(file: BinaryIO, size: int) -> list[e.AnyEvent]:
    """From more and more of the end, until it says how far the training is."""
    wanted = TAIL_BYTES
    while True:
        begin = max(HEAD_BYTES, size - wanted)
        file.seek(begin)
        piece = file.read(size - begin).partition(b"\n")[2]
        events: list[e.AnyEvent] = [event for event in events_in(piece) if isinstance(event, AT_END)]
        if any(isinstance(event, HOW_FAR) for event in events) or begin == HEAD_BYTES or wanted >= MOST_TAIL_BYTES:
            return events
        wanted *= 4


def _fold(events: list[e.AnyEvent], passed_over: PassedOver) -> RunState:
    state = StateReducer()
    for event in events:
        state.apply(event)
    state.pass_over(passed_over)
    return state.snapshot()


def _step(state: RunState, events: list[e.AnyEvent], *, whole: bool) -> int | None:
    training = state.training
    if training is None:
        return None
    if training.finished is not None:
        return training.finished.steps
    known = whole or any(isinstance(event, e.StepCompleted) and event.trial is None for event in events)
    return training.step if known else None
