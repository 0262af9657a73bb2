"""A log that is shown from any moment: places in it with the state there, and a reader that goes on from one."""

from __future__ import annotations

import bisect
import errno
import os
import pickle
from collections import deque
from pathlib import Path
from typing import NamedTuple

import msgspec

from speedtui.engine.events import AnyEvent
from speedtui.engine.log.tail import CHUNK_BYTES, MOST_LINE_BYTES, EventTail, events_in
from speedtui.engine.regular_file import open_regular
from speedtui.engine.session.base import OnLine
from speedtui.engine.state import RunState, StateReducer
from speedtui.engine.state.fold import LOG_LINES
from speedtui.engine.state.snapshot import LogLine
from speedtui.engine.units import format_span

MARKS = 128
"""Kept at most, evenly spread: a state is some 100 to 200 kB, so that they take some 20 MB at most."""
STRIDE_BYTES = 1 << 20
"""Between two marks at first, a piece of the log; doubled whenever there are too many."""
GAP_SECONDS = 60.0
"""Hardware is read every few seconds while a worker lives: so long without an event there was none."""
TAIL_BYTES = 1 << 16
"""Read from the end of a log to learn when it ends; more where that holds no event."""


class SeekPoint(NamedTuple):
    """A place in the log between two events."""

    t: float
    """Of the last event before it, or of an earlier one that was later: seconds on the run's clock."""
    offset: int
    """Bytes before it."""
    state: bytes
    """What all events before it come to, packed: copying it so takes a sixth of what copying objects does."""


class Gap(NamedTuple):
    """A stretch in which no worker ran."""

    start: float
    end: float


class Marks:
    """The marks of a log and its gaps; filled by whoever reads on."""

    def __init__(self, most: int = MARKS, stride: int = STRIDE_BYTES) -> None:
        """`most`: kept, at least 2; `stride`: bytes between two at first."""
        self._most, self._stride = most, stride
        self._marks: list[SeekPoint] = []
        self._gaps: dict[float, Gap] = {}
        self.whole = False
        """Whether somebody has read to the end."""

    def __len__(self) -> int:
        return len(self._marks)

    @property
    def reached(self) -> SeekPoint | None:
        """The last one."""
        return self._marks[-1] if self._marks else None

    def due(self, offset: int) -> bool:
        """Whether a mark there is wanted: those there are reach from the start to the last one."""
        return offset >= (self._marks[-1].offset if self._marks else 0) + self._stride

    def add(self, mark: SeekPoint) -> None:
        """Takes one in; when there are too many, every second one goes."""
        self._marks.append(mark)
        if len(self._marks) >= self._most:
            self._marks = self._marks[1::2]
            self._stride *= 2

    def before(self, t: float) -> SeekPoint | None:
        """The last one that has seen nothing later than `t`."""
        at = bisect.bisect_right(self._marks, t, key=lambda mark: mark.t)
        return self._marks[at - 1] if at else None

    def add_gap(self, gap: Gap) -> None:
        """Takes one in; the same one again changes nothing."""
        self._gaps[gap.end] = gap

    def gaps(self, until: float) -> list[Gap]:
        """Those that are over at `until`, in order."""
        return [gap for end, gap in sorted(self._gaps.items()) if end <= until]

    def outside(self, t: float, *, backwards: bool) -> float:
        """The same moment, or the edge of the gap it falls into."""
        gap = next((gap for gap in self._gaps.values() if gap.start < t < gap.end), None)
        if gap is None:
            return t
        return gap.start if backwards else gap.end


