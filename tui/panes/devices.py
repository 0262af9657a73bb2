"""The devices as the driver sees them, and the host; a value that nobody gave reads as a dash."""

from __future__ import annotations

from collections.abc import Sequence

from speedtui.engine.events import DeviceSample, HostSample
from speedtui.engine.state import RunState
from speedtui.engine.state.snapshot import HardwareHistory
from speedtui.engine.units import GIB, format_count, format_share, format_size
from speedtui.tui.drawing.bars import bar, sparkline
from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.text import Row, Span, cell, clean, pack, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, middle, title

LABEL = 7
HOTTEST = 100.0
"""Degrees Celsius at the end of the bar: past where any data-centre GPU slows itself down."""


class DevicesPane(Pane):
    """GPUs and host; the host alone where there is no GPU."""

    SLOW = True

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_devices(frame.run, width, height)


def draw_devices(run: RunState, width: int, height: int) -> list[Row]:
    """The pane at a size: one GPU in full, several as a row each."""
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    hardware = run.hardware
    if hardware is None:
        body = middle([row(Span("No readings yet.", "dim"))], inner_height)
        return framed(title("Devices"), (), body, width, height)
    samples = hardware.devices
    if not samples:
        return framed(_host_title(run), (), _host_rows(run, hardware.host, inner_width, inner_height), width, height)
    if len(samples) > 1:
        rows = [_device_line(sample, inner_width) for sample in samples[: max(1, inner_height - 1)]]
        name = title(f"{len(samples)} GPUs", Span(clean(samples[0].name), "dim"))
    else:
        rows = _device_rows(run, samples[0], inner_width)
        name = title(f"GPU {samples[0].index}", Span(clean(samples[0].name), "dim"))
    history = run.hardware_history[0] if run.hardware_history else HardwareHistory()
    if len(samples) == 1 and inner_height > len(rows) + 3:
        rows += [(), *_history(history, inner_width)]
    host = _host_line(hardware.host, inner_width)
    rows = [*rows[: max(0, inner_height - 1)], host]
    return framed(name, (), rows, width, height)


def _gauge(label: str, fraction: float | None, value: str, width: int, style: str = "bar") -> Row:
    value_width = 20 if width >= 46 else 17
    length = max(3, width - LABEL - value_width - 1)
    return row(cell(label, LABEL, style="dim"), bar(fraction, length, style), " ", cell(value, value_width))


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _of(part: int | None, whole: int | None) -> str:
    if part is None:
        return "–"
    return f"{part / GIB:.1f}/{whole / GIB:.1f} GiB" if whole else format_size(part)


def _device_rows(run: RunState, sample: DeviceSample, width: int) -> list[Row]:
    memory = _ratio(sample.memory_used_bytes, sample.memory_total_bytes)
    rows = [
        _gauge("util", sample.utilization, format_share(sample.utilization), width),
        _gauge("memory", memory, _of(sample.memory_used_bytes, sample.memory_total_bytes), width),
        _peak(run, sample.memory_total_bytes, width),
        _gauge("power", _ratio(sample.power_watts, sample.power_limit_watts), _power(sample), width),
        _gauge("temp", _ratio(sample.temperature_celsius, HOTTEST), _temperature(sample), width),
    ]
    clocks = [_clock("sm", sample.sm_clock_mhz), _clock("mem", sample.memory_clock_mhz), _throttling(sample)]
    return [*rows, row(cell("clocks", LABEL, style="dim"), pack(clocks, width - LABEL))]


def _peak(run: RunState, total: int | None, width: int) -> Row:
    """What the allocator had reserved at its highest in the recent steps."""
    steps = run.live_steps
    peak = steps.peak_reserved_bytes if steps is not None else None
    share = _ratio(peak, total)
    free = f" {format_share(1 - share)} free" if share is not None else ""
    return _gauge("peak", share, "–" if peak is None else f"{peak / GIB:.1f} GiB{free}".replace(" %", "%"), width)


def _power(sample: DeviceSample) -> str:
    if sample.power_watts is None:
        return "–"
    limit = f"/{sample.power_limit_watts:.0f}" if sample.power_limit_watts else ""
    return f"{sample.power_watts:.0f}{limit} W"


def _temperature(sample: DeviceSample) -> str:
    return "–" if sample.temperature_celsius is None else f"{sample.temperature_celsius:.0f} °C"


