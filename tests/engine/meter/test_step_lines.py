"""Steps as lines: how many, how long, and that nothing is lost between them."""

from __future__ import annotations

import pytest

from speedtui.engine import events as e
from speedtui.engine.meter.step_lines import (
    LATER_LINES_PER_SECOND,
    LINES_PER_SECOND,
    PEAK_LINES,
    START_SECONDS,
    StepLines,
    shortened,
)  # fmt: skip
from tests.engine import events_of_a_run as a


def lines_of(seconds: float, steps_per_second: float, *, probe: bool = False) -> list[e.StepCompleted]:
    """What is emitted for so many equal steps, their last line forced out."""
    emitted: list[e.StepCompleted] = []
    lines = StepLines(emitted.append, every_step_matters=probe)
    count = round(seconds * steps_per_second)
    for number in range(1, count + 1):
        lines.add(a.step(number, seconds=1 / steps_per_second), round(number * 1e9 / steps_per_second))
    lines.release(round(seconds * 1e9), urgent=True)
    return emitted


def test_a_training_starts_with_many_lines_a_second_and_goes_on_with_few() -> None:
    emitted = lines_of(START_SECONDS + 100, 100.0)
    start = [line for line in emitted if line.step <= START_SECONDS * 100]
    assert len(start) == pytest.approx(START_SECONDS * LINES_PER_SECOND, rel=0.02)
    assert len(emitted) - len(start) == pytest.approx(100 * LATER_LINES_PER_SECOND, rel=0.05)


def test_a_probe_keeps_its_lines() -> None:
    assert len(lines_of(START_SECONDS + 100, 10.0, probe=True)) == (START_SECONDS + 100) * 10


def test_every_step_is_in_one_line_with_its_samples_and_seconds() -> None:
    emitted = lines_of(START_SECONDS + 30, 50.0)
    count = round((START_SECONDS + 30) * 50)
    assert sum(line.steps for line in emitted) == count
    assert sum(line.samples for line in emitted) == 16 * count
    assert [line.step for line in emitted] == sorted({line.step for line in emitted})
    assert sum(line.seconds for line in emitted) == pytest.approx(START_SECONDS + 30, rel=1e-5)


def test_slow_steps_have_a_line_each() -> None:
    assert all(line.steps == 1 for line in lines_of(300.0, 2.0))


@pytest.mark.parametrize("scale", [1e-4, 3e-3, 0.41, 7.7, 123.0])
def test_a_line_is_short_and_its_phases_still_add_up(scale: float) -> None:
    phases = {"data": 0.0171234567, "forward": 0.3212345678, "backward": 0.5612345678, "h2d": 1e-7, "log": 0.0}
    phases["other"] = 1 - sum(phases.values())
    line = shortened(
        a.step(1, seconds=scale, phases={name: value * scale for name, value in phases.items()}, device_phases=None)
    )
    assert sum(line.phases.values()) == pytest.approx(line.seconds, rel=2e-3)
    assert set(line.phases) == {"data", "forward", "backward", "other"}
    assert all(len(f"{value:.15g}") <= 8 for value in line.phases.values())
    for name, value in line.phases.items():
        assert value == pytest.approx(phases[name] * scale, abs=0.5e-3 * scale)


def test_peaks_are_told_when_they_change_and_now_and_then() -> None:
    emitted: list[e.StepCompleted] = []
    lines = StepLines(emitted.append, every_step_matters=True)
    for number in range(1, 51):
        peak = 100 if number < 25 else 200
        lines.add(a.step(number, peak_allocated_bytes=peak, peak_reserved_bytes=300, alloc_retries=0), number * 10**9)
    told = [line.step for line in emitted if line.peak_allocated_bytes is not None]
    assert told[0] == 1
    assert 25 in told
    assert max(later - earlier for earlier, later in zip(told, [*told[1:], 50], strict=True)) <= PEAK_LINES
    assert len(told) <= 2 + 50 // PEAK_LINES
    assert {line.peak_reserved_bytes for line in emitted if line.peak_allocated_bytes} == {300}


def test_steps_that_are_not_finite_are_counted_exactly_whatever_line_tells_them() -> None:
    emitted: list[e.StepCompleted] = []
    lines = StepLines(emitted.append, every_step_matters=False)
    for number in range(1, 301):
        bad = number > 1 and number % 3 != 0
        lines.add(
            a.step(
                number, loss=None if bad else 1.0, nonfinite=bad, nonfinite_steps=int(bad),
                nonfinite_gradients=int(number % 5 == 0), skipped_steps=int(number % 6 == 0),
            ),
            round(number * 2e7),
        )  # fmt: skip
    lines.release(round(7e9), urgent=True)
    assert len(emitted) < 150
    assert sum(line.nonfinite_steps for line in emitted) == sum(n > 1 and n % 3 != 0 for n in range(1, 301))
    assert sum(line.nonfinite_gradients for line in emitted) == 60
    assert sum(line.skipped_steps for line in emitted) == 50
    assert all(line.nonfinite == (line.nonfinite_steps > 0) for line in emitted)
