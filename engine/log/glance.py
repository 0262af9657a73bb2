"""What a list says of a run, from the two ends of its log: a long one is not read for a row."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import msgspec

from speedtui.engine import events as e
from speedtui.engine.runs import RunFolder, list_runs
from speedtui.engine.state import Folder, RunState, RunStatus

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


class RunGlance(msgspec.Struct, frozen=True, kw_only=True):
    """A run as a list shows it."""

    folder: RunFolder
    alive: bool
    """A worker holds it, or a session that will start one."""
    state: RunState
    """Of a long log only what its ends say: how it began, where it is, how it ended."""
    whole: bool = True
    """Whether all of the log was read."""
    step: int | None = None
    """Of the training; None where there is none, or where the end of a long log does not say."""
    problem: str = ""
    """Why nothing is known of it."""


class Glances:
    """Looks at all runs of a folder again and again; a log that has not grown is not read again."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._known: dict[Path, tuple[tuple[int, int], RunGlance]] = {}

    def look(self) -> list[RunGlance]:
        """Every run, those that are alive first, then the newest."""
        found = [self._glance(folder) for folder in list_runs(self._runs)]
        self._known = {glance.folder.path: self._known[glance.folder.path] for glance in found}
        return sorted(found, key=lambda glance: not glance.alive)

    def _glance(self, folder: RunFolder) -> RunGlance:
        alive = folder.worker_alive() or folder.owned()
        try:
            stat = folder.events.stat()
            stamp = (stat.st_size, stat.st_mtime_ns)
        except OSError:
            stamp = (-1, 0)
        known = self._known.get(folder.path)
        glance = known[1] if known is not None and known[0] == stamp else _read(folder)
        if glance.alive != alive:
            glance = msgspec.structs.replace(glance, alive=alive)
        self._known[folder.path] = (stamp, glance)
        return glance


def glance(folder: RunFolder) -> RunGlance:
    """One run now."""
    return msgspec.structs.replace(_read(folder), alive=folder.worker_alive() or folder.owned())


def status_of(glance: RunGlance) -> RunStatus:
    """What it is doing; a run that is not alive and has not ended has lost its worker."""
    if glance.alive or glance.state.status is RunStatus.FINISHED:
        return glance.state.status
    return RunStatus.LOST


def _read(folder: RunFolder) -> RunGlance:
    try:
        size = folder.events.stat().st_size
        whole = size <= HEAD_BYTES + TAIL_BYTES
        with folder.events.open("rb") as file:
            head = file.read(HEAD_BYTES + TAIL_BYTES if whole else HEAD_BYTES)
            events = _events(head)
            if not whole:
                events = [event for event in events if isinstance(event, BEGINNING)] + _of_end(file, size)
    except OSError as error:
        problem = f"{folder.events.name} cannot be read: {error.strerror or error}"
        return RunGlance(folder=folder, alive=False, state=Folder().snapshot(), problem=problem)
    state = _fold(events)
    problem = "" if state.run else f"no event of speedtui in {folder.events.name}" if head else "nothing written yet"
    return RunGlance(
        folder=folder, alive=False, state=state, whole=whole, problem=problem, step=_step(state, events, whole=whole)
    )


def _of_end(file: BinaryIO, size: int) -> list[e.AnyEvent]:
    """From more and more of the end, until it says how far the training is."""
    wanted = TAIL_BYTES
    while True:
        begin = max(HEAD_BYTES, size - wanted)
        file.seek(begin)
        piece = file.read(size - begin).partition(b"\n")[2]
        events: list[e.AnyEvent] = [event for event in _events(piece) if isinstance(event, AT_END)]
        if any(isinstance(event, HOW_FAR) for event in events) or begin == HEAD_BYTES or wanted >= MOST_TAIL_BYTES:
            return events
        wanted *= 4


def _events(piece: bytes) -> list[e.AnyEvent]:
    """Those of the whole lines."""
    events = []
    for line in piece.split(b"\n")[:-1]:
        try:
            event = e.decode(line)
        except ValueError:  # torn, or no event
            continue
        if event is not None:
            events.append(event)
    return events


def _fold(events: list[e.AnyEvent]) -> RunState:
    state = Folder()
    for event in events:
        state.apply(event)
    return state.snapshot()


def _step(state: RunState, events: list[e.AnyEvent], *, whole: bool) -> int | None:
    training = state.training
    if training is None:
        return None
    if training.finished is not None:
        return training.finished.steps
    known = whole or any(isinstance(event, e.StepCompleted) and event.trial is None for event in events)
    return training.step if known else None
