"""Kernels of a profile over the phases that launched them: nothing twice, nothing invented."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from speedtui.engine.events import PHASES, STEP_PHASES
from speedtui.engine.meter.phases import INDEX
from speedtui.engine.meter.profile import BETWEEN, Boundary, DeviceActivity, busy_ns, busy_seconds

STEP = ("data", "h2d", "forward", "backward", "optimizer", "other")


def timeline(random: random.Random) -> list[Boundary]:
    """Some steps with their phases, a pause after each."""
    boundaries, moment = [], random.randrange(20)
    for _ in range(random.randint(1, 4)):
        for name in STEP:
            boundaries.append((moment, INDEX[name]))
            moment += random.randrange(30)
        boundaries.append((moment, BETWEEN))
        moment += random.randrange(30)
    return boundaries


def kernels(random: random.Random, end: int) -> list[DeviceActivity]:
    """On up to three streams, some of them at the same time, some launched outside any step."""
    made = []
    for _ in range(random.randrange(40)):
        launched = random.randrange(-10, end + 20)
        begin = launched + random.randrange(15)
        made.append(DeviceActivity(launched=launched, begin=begin, end=begin + random.randrange(25)))
    random.shuffle(made)
    return made


def by_the_nanosecond(made: list[DeviceActivity], boundaries: list[Boundary]) -> dict[int, int]:
    """The same, looked up for each nanosecond by itself."""
    busy: dict[int, int] = {}
    ordered = sorted(made, key=lambda kernel: kernel.begin)
    for moment in range(-20, max((kernel.end for kernel in made), default=0)):
        running = [kernel for kernel in ordered if kernel.begin <= moment < kernel.end]
        if not running:
            continue
        first = next(kernel for kernel in ordered if kernel in running)
        phase = next((p for (a, p), (b, _) in pairwise(boundaries) if a <= first.launched < b), BETWEEN)
        if phase != BETWEEN:
            busy[phase] = busy.get(phase, 0) + 1
    return busy


@pytest.mark.parametrize("seed", range(150))
def test_every_nanosecond_counts_once_and_for_the_phase_that_launched_what_ran_first(seed: int) -> None:
    chance = random.Random(seed)
    boundaries = timeline(chance)
    made = kernels(chance, boundaries[-1][0])
    busy = busy_ns(made, boundaries)
    assert busy == by_the_nanosecond(made, boundaries)
    whole = max((kernel.end for kernel in made), default=0) - min((kernel.begin for kernel in made), default=0)
    assert sum(busy.values()) <= whole


@pytest.mark.parametrize("seed", range(20))
def test_kernels_on_another_stream_at_the_same_time_add_nothing(seed: int) -> None:
    chance = random.Random(seed)
    boundaries = timeline(chance)
    made = kernels(chance, boundaries[-1][0])
    shadows = [
        DeviceActivity(kernel.launched, kernel.begin + 1, kernel.end) for kernel in made if kernel.end > kernel.begin
    ]
    assert sum(busy_ns([*made, *shadows], boundaries).values()) == sum(busy_ns(made, boundaries).values())


@pytest.mark.parametrize("seed", range(20))
def test_no_phase_is_busy_for_longer_than_it_took(seed: int) -> None:
    chance = random.Random(seed)
    boundaries = timeline(chance)
    taken = dict.fromkeys(STEP_PHASES, 0.0)
    for (begin, phase), (end, _) in pairwise(boundaries):
        if phase != BETWEEN:
            taken[PHASES[phase]] += (end - begin) / 1e9
    busy = busy_seconds(busy_ns(kernels(chance, boundaries[-1][0]), boundaries), taken)
    assert busy.keys() == taken.keys()
    assert all(0 <= busy[name] <= taken[name] for name in taken)


def test_a_kernel_belongs_to_the_phase_that_launched_it_however_late_it_runs() -> None:
    boundaries = [(0, INDEX["forward"]), (10, INDEX["backward"]), (20, BETWEEN)]
    late = DeviceActivity(launched=5, begin=15, end=18)
    assert busy_ns([late], boundaries) == {INDEX["forward"]: 3}


def test_what_was_launched_between_two_steps_is_nobodys() -> None:
    boundaries = [(0, INDEX["forward"]), (10, BETWEEN), (50, INDEX["forward"]), (60, BETWEEN)]
    evaluation = DeviceActivity(launched=12, begin=12, end=48)
    assert busy_ns([evaluation, DeviceActivity(70, 70, 80), DeviceActivity(-5, -5, -1)], boundaries) == {}


def test_a_phase_that_is_none_of_a_step_counts_as_other() -> None:
    busy = busy_seconds({INDEX["eval"]: 5_000_000_000, INDEX["forward"]: 1_000_000_000}, {"forward": 2.0, "other": 9.0})
    assert (busy["other"], busy["forward"]) == (5.0, 1.0)
