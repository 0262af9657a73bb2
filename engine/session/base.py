"""What a screen or a headless command sees of a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from speedtui.engine.commands import AnyCommand
from speedtui.engine.errors import ExitCode
from speedtui.engine.events import AnyEvent
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState

FOLLOW_SECONDS = 0.1
"""Between two looks at the log; a worker writes it at most 20 times a second."""
OnLine = Callable[[bytes, AnyEvent], None]
"""Called for each new line of the log, in the thread that runs the session."""


class Session(Protocol):
    """One job and its log. It knows no screen: whoever shows it pulls snapshots."""

    ending: str
    """What a person is told who interrupts it; empty where that ends nothing."""

    @property
    def folder(self) -> RunFolder:
        """Where the run is."""

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Starts the job and follows it to its end, or until detached; blocks. To be called once."""

    def snapshot(self) -> RunState:
        """The state now. Cheap, from any thread."""

    def send(self, command: AnyCommand) -> None:
        """Asks something of the job; the answer comes as an event. From any thread."""

    def detach(self) -> None:
        """Lets `run` return while the job goes on; a job in this thread is stopped safely instead."""

    def interrupt(self, exit_code: ExitCode) -> None:
        """Ends the job at its next step boundary; `run` then returns this code. From any thread, twice to kill."""

    def kill(self) -> None:
        """Kills the worker at once, where it is a process that can be reached. From any thread.

        Raises:
            JobError: why it cannot be killed from here.
        """
