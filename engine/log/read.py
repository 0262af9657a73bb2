"""A log as a whole: what all that it tells comes to, with how much of it told nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from speedtui.engine import events as e
from speedtui.engine.errors import RunFolderError
from speedtui.engine.log.tail import EventTail
from speedtui.engine.state import RunState, StateReducer
from speedtui.engine.state.passed_over import PassedOver

ReadProgress = Callable[[int, int], None]
"""(bytes of the log read, all of them), after each mebibyte: a long log is told of and left between two."""


def _nobody(read: int, total: int) -> None:
    """Told of progress where nobody waits for it."""


class WholeLog:
    """Goes through a log as it is now, once or again."""

    def __init__(self, path: Path, progress: ReadProgress = _nobody) -> None:
        self._path = path
        self._progress = progress
        self.passed_over = PassedOver()
        """By whoever has gone through it last."""

    def events(self) -> Iterator[e.AnyEvent]:
        """Every readable event.

        Raises:
            RunFolderError: it cannot be read.
        """
        try:
            tail, total = EventTail(self._path), self._path.stat().st_size
            for pairs in tail.pieces():
                self._progress(min(tail.bytes_read, total), total)
                for _, event in pairs:
                    yield event
        except OSError as error:
            raise unreadable(self._path, error) from None
        self.passed_over = tail.passed_over_at_end

    def state(self) -> RunState:
        """The run as a whole.

        Raises:
            RunFolderError: it cannot be read.
        """
        folder = StateReducer()
        for event in self.events():
            folder.apply(event)
        folder.pass_over(self.passed_over)
        return folder.snapshot()


def read_state(path: Path, progress: ReadProgress = _nobody) -> RunState:
    """What the whole log comes to.

    Raises:
        RunFolderError: it cannot be read.
    """
    return WholeLog(path, progress).state()


def no_run_words(state: RunState, path: Path) -> str:
    """Why a log that could be read tells of no run."""
    empty = "nothing written yet" if path.stat().st_size == 0 else ""
    return ": ".join(part for part in ("no run is told in it", state.passed_over.words or empty) if part)


def unreadable(path: Path, error: OSError) -> RunFolderError:
    """What a command says of a log that it cannot read."""
    return RunFolderError(f"{path}: {error.strerror or error}", "`speedtui runs` lists the runs.")
