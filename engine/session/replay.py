"""A recorded run, shown again at any speed and from any moment, by a clock that holds and jumps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from speedtui.engine.commands import AnyCommand
from speedtui.engine.errors import ExitCode, JobError, RunFolderError
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.base import OnLine
from speedtui.engine.session.recording import Cursor, Marks, end_of
from speedtui.engine.state import RunState, StateReducer


class PlayClock:
    """Seconds on the run's clock; for any thread."""

    def __init__(self, speed: float, end: float, now: Callable[[], float] = time.monotonic) -> None:
        """`speed`: times the pace it went, above 0; `end`: where it stands still; `now`: a clock in seconds."""
        self._speed, self._end, self._now = speed, end, now
        self._t = 0.0
        self._since = now()
        self._paused = False
        self._lock = threading.Lock()

    @property
    def speed(self) -> float:
        """Times the pace it went."""
        return self._speed

    @property
    def paused(self) -> bool:
        """Whether it holds."""
        return self._paused

    def t(self) -> float:
        """The moment shown now."""
        with self._lock:
            return self._at(self._now())

    def jump(self, t: float) -> None:
        """To another moment."""
        with self._lock:
            self._t, self._since = t, self._now()

    def hold(self, paused: bool) -> None:
        """Stands still, or goes on."""
        with self._lock:
            self._settle()
            self._paused = paused

    def set_speed(self, speed: float) -> None:
        """From now on; above 0."""
        with self._lock:
            self._settle()
            self._speed = speed

    def _at(self, now: float) -> float:
        return self._t if self._paused else min(self._end, self._t + (now - self._since) * self._speed)

    def _settle(self) -> None:
        now = self._now()
        self._t, self._since = self._at(now), now


TICK_SECONDS = 0.05
"""Events that fall into one of these are taken in together."""
HELD_SECONDS = 0.5
"""Between two looks while nothing is due; whoever asks for something wakes it."""
PATIENCE_SECONDS = 2.0
"""A gap between two workers is passed over after so long."""
INDEX_AFTER_SECONDS = 1.0
"""The screen's first picture comes before the reading ahead, which takes the interpreter from it."""


class RecordingPosition(NamedTuple):
    """Where in a recording it is; seconds on the run's clock."""

    t: float
    end: float
    """Of the recording."""
    speed: float
    """Times the pace it went."""
    paused: bool


