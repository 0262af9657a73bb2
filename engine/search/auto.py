"""Mode `auto`: predict memory, calibrate it with one probe, measure the largest micro-batches, then stack knobs.

`knobs` says which settings it moves and why only those. On a calibrated device one trial at most runs out
of memory: what was predicted to fit and did not raises the expectation for everything after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from speedtui.engine.config.settings import Settings
from speedtui.engine.memory.peak_model import Calibration
from speedtui.engine.search.base import Ask, Compared, Decision, Surfaces, Trial
from speedtui.engine.search.candidates import BF16, CHECKPOINTING, FP16
from speedtui.engine.search.frontier import explore, frontier, too_large
from speedtui.engine.search.knobs import (
    ATTENTION,
    COMPILE,
    OPTIMIZER,
    Knob,
    Machine,
    checkpointing_values,
    moved_paths,
    stacked_knobs,
)
from speedtui.engine.search.memory_fit import MemoryFit
from speedtui.engine.search.replay import SearchReplay, Steps, run_course
from speedtui.engine.search.space import SearchPoint, Space, WithoutMask, with_mask
from speedtui.engine.search.stack import Stack
from speedtui.engine.units import plural

PERHAPS = 1.15
"""A class predicted to need up to so many times what is free is tried when it is the least: predictions may err."""


class Auto:
    """The strategy; every answer follows from the settings, the predictions and the trials so far."""

    def __init__(
        self,
        settings: Settings,
        surfaces: Surfaces,
        *,
        free_bytes: int | None,
        machine: Machine,
        total_steps: int | None = None,
        past: Calibration | None = None,
        without_mask: WithoutMask = with_mask,
    ) -> None:
        """`surfaces`: for every class of `memory_classes`; a class without one is explored from micro-batch 1 up.

        `free_bytes`: what a trial may use, None for no limit; `total_steps`: optimizer steps of the run; `past`: how
        peaks compared with predictions in earlier runs on this device.
        """
        self._knobs = stacked_knobs(settings, machine)
        self._space = Space(settings, moved_paths(settings, self._knobs), without_mask)
        self._surfaces = surfaces
        self._free_bytes = free_bytes
        self._total_steps = total_steps
        self._past = past
        self._course = self._new_course()
        self._dead_end = ""

    @property
    def decisions(self) -> Sequence[Decision]:
        """All that was settled up to the last answer."""
        return self._course.decisions

    @property
    def incumbent(self) -> int | None:
        """The best trial so far; None before the frontier is known."""
        return self._course.incumbent

    @property
    def dead_end(self) -> str:
        """Why nothing can be tried at all."""
        return self._dead_end

    def ask(self, trials: Sequence[Trial], compared: Sequence[Compared]) -> Ask | None:
        """What to run next, or None at the end."""
        self._course, self._dead_end = self._new_course(), ""
        return run_course(self._search(self._course), self._space, trials, compared)

    def _new_course(self) -> SearchReplay:
        room = MemoryFit(self._surfaces, self._free_bytes, self._space.effective_batch_size, self._past)
        return SearchReplay(self._space, room)

    def _search(self, course: SearchReplay) -> Steps[None]:
        known = self._past is not None and self._past.probes > 0
        best = yield from frontier(course, self._bounds(course), calibrated=known)
        if best is None:
            best = yield from self._last_resort(course)
        if best is None:
            return
        course.incumbent = course.tried[best].candidate.id
        best = yield from Stack(course, self._knobs, self._total_steps).run(best)
        trial = course.tried[best]
        course.decide(
            Decision(kind="finish", what=trial.candidate.label, reason=_summary(course), trial=trial.candidate.id)
        )

    def _bounds(self, course: SearchReplay) -> list[SearchPoint]:
        """The classes that are worth a trial: of the configured attention, or of another one where that never fits."""
        classes = _points(self._space, self._knobs)
        fitting = [point for point in classes if course.room.largest(self._space.key(point)) is not None]
        for point in classes:
            if point not in fitting:
                course.drop(self._space.label(point.sized(1)), too_large(course, point))
        return [point for point in fitting if _same_kind(point, fitting[0])]

    def _last_resort(self, course: SearchReplay) -> Steps[SearchPoint | None]:
        """The least of all, at micro-batch 1: unless it is hopeless, no prediction rules it out."""
        key = self._space.key
        points = [point.sized(1) for point in _points(self._space, self._knobs)]
        least = min(points, key=lambda point: course.room.predicted_bytes(key(point), 1) or 0)
        predicted = course.room.predicted_bytes(key(least), 1)
        if predicted is not None and self._free_bytes is not None and predicted > PERHAPS * self._free_bytes:
            self._dead_end = f"{self._space.label(least)}: {too_large(course, least)}"
            return None
        yield from course.attempt(least, "needs least memory of all")
        yield from explore(course, least, floor=1)
        return course.fastest(list(course.tried))


def memory_classes(settings: Settings, machine: Machine, without_mask: WithoutMask = with_mask) -> list[Settings]:
    """The classes whose peaks `Auto` wants to know, as settings of one point of each.

    Those that compiling makes come last: where it brings back a mask.
    """
    knobs = stacked_knobs(settings, machine)
    space = Space(settings, moved_paths(settings, knobs), without_mask)
    points = _points(space, knobs)
    if any(knob.path == COMPILE for knob in knobs):
        points += [point.moved(COMPILE, True) for point in points]
    classes: dict[bytes, SearchPoint] = {}
    for point in points:
        classes.setdefault(space.key(point), point)
    return [space.settings_of(point.sized(1)) for point in classes.values()]


def _points(space: Space, knobs: Sequence[Knob]) -> list[SearchPoint]:
    """One point of each memory class: as configured first, and without checkpointing before with it."""
    points = [space.start]
    for path in (BF16, FP16, OPTIMIZER, ATTENTION, CHECKPOINTING):
        values = next((knob.values for knob in knobs if knob.path == path), None)
        if path == CHECKPOINTING:
            values = checkpointing_values(space.settings)
        if values is not None:
            points = [point.moved(path, value) for point in points for value in values]
    return points


def _same_kind(point: SearchPoint, other: SearchPoint) -> bool:
    return [p for p in point.knobs if p[0] != CHECKPOINTING] == [p for p in other.knobs if p[0] != CHECKPOINTING]


def _summary(course: SearchReplay) -> str:
    trials, comparisons = len(course.tried), course.comparisons
    return f"{plural(trials, 'trial')} and {plural(comparisons, 'comparison')}"
