"""The devices as the driver sees them, and the host; a value that nobody gave reads as a dash."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import msgspec

from speedtui.engine.events import DeviceSample
from speedtui.engine.state import RunState
from speedtui.engine.state.snapshot import HardwareHistory
from speedtui.engine.units import GIB, format_share
from speedtui.tui.drawing.bars import bar
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, cell, clean, fit, row
from speedtui.tui.frame import Frame, TimeRange
from speedtui.tui.panes import gauges
from speedtui.tui.panes.pane import Pane, empty_pane, title

COLUMN_GAP = 2
SIDE_BY_SIDE = 31
"""Cells that a device in full takes at least."""
FULL_ROWS = 7
"""Of one of two devices in full: its name and six rows."""
LINE_WIDTH = 58
"""Cells from which on a device has a row with everything in it."""
DENSE_BAR = 3
"""Cells of the bar where two devices share a row."""
TINY_HEAD = "  kernel  mem °C"
"""Above such a column."""


class DevicesPane(Pane):
    """GPUs and host; the host alone where there is no GPU."""

    SLOW = True

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_devices(frame.run, width, height, frame.axis)


def draw_devices(run: RunState, width: int, height: int, axis: TimeRange = "run") -> list[Row]:
    """The pane at a size: one or two GPUs in full, more of them as a row each, or two in a row."""
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    hardware = run.hardware
    if hardware is None:
        return empty_pane(title("Devices"), "No readings yet.", width, height)
    samples, host = hardware.devices, hardware.host
    if run.full_disk_bytes is not None:  # the last reading that found room in the log was of before
        host = msgspec.structs.replace(host, disk_free_bytes=run.full_disk_bytes)
    if not samples:
        name = clean(run.devices[0].name) if run.devices else ""
        rows = gauges.host_rows(run, host, inner_width, inner_height)
        return bordered(title("Host", Span(name or "no GPU", "dim")), (), rows, width, height)
    name = f"GPU {samples[0].index}" if len(samples) == 1 else f"{len(samples)} GPUs"
    rows = _gpus(run, samples, inner_width, inner_height - 1, axis)
    rows = [*rows[: max(0, inner_height - 1)], gauges.host_line(host, inner_width)]
    heading = title(name, _hidden(samples, rows), Span(clean(samples[0].name), "dim"))
    return bordered(heading, (), rows, width, height)


def _hidden(samples: Sequence[DeviceSample], rows: Sequence[Row]) -> Row:
    """How many found no room, where even two in a row are too many."""
    shown = 2 * (len(rows) - 2)
    missing = len(samples) - shown
    return row(Span(f"+{missing} not shown", "warn")) if missing > 0 and len(samples) > 2 else ()


def _gpus(run: RunState, samples: Sequence[DeviceSample], width: int, height: int, axis: TimeRange) -> list[Row]:
    past = [*run.hardware_history, *[HardwareHistory()] * len(samples)]
    if len(samples) == 1:
        return _with_history(gauges.device_rows(run, samples[0], width, height), past[0], axis, width, height)
    if len(samples) == 2 and height >= FULL_ROWS - 1 and width >= 2 * SIDE_BY_SIDE + COLUMN_GAP:
        half = (width - COLUMN_GAP) // 2
        left, right = (
            _with_history(_named(run, sample, half, height), past[i], axis, half, height)
            for i, sample in enumerate(samples)
        )
        return _beside(left, right, half)
    if len(samples) == 2 and height >= 2 * FULL_ROWS:
        return [line for sample in samples for line in _named(run, sample, width, FULL_ROWS)]
    if width >= LINE_WIDTH and height > len(samples):
        return [_heads(width), *(_line(sample, width) for sample in samples)]
    if height >= 2 * len(samples):
        return [line for sample in samples for line in _pair(sample, width)]
    if height >= len(samples):
        return [_short(sample, width) for sample in samples]
    return _dense(samples, width, height)


def _named(run: RunState, sample: DeviceSample, width: int, height: int) -> list[Row]:
    """A device in full below its number; the peak is told once, of the process and not of a device."""
    return [row(Span(f"GPU {sample.index}", "strong")), *gauges.device_rows(run, sample, width, height - 1, peak=False)]


def _with_history(rows: list[Row], past: HardwareHistory, axis: TimeRange, width: int, height: int) -> list[Row]:
    return [*rows, (), *gauges.history_rows(past, axis, width)] if height > len(rows) + 2 else rows


def _beside(left: Sequence[Row], right: Sequence[Row], width: int) -> list[Row]:
    pairs = zip_longest(left, right, fillvalue=())
    return [row(fit(one, width), " " * COLUMN_GAP, other) for one, other in pairs]


def _heads(width: int) -> Row:
    room = _bar_room(width)
    heads = row("   ", cell("kernel ran", room + 6), cell(" memory", room + 16), cell("power", 10, right=True),
                cell("temp", 7, right=True))  # fmt: skip
    return row(*(Span(text, "dim") for text, _ in heads))


def _bar_room(width: int) -> int:
    return max(3, (width - 46) // 2)


def _line(sample: DeviceSample, width: int) -> Row:
    """Everything of a device in one row."""
    if sample.lost:
        return row(cell(f"{sample.index}", 3, style="dim"), gauges.lost(sample))
    room = _bar_room(width)
    memory = gauges.ratio(sample.memory_used_bytes, sample.memory_total_bytes)
    return row(
        cell(f"{sample.index}", 3, style="dim"), bar(sample.utilization, room),
        cell(format_share(sample.utilization), 6, right=True), " ", bar(memory, room),
        cell(gauges.part_of(sample.memory_used_bytes, sample.memory_total_bytes), 15, right=True),
        cell(gauges.watts(sample), 10, right=True), cell(gauges.degrees(sample), 7, right=True), _sign(sample),
    )  # fmt: skip


def _sign(sample: DeviceSample) -> Span:
    return Span(" !" if sample.throttled else "", "warn")


def _pair(sample: DeviceSample, width: int) -> list[Row]:
    """A device in two rows."""
    if sample.lost:
        return [row(cell(f"{sample.index}", 2, style="strong"), gauges.lost(sample)), ()]
    memory = gauges.ratio(sample.memory_used_bytes, sample.memory_total_bytes)
    used = gauges.part_of(sample.memory_used_bytes, sample.memory_total_bytes)
    room = max(3, width - 19 - max(10, len(used) + 1))
    left = width - 11 - room
    return [
        row(cell(f"{sample.index}", 2, style="strong"), cell("kernel", 7, style="dim"), bar(sample.utilization, room),
            cell(format_share(sample.utilization), 6, right=True), cell(gauges.watts(sample), left - 6, right=True)),
        row("  ", cell("memory", 7, style="dim"), bar(memory, room), cell(used, left - 8, right=True),
            cell(gauges.degrees(sample), 8, right=True), _sign(sample)),
    ]  # fmt: skip


def _short(sample: DeviceSample, width: int) -> Row:
    """A device in a narrow row: its use, its memory, its temperature."""
    if sample.lost:
        return row(cell(f"{sample.index}", 3, style="dim"), gauges.lost(sample))
    room = max(3, width - 28)
    return row(
        cell(f"{sample.index}", 3, style="dim"), bar(sample.utilization, room),
        cell(format_share(sample.utilization), 6, right=True), cell(_whole_gib(sample), 10, right=True),
        cell(gauges.degrees(sample), 7, right=True), _sign(sample),
    )  # fmt: skip


def _whole_gib(sample: DeviceSample) -> str:
    """`38/80 GiB`"""
    used, total = sample.memory_used_bytes, sample.memory_total_bytes
    of = f"/{total / GIB:.0f}" if total else ""
    return "–" if used is None else f"{used / GIB:.0f}{of} GiB"


def _dense(samples: Sequence[DeviceSample], width: int, height: int) -> list[Row]:
    """Two devices in a row below what their figures are."""
    half = (width - COLUMN_GAP) // 2
    head = row(Span(TINY_HEAD, "dim"))
    per_column = max(1, min(height - 1, -(-len(samples) // 2)))
    columns = [[head, *map(_tiny, part)] for part in (samples[:per_column], samples[per_column : 2 * per_column])]
    return _beside(columns[0], columns[1], half)


def _tiny(sample: DeviceSample) -> Row:
    if sample.lost:
        return row(cell(f"{sample.index}", 2, style="dim"), Span("lost", "bad"))
    memory = gauges.ratio(sample.memory_used_bytes, sample.memory_total_bytes)
    heat = "–" if sample.temperature_celsius is None else f"{sample.temperature_celsius:.0f}"
    return row(
        cell(f"{sample.index}", 2, style="dim"), bar(sample.utilization, DENSE_BAR),
        cell(_percent(sample.utilization), 4, right=True), cell(_percent(memory), 4, right=True),
        cell(heat, 3, right=True), Span("!" if sample.throttled else "", "warn"),
    )  # fmt: skip


def _percent(fraction: float | None) -> str:
    return format_share(fraction).replace(" ", "")