class ReplaySession:
    """Gives out the recorded events at `speed` times the pace at which they happened.

    The log is read as it is played. Where there is time it is read ahead, too, and marked, so that any moment in it is
    found again at once; of a moment that nobody has read so far, everything before it is read first.
    """

    ending = ""

    def __init__(self, folder: RunFolder, speed: float = 1.0, *, start: float = 0.0, stay: bool = False) -> None:
        """`start`: seconds on the run's clock to begin at; `stay`: the end is shown until it is left.

        Raises:
            RunFolderError: the log cannot be read.
        """
        self._folder = folder
        self._stay = stay
        try:
            self._end = end_of(folder.events)
        except OSError as error:
            raise RunFolderError(f"{folder.events}: {error.strerror or error}", "`speedtui runs` lists them.") from None
        self._clock = PlayClock(speed, self._end)
        self._marks = Marks()
        self._cursor = Cursor(folder.events, self._marks)
        self._ahead: Cursor | None = None
        self._state = StateReducer().snapshot()
        self._wanted: float | None = None
        self._backwards = False
        self._share: float | None = None
        self._left = False
        self._woken = threading.Event()
        self._asking = threading.Lock()
        if start > 0:
            self.seek(start)

    @property
    def folder(self) -> RunFolder:
        """Where the recording is."""
        return self._folder

    def snapshot(self) -> RunState:
        """The state at the moment shown."""
        return self._state

    @property
    def share_read(self) -> float | None:
        """Of the way to a moment that nobody had read so far, while the log is read up to it."""
        return self._share

    # -- what may be asked of it, from any thread ---------------------------------------------------

    def position(self) -> RecordingPosition:
        """Where it is, or is on its way to."""
        with self._asking:
            t = self._clock.t() if self._wanted is None else self._wanted
        return RecordingPosition(t, self._end, self._clock.speed, self._clock.paused)

    def pause(self) -> None:
        """Holds."""
        self._clock.hold(True)
        self._woken.set()

    def resume(self) -> None:
        """Goes on."""
        self._clock.hold(False)
        self._woken.set()

    def set_speed(self, speed: float) -> None:
        """Times the pace it went.

        Raises:
            ValueError: it is not above 0.
        """
        if not speed > 0:
            raise ValueError(f"a speed is above 0, not {speed}")
        self._clock.set_speed(speed)
        self._woken.set()

    def seek(self, t: float) -> None:
        """To what the run was at `t` on its clock, back or on; out of a gap, where no worker ran, to its edge."""
        backwards = t < self.position().t
        t = self._marks.outside(max(0.0, min(t, self._end)), backwards=backwards)
        with self._asking:
            self._wanted, self._backwards = t, backwards
        self._woken.set()

    def send(self, command: AnyCommand) -> None:
        """A recording obeys nobody.

        Raises:
            JobError: always.
        """
        raise JobError("this is a replay", "Attach to a run that is alive to command it.")

    def kill(self) -> None:
        """There is no worker.

        Raises:
            JobError: always.
        """
        raise JobError("this is a replay: no worker runs", "Attach to a run that is alive to command it.")

    def detach(self) -> None:
        """Leaves."""
        self._left = True
        self._woken.set()

    def interrupt(self, exit_code: ExitCode) -> None:
        """Leaves."""
        self.detach()

    # -- in the thread that runs it -----------------------------------------------------------------

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Plays to the end, or until left; returns what the run itself ended with."""
        began = time.monotonic()
        self._clock.jump(self._next_t() or 0.0)
        while not self._left:
            self._woken.clear()
            self._go_where_wanted()
            over = self._play(on_line)
            if over and not self._stay and self._wanted is None:
                return ExitCode.told(self._state.exit_code or 0)
            reading = self._stay and time.monotonic() - began > INDEX_AFTER_SECONDS and self._read_ahead()
            self._woken.wait(TICK_SECONDS if reading else self._until_next(over))
        return ExitCode.DONE

    def _play(self, on_line: OnLine | None) -> bool:
        """Takes in what is due; whether that was the end."""
        t = self._clock.t()
        due = t if t < self._end else float("inf")  # an event may say that it came later than the last one
        while self._cursor.advance(due, on_line):
            self._state = self._cursor.snapshot()
            if self._left or self._wanted is not None:
                return False
        if self._cursor.changed:
            self._state = self._cursor.snapshot()
        next_t = self._next_t()
        if next_t is None:
            return self._cursor.at_end
        waited = (t - self._cursor.t) / self._clock.speed
        if waited > PATIENCE_SECONDS and self._cursor.at_gap and not self._clock.paused:
            self._clock.jump(next_t)
        return False

    def _next_t(self) -> float | None:
        """Of the next event, however far on; None at the end, or when it is left meanwhile."""
        while (next_t := self._cursor.next_t) is None and not self._cursor.at_end and not self._left:
            pass
        return next_t

    def _until_next(self, over: bool) -> float:
        """Seconds in which nothing is due."""
        next_t = self._cursor.next_t
        if over or next_t is None or self._clock.paused:
            return HELD_SECONDS
        return min(HELD_SECONDS, max(TICK_SECONDS, (next_t - self._clock.t()) / self._clock.speed))

    def _go_where_wanted(self) -> None:
        """Reads on from the nearest place before what was asked for last; breaks off when something else is."""
        target = self._wanted
        if target is None:
            return
        mark = self._marks.before(target)
        if self._cursor.t > target or (mark is not None and mark.t > self._cursor.t):
            self._cursor = Cursor(self._folder.events, self._marks, mark)
        start = self._cursor.t
        while self._cursor.advance(target):
            if self._left or self._wanted != target:
                return
            self._state = self._cursor.snapshot()
            self._share = (self._cursor.t - start) / (target - start) if target > start else None
        self._share = None
        self._state = self._cursor.snapshot()
        with self._asking:
            self._clock.jump(self._out_of_gap(target))
            if self._wanted == target:
                self._wanted = None

    def _out_of_gap(self, target: float) -> float:
        """Into a gap that nobody had read when it was asked for: to its nearer edge on the way."""
        if not self._cursor.at_gap or target <= self._cursor.t:
            return target
        return self._cursor.t if self._backwards else self._cursor.next_t or target

    def _read_ahead(self) -> bool:
        """One piece of the log further; False once all of it is marked."""
        if self._marks.whole:
            self._ahead = None
            return False
        reached = self._marks.reached
        if self._ahead is None or (reached is not None and reached.offset > self._ahead.offset):
            self._ahead = Cursor(self._folder.events, self._marks, reached)
        self._ahead.advance(float("inf"))
        return True
