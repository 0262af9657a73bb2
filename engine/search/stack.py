"""From the best class one knob at a time, each measured in turns with the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from speedtui.engine.candidate import Measurement, TrialResult
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.search.base import Compared, Decision, Trial
from speedtui.engine.search.candidates import CHECKPOINTING, TF32
from speedtui.engine.search.frontier import WORTH, gain_of_more
from speedtui.engine.search.knobs import ATTENTION, COMPILE, Knob
from speedtui.engine.search.replay import SearchReplay, Steps, measurement_of
from speedtui.engine.search.space import SearchPoint, half_of
from speedtui.engine.units import format_span

PASSES = 2
"""What one knob gains may depend on another one; the second pass sees what the first one kept."""
INTERACTION = 0.95
"""What was slower than this beside one configuration is not tried again beside another one."""
LEANER = ("eager", "sdpa", "flash_attention_2", "flash_attention_3")
"""Each needs no more memory than the one before it: the first one keeps the whole matrix of scores."""
TELLING = 0.02
"""What takes less of a step than this cannot be saved by more than 1 % at the lower end of an interval."""
COMPILE_SECONDS = 45.0
"""What a compilation is taken to cost before one was measured."""
COMPILE_GAIN = 0.5
"""The share of a step that it is taken to save at most, before it was measured."""


class Stack:
    """Keeps what gains more than 1 % at the lower end of its interval."""

    def __init__(self, course: SearchReplay, knobs: Sequence[Knob], total_steps: int | None) -> None:
        """`total_steps`: optimizer steps of the run, in which a compilation has to pay for itself."""
        self._course = course
        self._knobs = knobs
        self._total_steps = total_steps
        self._settled: set[tuple[SearchPoint, SearchPoint]] = set()
        self._ratios: dict[tuple[str, Scalar], float] = {}
        """Speed with a knob's value over that without it, as last seen."""

    def run(self, best: SearchPoint) -> Steps[SearchPoint]:
        """The best point after all knobs; once more from the beginning where one was kept."""
        for number in range(PASSES):
            before = best
            for knob in self._knobs:
                for value in knob.values:
                    best = yield from self._turn(best, knob, value)
            if best == before:
                break
            if number == 0:
                best = yield from self._resize(best)
        return best

    def _turn(self, best: SearchPoint, knob: Knob, value: Scalar) -> Steps[SearchPoint]:
        """One value of one knob."""
        if value == best.value(knob.path) or self._ratios.get((knob.path, value), 1.0) < INTERACTION:
            return best
        reason = self._hopeless(best, knob, value)
        if reason:
            self._course.drop(knob.spoken(value), reason)
            return best
        moved = best.moved(knob.path, value)
        if knob.path == CHECKPOINTING and self._settled_before(best, moved):
            return best
        challenger = self._resolve(best, moved)
        if challenger is None:
            return best
        better = yield from self._contest(best, challenger)
        before, after = self._course.speed(best), self._course.speed(challenger)
        if before and after:
            self._ratios[knob.path, value] = after / before
            self._ratios[knob.path, best.value(knob.path)] = before / after
        return better

    def _resize(self, best: SearchPoint) -> Steps[SearchPoint]:
        """The micro-batches beside it, which may have become better ones by what was kept."""
        course = self._course
        largest = course.room.largest(course.space.key(best))
        for micro in (half_of(best.micro_batch_size, course.space.effective_batch_size), largest):
            if micro is not None and micro != best.micro_batch_size and not self._slower(best.micro_batch_size, micro):
                best = yield from self._contest(best, best.sized(micro))
        return best

    def _slower(self, micro: int, other: int) -> bool:
        """Whether the other micro-batch was much slower, whatever the knobs were then."""
        for point in self._course.tried:
            before, after = self._course.speed(point.sized(micro)), self._course.speed(point.sized(other))
            if before and after and after / before < INTERACTION:
                return True
        return False

    def _resolve(self, best: SearchPoint, moved: SearchPoint) -> SearchPoint | None:
        """With its own micro-batch: a saver of memory takes what it buys, an eater gives up what it costs.

        None where it fits at none. A best point below its own limit has shown that a larger one is no gain.
        """
        course = self._course
        before, now = course.space.key(best), course.space.key(moved)
        if before == now:
            return moved
        if course.room.expected_bytes(now, 1) is None and course.room.free_bytes is not None:
            if not _no_hungrier(best, moved):
                course.drop(course.space.label(moved), "how much memory it needs is not known")
                return None
            course.room.assume(now, best.micro_batch_size)
            return moved
        most = course.room.largest(now)
        if most is None:
            return None
        at_limit = best.micro_batch_size == course.room.largest(before)
        return moved.sized(most if at_limit else min(best.micro_batch_size, most))

    def _settled_before(self, best: SearchPoint, moved: SearchPoint) -> bool:
        """Whether it is known already what checkpointing is worth with these other settings."""
        course = self._course
        if course.space.key(moved) in course.considered:
            return True
        no_gain = gain_of_more(course, best, moved) if moved.value(CHECKPOINTING) else None
        if no_gain is not None:
            course.drop(course.space.label(no_gain[0]), no_gain[1])
        return no_gain is not None

    def _contest(self, best: SearchPoint, challenger: SearchPoint) -> Steps[SearchPoint]:
        """A trial, and where that leaves it open both in turns; the better one."""
        course = self._course
        if (best, challenger) in self._settled or (challenger, best) in self._settled:
            return best
        self._settled.add((best, challenger))
        trial = yield from course.attempt(challenger, f"beside {course.space.label(best)}")
        reason = lost(course.tried[best].result, trial.result)
        if reason:
            self._decide("reject", trial, reason)
            return best
        compared = yield from course.compare(best, challenger)
        unpaid = self._unpaid(best, challenger, compared)
        if compared.low is None or compared.low <= WORTH or unpaid:
            self._decide("reject", trial, f"{compared}{unpaid}", compared)
            return best
        self._decide("keep", trial, str(compared), compared)
        course.incumbent = trial.candidate.id
        return challenger

    def _hopeless(self, best: SearchPoint, knob: Knob, value: Scalar) -> str:
        """Why a knob's value cannot gain anything; empty where it may."""
        measured = measurement_of(self._course.tried[best].result)
        if measured is None:
            return ""
        if knob.shortens is not None:
            share = measured.phases.get(knob.shortens, 0.0) / measured.step_seconds
            return f"{knob.shortens} takes {share * 100:.1f} % of a step" if share < TELLING else ""
        if knob.path == TF32 and value and (half := _autocast_of(self._course.space.settings_of(best))):
            return f"matrices are multiplied in {half} already"
        if knob.path == COMPILE and value and self._total_steps is not None:
            most = COMPILE_GAIN * measured.step_seconds * self._total_steps
            if most < COMPILE_SECONDS:
                return f"a run of {self._total_steps} steps is too short to pay for compiling"
        return ""

    def _unpaid(self, best: SearchPoint, challenger: SearchPoint, compared: Compared) -> str:
        """The figures where a compilation takes longer than the run gains by it; else empty."""
        compiled = dict(challenger.knobs).get(COMPILE, False) and not dict(best.knobs).get(COMPILE, False)
        ours, theirs = self._course.tried[best].result, self._course.tried[challenger].result
        measured = measurement_of(ours)
        if not compiled or compared.ratio is None or measured is None or self._total_steps is None:
            return ""
        saved = saved_seconds(measured, compared.ratio, self._total_steps)
        cost = compile_seconds(ours, theirs)
        return "" if saved > cost else f", saves {format_span(saved)} of the run and takes {format_span(cost)} to begin"

    def _decide(
        self, kind: Literal["keep", "reject"], trial: Trial, reason: str, compared: Compared | None = None
    ) -> None:
        candidate = trial.candidate
        self._course.decide(
            Decision(kind=kind, what=candidate.label, reason=reason, trial=candidate.id, compared=compared)
        )


