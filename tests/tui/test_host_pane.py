"""What the hardware pane says of a container, a lost device and a full disk."""

from __future__ import annotations

import builders as b
import msgspec
import pytest
from msgspec import UNSET

from speedtui.engine import events as e
from speedtui.engine.state import RunState, fold
from speedtui.engine.units import GIB
from speedtui.tui.drawing.text import Row, plain
from speedtui.tui.frame import Frame
from speedtui.tui.panes.devices import draw_devices
from speedtui.tui.panes.notices import notices

CONTAINER = e.HostSample(
    cpu_fraction=0.5, cpu_waiting=0.0, load_1m=200.0, cores=4, machine_cores=64, rss_bytes=2 * GIB,
    memory_available_bytes=10 * GIB, memory_limit_bytes=16 * GIB, disk_free_bytes=50 * GIB,
)  # fmt: skip
SIZES = [(38, 8), (44, 13), (60, 13), (76, 10), (140, 20)]


def run_on(host: e.HostSample, gpus: int, lost: int | None = None) -> RunState:
    log = b.training_log()
    (last,) = [event for event in log if isinstance(event, e.HardwareSampled)][-1:]
    devices = [msgspec.structs.replace(last.devices[0], index=i) for i in range(gpus)]
    if lost is not None:
        devices[lost] = e.DeviceSample(index=lost, name=devices[0].name, lost="GPU is lost")
    return fold([*log, msgspec.structs.replace(last, devices=devices, host=host)])


def drawn(run: RunState, width: int = 76, height: int = 14) -> list[Row]:
    return draw_devices(run, width, height)


def styled(rows: list[Row], style: str) -> str:
    return " ".join(span.text for line in rows for span in line if span.style == style)


def text(rows: list[Row]) -> str:
    return "\n".join(map(plain, rows))


@pytest.mark.parametrize("gpus", [0, 1])
def test_the_work_of_other_containers_makes_no_one_busy(gpus: int) -> None:
    shown = text(drawn(run_on(CONTAINER, gpus)))
    assert "busy" not in shown
    assert "50 % of 4" in shown
    assert ("200 on host's 64" if gpus == 0 else "host load 200.0/64") in shown


@pytest.mark.parametrize("gpus", [0, 1])
def test_what_waits_in_the_container_itself_does(gpus: int) -> None:
    waiting = msgspec.structs.replace(CONTAINER, cpu_waiting=0.9, load_1m=1.0)
    assert "50 % of 4 ! busy" in text(drawn(run_on(waiting, gpus)))


def test_on_a_whole_machine_its_load_says_it() -> None:
    whole = msgspec.structs.replace(CONTAINER, machine_cores=UNSET, memory_limit_bytes=UNSET, load_1m=9.0)
    shown = text(drawn(run_on(whole, 0)))
    assert "on 4 ! busy" in shown and "host's" not in shown and "limit" not in shown


def test_a_container_s_memory_is_told_with_its_limit() -> None:
    assert "10.0 GiB available, limit 16.0 GiB" in text(drawn(run_on(CONTAINER, 0)))


@pytest.mark.parametrize("gpus", [0, 1, 8])
def test_a_full_disk_is_in_the_colour_of_an_error(gpus: int) -> None:
    full = msgspec.structs.replace(CONTAINER, disk_free_bytes=0)
    assert "0 B free" in styled(drawn(run_on(full, gpus)), "bad")
    assert styled(drawn(run_on(CONTAINER, gpus)), "bad") == ""


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("gpus", [1, 2, 8])
def test_a_lost_device_is_called_so_at_every_size(gpus: int, width: int, height: int) -> None:
    rows = drawn(run_on(CONTAINER, gpus, lost=gpus - 1), width, height)
    if f"+{gpus}" not in text(rows) and "not shown" not in text(rows):
        assert "lost" in styled(rows, "bad")
    assert "lost" not in styled(drawn(run_on(CONTAINER, gpus), width, height), "bad")


def test_a_disk_that_is_full_now_takes_the_place_of_the_last_reading_that_found_room() -> None:
    run = msgspec.structs.replace(run_on(CONTAINER, 1), full_disk_bytes=4096)
    assert "4.0 KiB free" in styled(drawn(run), "bad")
    (first, *_) = notices(Frame(run=run, study=run, clock=run.now), 90)
    assert plain(first).startswith("✗ DISK FULL 4.0 KiB free where the run is")
