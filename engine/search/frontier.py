"""The largest micro-batches of the memory classes, and whether they are the fastest."""

from __future__ import annotations

import math

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.search.candidates import CHECKPOINTING
from speedtui.engine.search.replay import SearchReplay, Steps
from speedtui.engine.search.space import SearchPoint, half_of
from speedtui.engine.units import format_size

WORTH = 1.01
"""A gain of less than 1 % is noise at best."""
RECOMPUTING = 1.15
"""What gradient checkpointing costs at the least: in theory a third more arithmetic, of which some hides in waiting."""
DOUBT = 1.02
"""A single trial may be off by so much."""


def frontier(course: SearchReplay, classes: list[SearchPoint], *, calibrated: bool) -> Steps[SearchPoint | None]:
    """The fastest point at the micro-batches that matter; None where nothing ran.

    classes: in order of promise, each with any micro-batch; those with gradient checkpointing after those without.
    `calibrated`: real peaks of this device are known, so that no cautious probe comes first.
    """
    plain: SearchPoint | None = None
    for entry in classes:
        floor = 0
        course.considered.add(course.space.key(entry))
        if plain is not None:
            gain = gain_of_more(course, plain, entry)
            if gain is not None:
                course.drop(course.space.label(gain[0]), gain[1])
                continue
            floor = plain.micro_batch_size
            course.room.assume(course.space.key(entry), floor)
        if not calibrated:
            calibrated = yield from _calibrate(course, entry)
        yield from explore(course, entry, floor)
        plain = plain or course.fastest([p for p in course.tried if p.knobs == entry.knobs])
    return course.fastest(list(course.tried))


def _calibrate(course: SearchReplay, entry: SearchPoint) -> Steps[bool]:
    """One probe well below the limit; whether it showed how real peaks compare with predicted ones."""
    key = course.space.key(entry)
    micro = course.room.cautious(key) or course.room.largest(key)
    if micro is None:
        return False
    if course.room.surface(key) is None:
        why = f"micro-batch {micro} first, since nothing is known of its memory"
    else:
        why = "shows how a real peak compares with the predicted one"
    yield from course.attempt(entry.sized(micro), why)
    return course.room.calibration.probes > 0


def explore(course: SearchReplay, entry: SearchPoint, floor: int) -> Steps[None]:
    """The largest micro-batch of a class and half of it; smaller ones only for as long as they are faster.

    Larger micro-batches keep a device busier until it is, and are padded to a longer sample. `floor`: nothing up to
    this micro-batch is tried.
    """
    key, effective = course.space.key(entry), course.space.effective_batch_size
    while (micro := course.room.largest(key)) is not None and micro > floor and entry.sized(micro) not in course.tried:
        trial = yield from course.attempt(entry.sized(micro), "the largest micro-batch that fits")
        if trial.result.status is TrialStatus.FAILED:
            course.drop(course.space.label(entry.sized(micro)), trial.result.reason)
            return
    while (best := course.fastest([p for p in course.tried if p.knobs == entry.knobs])) is not None:
        half = half_of(best.micro_batch_size, effective)
        if half is None or half <= floor or entry.sized(half) in course.tried:
            return
        before = course.speed(best)
        yield from course.attempt(entry.sized(half), f"half of micro-batch {best.micro_batch_size}")
        after = course.speed(entry.sized(half))
        if before is None or after is None or after < before * WORTH:
            return


def gain_of_more(course: SearchReplay, plain: SearchPoint, saver: SearchPoint) -> tuple[SearchPoint, str] | None:
    """Why a class that saves memory is not worth a trial beside the best one without; None where it may be.

    What it buys is a larger micro-batch. Throughput over the micro-batch is concave, so that another doubling
    brings at most what the last one did.
    """
    most = course.room.largest(course.space.key(saver))
    limit = course.room.largest(course.space.key(plain))
    if most is None or limit is None:
        return None
    if plain.micro_batch_size < limit:
        return saver.sized(most), f"micro-batch {plain.micro_batch_size} is faster than {limit} already"
    if course.room.surface(course.space.key(saver)) is None:
        return None
    if most <= limit:
        return saver.sized(most), f"buys no larger micro-batch than {limit}"
    growth = _last_growth(course, plain)
    if growth is None or not saver.value(CHECKPOINTING) or plain.value(CHECKPOINTING):
        return None
    bought = (growth * DOUBT) ** math.log2(most / limit)
    if bought / RECOMPUTING >= WORTH:
        return None
    return saver.sized(most), (
        f"micro-batch {most} would bring {_percent(bought)} at most, and computing the forward pass twice costs "
        f"at least {_percent(RECOMPUTING)}"
    )


def _last_growth(course: SearchReplay, plain: SearchPoint) -> float | None:
    """How much faster the best micro-batch is than one about half of it, a doubling; at least 1."""
    half = half_of(plain.micro_batch_size, course.space.effective_batch_size)
    if half is None:
        return None
    before, after = course.speed(plain.sized(half)), course.speed(plain)
    if before is None or after is None:
        return None
    growth: float = max(after / before, 1.0) ** (1 / math.log2(plain.micro_batch_size / half))
    return growth


def _percent(ratio: float) -> str:
    return f"{(ratio - 1) * 100:.0f} %"


def too_large(course: SearchReplay, point: SearchPoint) -> str:
    """`predicted 26.1 GiB > 23.2 GiB free`, of the smallest micro-batch."""
    expected = course.room.expected_bytes(course.space.key(point), 1)
    return f"predicted {format_size(expected)} > {format_size(course.room.free_bytes)} free"
