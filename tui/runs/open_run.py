"""The session's side of the screen: runs it in a thread and keeps what the screen asks about.

The engine's thread only appends to a bounded queue here. It never calls into Textual: with a hung terminal
such a call would stop the training.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar, get_args

from speedtui.engine import events as e
from speedtui.engine.alerts.rules import Alert, AlertRules
from speedtui.engine.commands import AnyCommand, command_name
from speedtui.engine.config.settings import AlertKind
from speedtui.engine.errors import ExitCode, RunFolderError, SpeedtuiError
from speedtui.engine.output import warn_traceback
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.base import Session
from speedtui.engine.session.follower import FollowedRun, WatchedRun
from speedtui.engine.session.replay import ReplaySession
from speedtui.engine.state import RunState
from speedtui.tui.frame import ReplayPosition

if TYPE_CHECKING:
    from speedtui.tui.draft.draft_editor import DraftEditor

T = TypeVar("T")
REMEMBERED = 256
"""Events kept for the next tick; more in half a second would not be read by anyone."""

Noteworthy = (
    e.CommandApplied | e.CommandRefused | e.EvaluationCompleted | e.Notice | e.RunFinished | e.TrialFinished
    | e.TrialPromoted | e.WorkerLost
)  # fmt: skip


class OpenRun:
    """One session that is shown."""

    def __init__(self, session: Session, *, read_only: bool = False) -> None:
        """`read_only`: a recording, or a run that was over when it was opened."""
        self.session = session
        self.read_only = read_only
        self.exit_code: ExitCode | None = None
        """Of the session once it ended."""
        self.error: SpeedtuiError | None = None
        """Why it could not be run."""
        self.error_told = False
        self.sent: set[str] = set()
        """Ids of the commands sent from this screen."""
        self._unanswered: dict[str, str] = {}
        """Names by id of those that the job has not answered."""
        self.draft_editor: DraftEditor | None = None
        """Where its next run is put together; None until somebody looks."""
        self._earlier: list[RunState | None] = []
        """What was found when an earlier plan was looked for; empty until then."""
        self._rules = AlertRules(get_args(AlertKind), run=session.folder.id)
        self._alerts: deque[Alert] = deque(maxlen=REMEMBERED)
        self._new_events: deque[Noteworthy] = deque(maxlen=REMEMBERED)

    @property
    def why_read_only(self) -> str:
        """Why no command has an effect: a run that is somebody else's could be trusted."""
        if self.recording is None:
            try:
                self.session.folder.require_obeyed()
            except RunFolderError as error:
                return f"{error.message}. {error.hint}"
        return "This run is only shown: commands have no effect."

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
            warn_traceback(error)
            self.error = SpeedtuiError(f"the session failed: {type(error).__name__}: {error}", "See screen.log.")
            self.exit_code = ExitCode.FAILED

    def _on_line(self, _line: bytes, event: e.AnyEvent) -> None:
        alert = self._rules.see(event) if self.recording is None else None
        if alert is not None:
            self._alerts.append(alert)
        if isinstance(event, Noteworthy):
            self._new_events.append(event)
            if isinstance(event, e.CommandApplied | e.CommandRefused):
                self._unanswered.pop(event.id, None)

    def earlier_plan(self, run: RunState, now: float) -> RunState | None:
        """A plan that another run has made of this one's configuration, looked for once, when that is known.

        `run`: this one's state; `now`: wall clock, seconds since the epoch.
        """
        if not self._earlier and run.config and run.devices:
            # Imported when it is needed: what makes plans takes 40 ms that the first paint need not wait for.
            from speedtui.engine.plan.earlier import earlier_plan

            own = self.recording is None and run.job != "plan"
            self._earlier.append(earlier_plan(run, self.session.folder, now) if own else None)
        return self._earlier[0] if self._earlier else None

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

    @property
    def own(self) -> bool:
        """Whether the run was started from here, so that it is this session's to end."""
        return not isinstance(self.session, AttachedSession | ReplaySession)

    @property
    def in_thread(self) -> bool:
        """Whether the job runs in this program, so that letting it go would end it."""
        return isinstance(self.session, FollowedRun) and not isinstance(self.session, WatchedRun)

    @property
    def recording(self) -> ReplaySession | None:
        """Its controls, where it is a recording."""
        return self.session if isinstance(self.session, ReplaySession) else None

    def replay(self) -> ReplayPosition | None:
        """Where in a recording it is; None where it follows a run."""
        if self.recording is None:
            return None
        t, end, speed, paused = self.recording.position()
        return ReplayPosition(t=t, end=end, speed=speed, paused=paused)

    def catching_up(self) -> float | None:
        """The share of a long log that was read, while it is read; None once it is shown as it is now."""
        session = self.session
        return session.share_read if isinstance(session, FollowedRun | ReplaySession) else None

    def silent_seconds(self) -> float:
        """Since the run's last event; 0 for one that nobody follows as it goes."""
        session = self.session
        return session.silent_seconds if isinstance(session, FollowedRun) and not self.read_only else 0.0

    def unanswered(self) -> tuple[str, ...]:
        """Names of the commands sent from this screen that wait for an answer, the oldest first."""
        return () if self.ended else tuple(self._unanswered.values())

    def alerts(self) -> list[Alert]:
        """What came since the last call that is worth an alert."""
        return _taken(self._alerts)

    def new_events(self) -> list[Noteworthy]:
        """What came since the last call."""
        return _taken(self._new_events)


def _taken(queue: deque[T]) -> list[T]:
    """All that is in it by now; another thread may go on to put something in."""
    return [queue.popleft() for _ in range(len(queue))]