def _clock(name: str, megahertz: int | None) -> Row:
    return row(f"{name} –" if megahertz is None else f"{name} {megahertz} MHz")


def _throttling(sample: DeviceSample) -> Row:
    if sample.throttled is None:
        return ()
    return row(Span("! throttled", "warn")) if sample.throttled else row(Span("not throttled", "dim"))


def _device_line(sample: DeviceSample, width: int) -> Row:
    memory = _ratio(sample.memory_used_bytes, sample.memory_total_bytes)
    length = max(3, min(20, (width - 32) // 2))
    used = _of(sample.memory_used_bytes, sample.memory_total_bytes)
    share = cell(format_share(sample.utilization), 6, right=True)
    pieces = [
        row(Span(f"{sample.index} ", "dim"), bar(sample.utilization, length), share),
        row(bar(memory, length), cell(used, 15, right=True)),
        row(cell(_power(sample), 9, right=True)),
        row(cell(_temperature(sample), 6, right=True)),
    ]
    return pack(pieces, width, gap=" ")


def _history(history: HardwareHistory, width: int) -> list[Row]:
    room = width - 14
    return [
        row(cell(f"{name} 10 min", 14, style="dim"), Span(sparkline(_last(values, room), room, top=1.0), "history"))
        for name, values in (("util", history.utilization), ("mem ", history.memory_fraction))
        if any(value is not None for value in values)
    ]


def _last(values: Sequence[float | None], width: int) -> Sequence[float | None]:
    """Ten minutes, in as many columns as there are: neighbours are taken together."""
    group = -(-len(values) // max(1, width))
    pieces = [values[i : i + group] for i in range(0, len(values), group)] if group else []
    known = [[value for value in piece if value is not None] for piece in pieces]
    return [sum(piece) / len(piece) if piece else None for piece in known]


def _host_line(host: HostSample, width: int) -> Row:
    load = "–" if host.load_1m is None else f"{host.load_1m:.1f}" + (f"/{host.cores}" if host.cores else "")
    pieces = [
        row(f"cpu {format_share(host.cpu_fraction)}"),
        row(f"rss {format_size(host.rss_bytes)}"),
        row(f"load {load}"),
        row(f"disk {_rate(host.disk_write_bytes_per_second)}"),
    ]
    return row(cell("host", LABEL, style="dim"), pack(pieces, width - LABEL, gap="  "))


def _rate(bytes_per_second: float | None) -> str:
    return "–" if bytes_per_second is None else f"{format_size(int(bytes_per_second))}/s"


def _host_title(run: RunState) -> Row:
    name = clean(run.devices[0].name) if run.devices else ""
    return title("Host", Span(name or "no GPU", "dim"))


def _host_rows(run: RunState, host: HostSample, width: int, height: int) -> list[Row]:
    steps = run.live_steps
    peak = steps.peak_allocated_bytes if steps is not None else None
    limit = run.study.memory_limit_bytes if run.study is not None else None
    total = None
    if host.rss_bytes is not None and host.memory_available_bytes is not None:
        total = host.rss_bytes + host.memory_available_bytes
    load = (
        "–"
        if host.load_1m is None
        else f"{format_count(host.load_1m)}" + (f" on {host.cores} cores" if host.cores else "")
    )
    rows = [
        _gauge("cpu", host.cpu_fraction, format_share(host.cpu_fraction), width),
        _gauge("load", _ratio(host.load_1m, host.cores), load, width),
        _gauge("worker", _ratio(host.rss_bytes, total), format_size(host.rss_bytes), width),
        _gauge("peak", _ratio(peak, limit), _of(peak, limit), width),
        row(cell("memory", LABEL, style="dim"), f"{format_size(host.memory_available_bytes)} available"),
        row(cell("disk", LABEL, style="dim"), pack(
            [
                row(f"{format_size(host.disk_free_bytes)} free"),
                row(f"write {_rate(host.disk_write_bytes_per_second)}"),
                row(f"read {_rate(host.disk_read_bytes_per_second)}"),
            ],
            width - LABEL,
        )),
    ]  # fmt: skip
    if height > len(rows) + 1:
        rows += [(), row(Span("No GPU was found: trials and training run on the CPU.", "dim"))]
    return rows[:height]
