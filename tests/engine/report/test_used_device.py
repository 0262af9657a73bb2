"""What a training's report, its tables and its trackers say of how well the device was used."""

from __future__ import annotations

import pytest

from speedtui.engine import events as e
from speedtui.engine.efficiency import ModelFlops
from speedtui.engine.export.metrics import MetricStream
from speedtui.engine.report.compose import training_report
from speedtui.engine.report.document import training_document
from speedtui.engine.report.page.page import render_page
from speedtui.engine.report.text import render_facts
from speedtui.engine.state import RunState, fold
from tests.engine import events_of_a_run as a

FLOPS = ModelFlops(per_sample=5e9, per_token=1e8, peak=1e12, precision="bfloat16")
"""Steps of 800 tokens in 0.4 s: 2000 tokens a second, an MFU of 20 %."""
BUSY = e.DeviceBusyMeasured(
    t=12.0, step=5, steps=3, cost_seconds=0.5, phases={"forward": 0.4, "backward": 0.8, "data": 0.0},
    busy={"forward": 0.3, "backward": 0.6},
)  # fmt: skip


def trained(*extra: e.AnyEvent, flops: ModelFlops | None = FLOPS) -> list[e.AnyEvent]:
    steps = [a.step(number) for number in range(1, 11)]
    done = e.TrainingFinished(t=15.0, steps=10, seconds=4.0, first_loss=2.0, last_loss=2.0, model_path="m")
    return [a.started("train"), a.training(10, flops=flops), *steps, *extra, done]


def state(*extra: e.AnyEvent, flops: ModelFlops | None = FLOPS) -> RunState:
    return fold(trained(*extra, flops=flops))


def test_a_report_tells_mfu_over_all_steps_and_idle_time_of_the_profiled_ones() -> None:
    run = state(BUSY)
    report = training_report(run)
    assert report.training.mfu == pytest.approx(0.2)
    line = next(line for line in render_facts(report).splitlines() if line.startswith("device"))
    assert line.split(maxsplit=1)[1] == "MFU 20 % of 1.0 TFLOP/s (bfloat16), idle for 25 % of a step (3 profiled)"
    entry = training_document(report)["device_use"]
    assert (entry["mfu"], entry["idle_fraction"]) == (0.2, 0.25)
    assert entry["flops"] == {"per_token": 1e8, "per_sample": 5e9, "peak_per_second": 1e12, "precision": "bfloat16"}
    assert entry["profiled_steps"]["busy"] == BUSY.busy
    assert "MFU 20 %" in render_page(run)


def test_what_was_not_measured_is_null_and_has_no_words() -> None:
    run = state(flops=None)
    report = training_report(run)
    assert training_document(report)["device_use"] == {
        "mfu": None, "flops": None, "idle_fraction": None, "profiled_steps": None,
    }  # fmt: skip
    assert "device" not in render_facts(report) and "MFU" not in render_page(run)


def test_without_a_peak_or_without_tokens_the_figures_that_there_are_still_count() -> None:
    unknown = state(flops=ModelFlops(per_sample=5e9, per_token=1e8)).training
    assert unknown is not None and unknown.mfu is unknown.recent_mfu is None
    by_sample = state(flops=ModelFlops(per_sample=5e9, peak=1e12)).training
    assert by_sample is not None
    assert by_sample.mfu == pytest.approx(by_sample.recent_mfu) == pytest.approx(16 / 0.4 * 5e9 / 1e12)


def test_a_tracker_gets_both() -> None:
    stream = MetricStream()
    points = [point for event in trained(BUSY) for point in stream.take(event)]
    assert points[-2].values == {"device/idle_fraction": pytest.approx(0.25)}
    assert [p.values["train/mfu"] for p in points if "train/mfu" in p.values] == pytest.approx([0.2] * 10)


@pytest.mark.parametrize(("phase", "idle"), [("forward", 0.25), ("data", None), ("log", None)])
def test_a_phase_of_no_time_is_neither_busy_nor_idle(phase: str, idle: float | None) -> None:
    assert BUSY.idle_share(phase) == (None if idle is None else pytest.approx(idle))


def test_logs_from_before_these_figures_still_read() -> None:
    line = e.encode(a.training(10)).replace(b',"flops":null', b"")
    assert b"flops" not in line and e.decode(line) == a.training(10)
    device = b'{"index":0,"name":"GPU","utilization":0.9,"throttled":true}'
    old = e.decode(b'{"v":1,"type":"hardware_sampled","t":1.0,"devices":[' + device + b'],"host":{}}')
    assert isinstance(old, e.HardwareSampled)
    assert old.devices[0].throttled is True and old.devices[0].power_capped is None
