"""Trackers while a training goes on: fed from the log's pump, each in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.recorded import shareable
from speedtui.engine.config.settings import Tracker
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.export.base import TrackedRun, default_folder
from speedtui.engine.export.metrics import MetricPoint, MetricStream
from speedtui.engine.export.sinks import let_go, open_sink

CAPACITY = 20_000
"""Points that wait for one tracker: over an hour of the three or four that a training gives a second."""
BATCH = 256
"""Points handed over at once when they have piled up."""
STOP_SECONDS = 10.0
"""For all trackers together to take in the rest; a run is never held up longer by them."""
WAKE_SECONDS = 0.2
"""Between two looks whether the run is over."""

Tell = Callable[[e.Level, str, str], None]
"""(level, text, what to do); from any thread."""


@contextmanager
def tracking(context: JobContext, *, estimate: Estimate | None = None, since: float = 0.0) -> Iterator[None]:
    """Feeds the trackers of [track] with what happens in the block, and gives them some time at its end.

    The block begins before the training's start is told and ends after its end is. `estimate`: what the whole was
    expected to take, from the run's time `since` on.
    """
    if not context.settings.track.to:
        yield
        return
    trackers = LiveTrackers(context, estimate, since)
    context.log.subscribe(trackers.take)
    try:
        yield
    finally:
        context.log.unsubscribe(trackers.take)
        trackers.stop()


class LiveTrackers:
    """Hands a run's numbers to its trackers. One that fails is left out and said so once; the others go on."""

    def __init__(self, context: JobContext, estimate: Estimate | None = None, since: float = 0.0) -> None:
        """Begins to open them; nothing is waited for."""
        before = context.before.training
        self._stream = MetricStream(
            estimated_seconds=estimate.p50_seconds if estimate is not None else None,
            since=since,
            started_at=context.clock.wall(0.0),
            told_step=before.step if before is not None else 0,
            whole=before is None,
        )

        def tell(level: e.Level, text: str, hint: str) -> None:
            context.notice(text, level=level, hint=hint)

        self._lanes = [Lane(tracker, _tracked(context, tracker), tell) for tracker in context.settings.track.to]

    def take(self, events: Sequence[e.AnyEvent]) -> None:
        """What the log has written; never waits."""
        points = [point for event in events for point in self._stream.take(event)]
        for lane in self._lanes:
            lane.put(points)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Has them take in the rest; what is not through by then is left behind."""
        until = time.monotonic() + seconds
        for lane in self._lanes:
            lane.stop()
        for lane in self._lanes:
            lane.join(max(until - time.monotonic(), 0.0))


class Lane:
    """One tracker, its thread and the points that wait for it."""

    def __init__(self, tracker: Tracker, run: TrackedRun, tell: Tell) -> None:
        self._tracker: Tracker = tracker
        self._tracked = run
        self._tell = tell
        self._points: queue.Queue[MetricPoint] = queue.Queue(CAPACITY)
        self._stopping = threading.Event()
        self._failed = False
        self._dropped = False
        self._thread = threading.Thread(target=self._run, name=f"tracker-{tracker}", daemon=True)
        self._thread.start()

    def put(self, points: Sequence[MetricPoint]) -> None:
        """Queues them; what no longer fits is dropped, and said so once."""
        if self._failed:
            return
        for point in points:
            try:
                self._points.put_nowait(point)
            except queue.Full:
                self._say_dropped()
                return

    def stop(self) -> None:
        """There will be no more points."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Waits for the rest to be taken in."""
        self._thread.join(seconds)
        if self._thread.is_alive() and not self._failed:
            self._failed = True
            self._tell("warning", f"{self._tracker} has not taken everything in time and is left behind", self._later)
            let_go(self._tracker)

    @property
    def _later(self) -> str:
        return f"After the run: speedtui export {self._tracked.id} --to {self._tracker}"

    def _run(self) -> None:
        try:
            sink = open_sink(self._tracker, self._tracked)
            self._tell("info", f"tracked by {self._tracker}: {sink.where}", "")
            while not (self._stopping.is_set() and self._points.empty()):
                if points := self._waiting():
                    sink.write(points)
            sink.close()
        except (Exception, SystemExit) as error:  # a tracker is never worth a training; some of them call sys.exit
            self._fail(error)

    def _waiting(self) -> list[MetricPoint]:
        """Those that wait now; none after a short while without any."""
        points: list[MetricPoint] = []
        try:
            points.append(self._points.get(timeout=WAKE_SECONDS))
            while len(points) < BATCH:
                points.append(self._points.get_nowait())
        except queue.Empty:
            pass
        return points

    def _fail(self, error: BaseException) -> None:
        abandoned, self._failed = self._failed, True
        if abandoned:
            return
        let_go(self._tracker)
        known = isinstance(error, SpeedtuiError)
        reason = error.message if isinstance(error, SpeedtuiError) else _reason(error)
        text = f"not tracked by {self._tracker}: {reason}" if known else f"{self._tracker} is left out: {reason}"
        hint = error.hint if isinstance(error, SpeedtuiError) else self._later
        self._tell("warning", text, hint)

    def _say_dropped(self) -> None:
        if not self._dropped:
            self._dropped = True
            self._tell("warning", f"{self._tracker} does not keep up; some of its points are left out", self._later)


def _tracked(context: JobContext, tracker: Tracker) -> TrackedRun:
    track, before = context.settings.track, context.before.training
    return TrackedRun(
        id=context.folder.id, name=track.name or context.folder.id, project=track.project,
        config=shareable(msgspec.to_builtins(context.settings)),
        folder=default_folder(context.folder, tracker), live=True, resumed=before is not None,
    )  # fmt: skip


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
