"""Follows a run's log and keeps its state."""

from __future__ import annotations

import threading

from speedtui.engine.commands import AnyCommand
from speedtui.engine.log.commands import append_command
from speedtui.engine.log.tail import EventTail
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.base import OnLine
from speedtui.engine.state import Folder, RunState


class Follower:
    """Folds new lines of the log; `snapshot` may be called from another thread than `read`."""

    def __init__(self, folder: RunFolder) -> None:
        self._tail = EventTail(folder.events)
        self._folder = Folder()
        self._state = self._folder.snapshot()
        self._folding = threading.Lock()  # a screen may read while the session's thread does

    def read(self, on_line: OnLine | None = None) -> bool:
        """Takes in what is new; whether there was anything."""
        with self._folding:
            any_new = False
            while pairs := self._tail.read():
                any_new = True
                for line, event in pairs:
                    self._folder.apply(event)
                    if on_line is not None:
                        on_line(line, event)
            if any_new:
                self._state = self._folder.snapshot()
            return any_new

    def snapshot(self) -> RunState:
        """The state after the last `read`."""
        return self._state


class FollowedRun:
    """What every session over a run's folder shares: where it is, its state, its command file."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._follower = Follower(folder)

    @property
    def folder(self) -> RunFolder:
        """Where the run is."""
        return self._folder

    def snapshot(self) -> RunState:
        """The state now."""
        return self._follower.snapshot()

    def send(self, command: AnyCommand) -> None:
        """Appends to commands.jsonl."""
        append_command(self._folder.commands, command)
