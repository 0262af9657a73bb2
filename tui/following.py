"""The session's side of the screen: runs it in a thread and keeps what the screen asks about.

The engine's thread only appends to a bounded queue here. It never calls into Textual: with a hung terminal
such a call would stop the training.
"""

from __future__ import annotations

import traceback
from collections import deque

from speedtui.engine.commands import AnyCommand, command_name
from speedtui.engine.errors import ExitCode, SpeedtuiError
from speedtui.engine.events import AnyEvent, CommandApplied, CommandRefused, Notice, TrialPromoted, WorkerLost
from speedtui.engine.session.base import Session
from speedtui.engine.state import RunState
from speedtui.tui.frame import ReplayPosition

REMEMBERED = 256
"""Events kept for the next tick; more in half a second would not be read by anyone."""

Noteworthy = CommandApplied | CommandRefused | Notice | WorkerLost | TrialPromoted


class Following:
    """One session that is shown."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.exit_code: ExitCode | None = None
        """Of the session once it ended."""
        self.error: SpeedtuiError | None = None
        """Why it could not be run."""
        self.error_told = False
        self.sent: set[str] = set()
        """Ids of the commands sent from this screen."""
        self._unanswered: dict[str, str] = {}
        """Names by id of those that the job has not answered."""
        self._news: deque[Noteworthy] = deque(maxlen=REMEMBERED)

    @property
    def ended(self) -> bool:
        """Whether the session has returned."""
        return self.exit_code is not None

    def run(self) -> None:
        """Runs the session to its end; the body of the thread."""
        try:
            self.exit_code = self.session.run(self._on_line)
        except SpeedtuiError as error:
            self.error, self.exit_code = error, error.exit_code
        except Exception as error:
            traceback.print_exc()
            self.error = SpeedtuiError(f"the session failed: {type(error).__name__}: {error}", "See screen.log.")
            self.exit_code = ExitCode.FAILED

    def _on_line(self, _line: bytes, event: AnyEvent) -> None:
        if isinstance(event, Noteworthy):
            self._news.append(event)
            if isinstance(event, CommandApplied | CommandRefused):
                self._unanswered.pop(event.id, None)

    def state(self) -> RunState:
        """The run as it stands."""
        return self.session.snapshot()

    def send(self, command: AnyCommand) -> None:
        """Asks something of the job and remembers having asked."""
        self.sent.add(command.id)
        self._unanswered[command.id] = command_name(command)  # before: the answer may come at once
        try:
            self.session.send(command)
        except (SpeedtuiError, OSError):
            self._unanswered.pop(command.id, None)
            raise

    def replay(self) -> ReplayPosition | None:
        """Where in a recording it is; None where it follows a run."""
        return None

    def unanswered(self) -> tuple[str, ...]:
        """Names of the commands sent from this screen that wait for an answer, the oldest first."""
        return () if self.ended else tuple(self._unanswered.values())

    def news(self) -> list[Noteworthy]:
        """What came since the last call."""
        taken: list[Noteworthy] = []
        while self._news:
            taken.append(self._news.popleft())
        return taken