def _autocast_of(settings: Settings) -> str:
    """What matrices are multiplied in; empty where that is the weights' own precision."""
    return "bfloat16" if settings.train.bf16 else "float16" if settings.train.fp16 else ""


def _no_hungrier(best: SearchPoint, moved: SearchPoint) -> bool:
    """Whether all that differs is an attention that never needs more memory, or compiling, which keeps less but for a
    mask: that is worth a trial, which says it."""
    before, now = dict(best.knobs), dict(moved.knobs)
    if moved == best.moved(COMPILE, True):
        return True
    if before.pop(ATTENTION, None) not in LEANER or now.pop(ATTENTION, None) not in LEANER or before != now:
        return False
    return LEANER.index(str(moved.value(ATTENTION))) > LEANER.index(str(best.value(ATTENTION)))


def lost(best: TrialResult, challenger: TrialResult) -> str:
    """Why a trial alone shows that it does not win: it failed, or loses at both optimistic bounds; else empty."""
    ours, theirs = measurement_of(best), measurement_of(challenger)
    if theirs is None or ours is None:
        return challenger.reason or challenger.status.value.replace("_", " ")
    ratio = theirs.samples_per_second / ours.samples_per_second
    most = ratio * (theirs.step_seconds / theirs.step_seconds_low) * (ours.step_seconds_high / ours.step_seconds)
    return f"{ratio:.2f}x, {most:.2f}x at most" if most < 1 else ""


def saved_seconds(before: Measurement, ratio: float, total_steps: int) -> float:
    """Of a run whose steps become so many times faster."""
    return before.step_seconds * (1 - 1 / ratio) * total_steps


def compile_seconds(plain: TrialResult, compiled: TrialResult) -> float:
    """What compiling takes: the estimate's own term, or what the trial took longer than the one without."""
    if compiled.estimate is not None and "compile" in compiled.estimate.terms:
        return compiled.estimate.terms["compile"]
    return max(compiled.seconds - plain.seconds, 0.0)
