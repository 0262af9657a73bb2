"""A recorded run, shown again as it went."""

from __future__ import annotations

import threading
import time

from speedtui.engine.commands import AnyCommand
from speedtui.engine.errors import ExitCode, JobError
from speedtui.engine.events import AnyEvent
from speedtui.engine.log.tail import EventTail
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.base import OnLine
from speedtui.engine.state import Folder, RunState

TICK_SECONDS = 0.05


class ReplaySession:
    """Gives out the recorded events at `speed` times the pace at which they happened."""

    def __init__(self, folder: RunFolder, speed: float = 1.0) -> None:
        self._folder = folder
        self._speed = speed
        self._state_folder = Folder()
        self._state = self._state_folder.snapshot()
        self._left = threading.Event()

    @property
    def folder(self) -> RunFolder:
        """Where the recording is."""
        return self._folder

    def snapshot(self) -> RunState:
        """The state at the moment shown."""
        return self._state

    def send(self, command: AnyCommand) -> None:
        """A recording obeys nobody.

        Raises:
            JobError: always.
        """
        raise JobError("this is a replay", "Attach to a run that is alive to command it.")

    def detach(self) -> None:
        """Leaves."""
        self._left.set()

    def interrupt(self, exit_code: ExitCode) -> None:
        """Leaves."""
        self._left.set()

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Plays to the end, or until left; returns what the run itself ended with."""
        began = time.monotonic()
        for batch in self._batches():
            self._wait_for(began, batch[0][1].t)
            if self._left.is_set():
                return ExitCode.DONE
            for line, event in batch:
                self._state_folder.apply(event)
                if on_line is not None:
                    on_line(line, event)
            self._state = self._state_folder.snapshot()
        return ExitCode(self._state.exit_code or 0)

    def _batches(self) -> list[list[tuple[bytes, AnyEvent]]]:
        """Events that fall into one tick of the replay, together."""
        tail = EventTail(self._folder.events)
        batches: list[list[tuple[bytes, AnyEvent]]] = []
        while pairs := tail.read():
            for pair in pairs:
                due = pair[1].t / self._speed
                if batches and due - batches[-1][0][1].t / self._speed < TICK_SECONDS:
                    batches[-1].append(pair)
                else:
                    batches.append([pair])
        return batches

    def _wait_for(self, began: float, t: float) -> None:
        while not self._left.is_set():
            remaining = t / self._speed - (time.monotonic() - began)
            if remaining <= 0:
                return
            self._left.wait(min(remaining, 0.5))
