"""A log stays small however fast the steps, however many the devices, however long the run."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.log.rate_limit import BYTES_PER_SECOND, SAVED_SECONDS, RateLimit
from speedtui.engine.log.tail import read_events
from tests.engine.log.simulated_run import Simulation, simulate

MEGABYTES = 100.0
"""In twelve hours."""
STEP_BYTES = 300


@pytest.mark.parametrize(("steps_per_second", "seconds"), [(0.2, 3600.0), (5.0, 600.0), (50.0, 200.0), (400.0, 75.0)])
@pytest.mark.parametrize("devices", [0, 1])
def test_twelve_hours_stay_below_a_hundred_megabytes(
    steps_per_second: float, seconds: float, devices: int, tmp_path: Path
) -> None:
    simulation = Simulation(steps_per_second=steps_per_second, seconds=seconds, devices=devices)
    written = simulate(tmp_path / "events.jsonl", simulation)
    assert written.megabytes_in_12_hours <= MEGABYTES
    if not devices:  # a GPU's line has two columns of phases
        assert written.longest_step_line <= STEP_BYTES
    if steps_per_second >= 50:
        assert written.bytes_per_step <= STEP_BYTES
    steps = [event for event in read_events(tmp_path / "events.jsonl") if isinstance(event, e.StepCompleted)]
    assert sum(event.steps for event in steps) == simulation.steps
    assert sum(event.seconds for event in steps) == pytest.approx(seconds, rel=0.01)


def test_readings_of_one_device_are_all_written_and_of_eight_as_many_as_there_is_room_for(tmp_path: Path) -> None:
    seconds = 600.0
    for devices, least, most in ((1, seconds, seconds + 1), (8, seconds / 5, seconds / 2)):
        path = tmp_path / f"{devices}.jsonl"
        written = simulate(path, Simulation(steps_per_second=1.0, seconds=seconds, devices=devices))
        readings = [event for event in read_events(path) if isinstance(event, e.HardwareSampled)]
        assert least <= len(readings) <= most
        allowed = BYTES_PER_SECOND[e.HardwareSampled] * (seconds + SAVED_SECONDS)
        assert written.by_type["hardware_sampled"] <= allowed + 3000
        assert len(readings[0].devices) == devices


def eta(t: float, verdict: e.Verdict) -> e.EtaUpdated:
    return e.EtaUpdated(t=t, p50_seconds=1.0, p90_seconds=2.0, verdict=verdict)


def test_a_new_verdict_is_written_when_there_is_no_room_left() -> None:
    pace = RateLimit()
    size = 10 * round(BYTES_PER_SECOND[e.EtaUpdated] * SAVED_SECONDS)
    assert pace.lets(eta(1.0, "on_track"), size)
    assert not pace.lets(eta(2.0, "on_track"), size)
    assert pace.lets(eta(3.0, "late"), size)
    assert not pace.lets(eta(4.0, "late"), size)


def test_readings_make_room_for_themselves_again() -> None:
    pace = RateLimit()
    rate = BYTES_PER_SECOND[e.EtaUpdated]
    size = round(rate * 5)
    written = [t for t in range(2000) if pace.lets(eta(float(t), "tight"), size)]
    later = [t for t in written if t >= 1000]
    assert len(later) == pytest.approx(200, abs=2)
    assert max(after - before for before, after in pairwise(later)) <= 6


def test_what_happens_is_always_written() -> None:
    pace = RateLimit()
    assert all(pace.lets(e.Notice(t=1.0, level="info", text="x"), 10**9) for _ in range(100))
