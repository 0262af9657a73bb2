"""How well the device is used, where it is known: idle time, MFU, and what held the device back."""

from __future__ import annotations

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.advise.diagnosis import diagnose
from speedtui.engine.candidate import TrialResult
from speedtui.engine.config.settings import Settings
from speedtui.engine.state import RunState, fold
from speedtui.tui.panes.advisor_diagnosis import draw_diagnosis
from speedtui.tui.panes.detail import draw_detail
from speedtui.tui.panes.devices import draw_devices
from speedtui.tui.panes.step import draw_step
from tests.tui import builders as b
from tests.tui.test_panes import text


def with_result(result: TrialResult) -> RunState:
    return fold([*b.study_log(), e.TrialFinished(t=400.0, trial=5, result=result)])


def test_each_phase_says_how_idle_the_device_was_in_it() -> None:
    shown = text(draw_step(fold(b.used_training_log()), 70, 13))
    rows = {line.split()[2]: line for line in shown.splitlines() if "ms" in line and "±" not in line}
    assert "idle" in shown.splitlines()[3]
    assert " 5 %" in rows["forward"] and " 1 %" in rows["backward"] and " 10 %" in rows["optimizer"]
    assert "100 %" in rows["data"] and "last 10 min" in shown
    assert "idle 7 %" in shown and "MFU 40 %" in shown


def test_in_a_narrow_pane_idle_time_and_mfu_stand_beside_what_else_is_wasted() -> None:
    last = text(draw_step(fold(b.used_training_log()), 40, 8)).splitlines()[-2]
    assert last.strip("│ ") == "pad 11%  data 2%  idle 7%  MFU 40%"


def test_where_neither_is_known_nothing_is_said_of_it() -> None:
    for size in ((70, 13), (40, 8)):
        shown = text(draw_step(fold(b.training_log()), *size))
        assert "idle" not in shown and "MFU" not in shown


def test_a_device_at_its_power_limit_is_not_called_throttled() -> None:
    shown = text(draw_devices(fold(b.used_training_log()), 70, 13))
    assert "at its power limit" in shown and "throttled" not in shown
    found = diagnose(fold(b.used_training_log()), Settings(), None)
    assert not found.throttled and found.limit[0].startswith("at its power limit ")
    assert found.shares[:2] == ("MFU 40 %", "idle 7 % of a step")


def test_utilization_is_called_what_it_is() -> None:
    shown = text(draw_devices(fold(b.training_log()), 70, 13))
    assert "kernel" in shown and "of the time" in shown and "util" not in shown
    assert "kernel ran 91 %" in diagnose(fold(b.training_log()), Settings(), None).shares


def test_a_training_that_is_idle_waits_for_its_launches_whatever_the_driver_says() -> None:
    log = b.used_training_log()
    idle = [
        msgspec.structs.replace(x, busy={name: 0.5 * s for name, s in x.phases.items()})
        if isinstance(x, e.DeviceBusyMeasured)
        else x
        for x in log
    ]
    assert diagnose(fold(log), Settings(), None).bottleneck == "GPU compute"
    assert diagnose(fold(idle), Settings(), None).bottleneck == "launching kernels"


def test_a_trial_tells_how_its_device_was_used_and_what_held_it_back() -> None:
    lines = text(draw_detail(with_result(b.used_result()), 5, 140, 20)).splitlines()
    speed, device = (next(line for line in lines if f" {label} " in line) for label in ("speed", "device"))
    assert "idle 10 %   MFU 40 %   of 990 TFLOP/s bfloat16" in speed
    assert "SM 1755 MHz, lowest 1710   71 °C   694 W   at its power limit 75 % of the time" in device
    assert "throttled" not in device


def test_idle_time_and_mfu_of_a_trial_find_room_in_eighty_columns() -> None:
    shown = text(draw_detail(with_result(b.used_result()), 5, 80, 10))
    assert "padding 11 %   idle 10 %   MFU 40 %" in shown


def test_a_trial_that_was_throttled_says_so_first_of_its_conditions() -> None:
    result = b.used_result()
    assert result.conditions is not None
    hot = msgspec.structs.replace(result.conditions, throttled_fraction=0.5, highest_celsius=94.0)
    shown = text(draw_detail(with_result(msgspec.structs.replace(result, conditions=hot)), 5, 140, 20))
    assert "! throttled 50 % of the time   SM 1755 MHz" in shown


def test_what_throttles_a_device_comes_before_its_figures() -> None:
    log = b.training_log()
    last = next(event for event in reversed(log) if isinstance(event, e.HardwareSampled))
    hot = msgspec.structs.replace(last, devices=[msgspec.structs.replace(last.devices[0], throttled=True)])
    assert diagnose(fold([*log, hot]), Settings(), None).limit[0] == "throttled"
    assert "throttled" in text(draw_diagnosis(diagnose(fold([*log, hot]), Settings(), None), fold(log), 140, 4))


@pytest.mark.parametrize("peak", [None, 989.5e12])
def test_without_a_peak_a_trial_tells_what_it_computes_and_no_mfu(peak: float | None) -> None:
    result = b.used_result()
    assert result.measurement is not None and result.measurement.flops is not None
    flops = msgspec.structs.replace(result.measurement.flops, peak=peak)
    measured = msgspec.structs.replace(result.measurement, flops=flops)
    shown = text(draw_detail(with_result(msgspec.structs.replace(result, measurement=measured)), 5, 140, 20))
    assert ("398 TFLOP/s, peak not known" in shown) is (peak is None)
    assert ("MFU" in shown) is (peak is not None)


def test_a_trial_on_a_cpu_has_no_line_of_a_device() -> None:
    assert " device " not in text(draw_detail(with_result(b.ok_result(0.4, 40.0)), 5, 140, 20))
