"""The most of something that still fits the window: evaluations, epochs, steps."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.frequency import Frequency, frequency_text
from speedtui.engine.config.settings import Settings
from speedtui.engine.config.window import Window
from speedtui.engine.plan.tables import EVAL_EVERY, Estimator, eval_cost
from speedtui.engine.plan_types import Goal
from speedtui.engine.timing.verdict import DECIDING, judge_finish, safe_room_seconds
from speedtui.engine.units import format_span

MOST_EPOCHS = 100
"""Beyond it nobody fine-tunes who has not asked for more, and the window is no limit."""
TENTHS = 10
"""Epochs are sought to a tenth; from ten on they are told as whole ones, of which a tenth is no matter."""


def seek_goals(
    settings: Settings, estimate: Estimator, window: Window | None, now: float, steps_per_epoch: int
) -> list[Goal]:
    """The most evaluations, epochs and steps; none of them without a window or an estimate, nor where something of the
    run was not measured: what has no price fits any number of times.

    Evaluations are left out where there is nothing to evaluate on or their time is not known, epochs where
    `train.max_steps` overrides them.
    """
    base = estimate(settings)
    if window is None or base is None or DECIDING & set(base.unmeasured):
        return []
    goals = [
        most_evals(settings, estimate, window, now),
        most_epochs(settings, estimate, window, now) if settings.train.max_steps is None else None,
        most_steps(settings, estimate, window, now, steps_per_epoch),
    ]
    return [goal for goal in goals if goal is not None]


def most_evals(settings: Settings, estimate: Estimator, window: Window, now: float) -> Goal | None:
    """The shortest spacing of evaluations that fits, everything else unchanged; None where they cost nothing known."""

    def at(every: str) -> Estimate | None:
        schedule = msgspec.structs.replace(settings.schedule, eval_every=every)
        return estimate(msgspec.structs.replace(settings, schedule=schedule))

    def spacing_fits(steps: int) -> bool:
        return judge_finish(now, at(frequency_text(Frequency(steps=steps))), window) == "fits"

    each = at(frequency_text(Frequency(steps=1)))
    if each is None or not each.evals or not eval_cost(each):
        return None
    total = each.total_steps
    if not spacing_fits(total):
        return Goal(what="evals", value=0, text=_no_evaluation(now, at("never"), window), values={EVAL_EVERY: "never"})
    steps = _smallest(spacing_fits, 1, total)
    found = at(frequency_text(Frequency(steps=steps)))
    count = found.evals if found is not None else 0
    if steps == 1:
        text = f"an evaluation after each of the {count} steps: the time allows more than there are steps"
    elif count == 1:
        text = "one evaluation, at the end"
    else:
        text = f"an evaluation every {steps} steps ({count} of them)"
    return Goal(what="evals", value=count, text=text, values={EVAL_EVERY: frequency_text(Frequency(steps=steps))})


def most_epochs(settings: Settings, estimate: Estimator, window: Window, now: float) -> Goal | None:
    """The most epochs, to a tenth; the schedule goes on as configured. None where the estimate fails."""

    def room(tenths: int) -> float:
        train = msgspec.structs.replace(settings.train, epochs=tenths / TENTHS)
        return _room(estimate(msgspec.structs.replace(settings, train=train)), window, now)

    asked = settings.train.epochs
    most = max(MOST_EPOCHS, math.ceil(asked))
    tenths = _largest(room, round(asked * TENTHS), most * TENTHS)
    if tenths == 0:
        text = f"no epochs fit: a tenth of one is {_over(room(1))}"
        return Goal(what="epochs", value=0, text=text, values={}) if math.isfinite(room(1)) else None
    epochs = tenths / TENTHS if tenths < 10 * TENTHS else float(tenths // TENTHS)
    text = f"{epochs:g} {'epoch' if epochs == 1 else 'epochs'} (as planned here: {asked:g})"
    if epochs >= most:
        text = f"{most} epochs and more: the window is no limit"
    return Goal(what="epochs", value=epochs, text=text, values={"train.epochs": epochs})


def most_steps(
    settings: Settings, estimate: Estimator, window: Window, now: float, steps_per_epoch: int
) -> Goal | None:
    """The most optimizer steps; the schedule goes on as configured. None where the estimate fails."""

    def at(steps: int) -> Estimate | None:
        train = msgspec.structs.replace(settings.train, max_steps=steps)
        return estimate(msgspec.structs.replace(settings, train=train))

    def room(steps: int) -> float:
        return _room(at(steps), window, now)

    base = estimate(settings)
    planned = base.total_steps if base is not None else 1
    highest = max(MOST_EPOCHS * steps_per_epoch, planned)
    steps = _largest(room, planned, highest)
    if steps == 0:
        text = f"no steps fit: a single one is {_over(room(1))}"
        return Goal(what="steps", value=0, text=text, values={}) if math.isfinite(room(1)) else None
    epochs = steps / steps_per_epoch
    text = f"{frequency_text(Frequency(steps=steps))}, which is {epochs:.2f} epochs"
    if steps >= highest:
        text = f"{highest} steps and more: the window is no limit"
    return Goal(what="steps", value=steps, text=text, values={"train.max_steps": steps})


def _room(found: Estimate | None, window: Window, now: float) -> float:
    """Seconds from the P90 finish to the latest safe one; minus infinity where nothing is known."""
    return -math.inf if found is None else safe_room_seconds(now, found, window)


def _smallest(fits: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest number that fits, where `high` does and so does everything above one that does."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return high


def _largest(room: Callable[[int], float], start: int, highest: int) -> int:
    """The largest number from 1 to `highest` with room left, 0 where there is none.

    Room shrinks with the number in about a straight line, so that the line through two of them is followed; where
    it leads astray, the interval is halved. An estimate of many epochs takes a while, and this asks for about six.
    """
    low, low_room = 1, room(1)
    if low_room < 0:
        return 0
    high = min(max(start, 2), highest)
    high_room = room(high)
    while high_room >= 0 and high < highest:
        beyond = _crossing(low, low_room, high, high_room)
        low, low_room, high = high, high_room, int(min(max(beyond + 1, high + 1), highest))
        high_room = room(high)
    if high_room >= 0:
        return high
    halve = False
    while high - low > 1:
        guess = (low + high) // 2 if halve else int(_crossing(low, low_room, high, high_room))
        guess = min(max(guess, low + 1), high - 1)
        before = high - low
        guess_room = room(guess)
        if guess_room >= 0:
            low, low_room = guess, guess_room
        else:
            high, high_room = guess, guess_room
        halve = high - low > before // 2
    return low


def _crossing(low: int, low_room: float, high: int, high_room: float) -> float:
    """Where the line through both has no room left; infinity where it does not fall."""
    if not math.isfinite(high_room):
        return (low + high) / 2
    fall = (low_room - high_room) / (high - low)
    return low + low_room / fall if fall > 0 else math.inf


def _no_evaluation(now: float, without: Estimate | None, window: Window) -> str:
    if without is not None and judge_finish(now, without, window) == "fits":
        return "no evaluation fits: the run fits without any"
    over = f": without any it is {_over(_room(without, window, now))}" if without is not None else ""
    return f"no evaluation fits{over}"


def _over(room: float) -> str:
    return f"{format_span(-room)} past the safe finish (P90)"