class Cursor:
    """A place in a log, and the state there. Not for two threads at once."""

    def __init__(self, path: Path, marks: Marks, mark: SeekPoint | None = None) -> None:
        """At the log's start, or at a mark of it."""
        self._tail = EventTail(path, mark.offset if mark is not None else 0)
        self._marks = marks
        self._pending: deque[tuple[bytes, AnyEvent]] = deque()
        self._folder: StateReducer = pickle.loads(mark.state) if mark is not None else StateReducer()
        self._begun = mark is not None
        self._before = self._passed_over = self._folder.snapshot().passed_over
        self.at_end = False
        """Whether all of the log was read."""
        self.changed = False
        """Whether anything was taken in since the last snapshot."""
        self.t = mark.t if mark is not None else 0.0
        """Of the latest event taken in."""

    @property
    def offset(self) -> int:
        """Bytes of the log that were read."""
        return self._tail.offset

    @property
    def next_t(self) -> float | None:
        """Of the next event; None at the end of the log, and where the next piece of it holds none."""
        return self._pending[0][1].t if self._pending or (self._fill() and self._pending) else None

    @property
    def at_gap(self) -> bool:
        """Whether a gap follows."""
        next_t = self.next_t
        return self._begun and next_t is not None and next_t - self.t >= GAP_SECONDS

    def advance(self, until: float, on_line: OnLine | None = None) -> bool:
        """Takes in what happened up to `until`, but no more than one piece of the log; whether there may be more."""
        if not self._pending and not self._fill():
            return False
        while self._pending:
            line, event = self._pending[0]
            if event.t > until:
                return False
            self._pending.popleft()
            self._take(line, event, on_line)
        if self._marks.due(self._tail.offset):
            self._marks.add(SeekPoint(self.t, self._tail.offset, pickle.dumps(self._folder, pickle.HIGHEST_PROTOCOL)))
        return True

    def _take(self, line: bytes, event: AnyEvent, on_line: OnLine | None) -> None:
        if self._begun and event.t - self.t >= GAP_SECONDS:
            self._marks.add_gap(Gap(self.t, event.t))
        self._begun = self.changed = True
        self.t = max(self.t, event.t)
        self._folder.apply(event)
        if on_line is not None:
            on_line(line, event)

    def _fill(self) -> bool:
        """The next piece of the log, in which there may be no event; False at its end."""
        before = self._tail.bytes_read
        self._pending.extend(self._tail.read())
        self.at_end = self._tail.bytes_read == before
        self._marks.whole = self._marks.whole or self.at_end
        passed_over = self._before + (self._tail.passed_over_at_end if self.at_end else self._tail.passed_over)
        if passed_over != self._passed_over:
            self._passed_over, self.changed = passed_over, True
            self._folder.pass_over(passed_over)
        return not self.at_end

    def snapshot(self) -> RunState:
        """The state, with a line for each gap."""
        self.changed = False
        state = self._folder.snapshot()
        gaps = self._marks.gaps(self.t)
        if not gaps:
            return state
        lines = [LogLine(t=gap.end, level="info", text=_gap_words(gap)) for gap in gaps]
        merged = sorted([*lines, *state.log], key=lambda line: line.t)
        return msgspec.structs.replace(state, log=tuple(merged[-LOG_LINES:]))


def _gap_words(gap: Gap) -> str:
    return f"no event for {format_span(gap.end - gap.start)}: the replay passes over it"


def end_of(path: Path) -> float:
    """When a log ends, on the run's clock; 0 of one without events. Reads no more than its end, as far back as it takes
    to find an event.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        end, wanted, later = os.fstat(file.fileno()).st_size, TAIL_BYTES, b""
        while end > 0:
            begin = max(0, end - wanted)
            piece = b"\0" if _is_hole(file.fileno(), begin, end) else os.pread(file.fileno(), end - begin, begin)
            first, newline, lines = (piece + later).partition(b"\n")
            times = [event.t for event in events_in(lines if begin else piece + later)]
            if times:
                return max(times)
            later = (first + newline)[-MOST_LINE_BYTES:]
            end, wanted = begin, min(wanted * 4, CHUNK_BYTES)
    return 0.0


def _is_hole(file: int, begin: int, end: int) -> bool:
    """Whether a stretch of a file was never written, so that it need not be read."""
    try:
        return os.lseek(file, begin, os.SEEK_DATA) >= end
    except OSError as error:
        return error.errno == errno.ENXIO
