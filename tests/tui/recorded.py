"""A session over a list of events: what a screen test shows, and where its commands arrive."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from speedtui.engine import events as e
from speedtui.engine.commands import AnyCommand
from speedtui.engine.errors import ExitCode, SpeedtuiError
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.base import OnLine
from speedtui.engine.state import RunState, StateReducer


class RecordedSession:
    """Implements the Session protocol without a worker. `hear` adds events as a live run would."""

    ending = ""

    def __init__(
        self,
        events: Iterable[e.AnyEvent] = (),
        *,
        folder: Path = Path("/nonexistent"),
        error: SpeedtuiError | None = None,
    ) -> None:
        self._folder = RunFolder(folder)
        self._state = StateReducer()
        for event in events:
            self._state.apply(event)
        self._error = error
        self._on_line: OnLine | None = None
        self._over = threading.Event()
        self._waits = threading.Event()
        self._exit_code = ExitCode.DONE
        self.commands: list[AnyCommand] = []
        self.detached = False
        self.interrupted: list[ExitCode] = []
        self.killed = 0

    @property
    def folder(self) -> RunFolder:
        return self._folder

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        if self._error is not None:
            raise self._error
        self._on_line = on_line
        self._waits.set()
        self._over.wait()
        return self._exit_code

    @property
    def followed(self) -> bool:
        """Whether somebody is told what comes in."""
        return self._on_line is not None

    def hear(self, *events: e.AnyEvent) -> None:
        """These events come in now."""
        for event in events:
            self._state.apply(event)
            if self._on_line is not None:
                self._on_line(e.encode(event), event)

    def end(self, exit_code: ExitCode = ExitCode.DONE) -> None:
        """The job is over."""
        self._exit_code = exit_code
        self._over.set()

    @property
    def at_rest(self) -> bool:
        """Whether its thread does nothing until somebody ends it."""
        return self._waits.is_set() and not self._over.is_set()

    def snapshot(self) -> RunState:
        return self._state.snapshot()

    def send(self, command: AnyCommand) -> None:
        self.commands.append(command)

    def detach(self) -> None:
        self.detached = True
        self._over.set()

    def interrupt(self, exit_code: ExitCode) -> None:
        self.interrupted.append(exit_code)
        self.end(exit_code)

    def kill(self) -> None:
        self.killed += 1
