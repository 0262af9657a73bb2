"""One device, or the host, as rows of bars with their figures."""

from __future__ import annotations

from msgspec import UNSET

from speedtui.engine.events import DeviceSample, HostSample
from speedtui.engine.state import RunState
from speedtui.engine.state.snapshot import FULL_DISK_BYTES, HardwareHistory
from speedtui.engine.units import GIB, format_count, format_share, format_size
from speedtui.tui.drawing.bars import bar, history
from speedtui.tui.drawing.text import Row, Span, cell, clean, pack, row
from speedtui.tui.frame import HISTORY_WORDS, TimeRange

LABEL = 7
HISTORY_LABEL = 14
HOTTEST = 100.0
"""Degrees Celsius at the end of the bar: past where any data-centre GPU slows itself down."""
SHORT, LONG, LONG_WIDTH = 17, 20, 46
"""Cells of a gauge's figures, and of a pane from which on the longer ones find room."""
MOSTLY = 0.5
"""Share of the time from which on waiting for a core is the rule: as a load above the number of cores is."""


def gauge(label: str, fraction: float | None, value: str | Row, width: int) -> Row:
    """Label, bar, figures."""
    room = LONG if width >= LONG_WIDTH else SHORT
    length = max(3, width - LABEL - room - 1)
    return row(cell(label, LABEL, style="dim"), bar(fraction, length), " ", value)


def ratio(part: float | None, whole: float | None) -> float | None:
    """None where either is not known."""
    return part / whole if part is not None and whole else None


def part_of(part: int | None, whole: int | None) -> str:
    """`38.4/79.6 GiB`"""
    if part is None:
        return "–"
    return f"{part / GIB:.1f}/{whole / GIB:.1f} GiB" if whole else format_size(part)


def watts(sample: DeviceSample) -> str:
    """`612/700 W`"""
    if sample.power_watts is None:
        return "–"
    limit = f"/{sample.power_limit_watts:.0f}" if sample.power_limit_watts else ""
    return f"{sample.power_watts:.0f}{limit} W"


def degrees(sample: DeviceSample) -> str:
    """`61 °C`"""
    return "–" if sample.temperature_celsius is None else f"{sample.temperature_celsius:.0f} °C"


def lost(sample: DeviceSample) -> Row:
    """`lost: GPU is lost`, in the driver's words; nothing of one that answers."""
    return row(Span(f"lost: {clean(sample.lost)}", "bad")) if sample.lost else ()


def ran(sample: DeviceSample) -> str:
    """`93 % of the time`, in which a kernel ran: how much of the device it used is another matter."""
    return "–" if sample.utilization is None else f"{format_share(sample.utilization)} of the time"


def device_rows(run: RunState, sample: DeviceSample, width: int, height: int, *, peak: bool = True) -> list[Row]:
    """A device in full; where rows are scarce the clock stands beside the temperature. `peak`: the training's own."""
    if sample.lost:
        return [lost(sample), row(Span("The driver reaches it no more; what ran on it has failed.", "dim"))][:height]
    clocks = height > 5 + peak
    rows = [
        gauge("kernel", sample.utilization, ran(sample), width),
        gauge("memory", ratio(sample.memory_used_bytes, sample.memory_total_bytes),
              part_of(sample.memory_used_bytes, sample.memory_total_bytes), width),
        *([_peak(run, sample.memory_total_bytes, width)] if peak else []),
        gauge("power", ratio(sample.power_watts, sample.power_limit_watts), watts(sample), width),
        gauge("temp", ratio(sample.temperature_celsius, HOTTEST), _heat(sample, clock=not clocks), width),
    ]  # fmt: skip
    if clocks:
        pieces = [_clock("sm", sample.sm_clock_mhz), _clock("mem", sample.memory_clock_mhz), _throttling(sample)]
        rows.append(row(cell("clocks", LABEL, style="dim"), pack(pieces, width - LABEL)))
    return rows


def _heat(sample: DeviceSample, *, clock: bool) -> Row:
    if not clock:
        return row(degrees(sample))
    beside = Span(" ! throttled", "warn") if sample.throttled else _megahertz(sample.sm_clock_mhz)
    return row(degrees(sample), beside)


def _megahertz(clock: int | None) -> str:
    return "" if clock is None else f" {clock} MHz"


def _peak(run: RunState, total: int | None, width: int) -> Row:
    """What the allocator had reserved at its highest in the recent steps."""
    steps = run.live_steps
    peak = steps.peak_reserved_bytes if steps is not None else None
    share = ratio(peak, total)
    free = f" {format_share(1 - share)} free" if share is not None else ""
    return gauge("peak", share, "–" if peak is None else f"{peak / GIB:.1f} GiB{free}".replace(" %", "%"), width)


def _clock(name: str, megahertz: int | None) -> Row:
    return row(f"{name} –" if megahertz is None else f"{name} {megahertz} MHz")


def _throttling(sample: DeviceSample) -> Row:
    if sample.throttled is None:
        return ()
    if sample.throttled:
        return row(Span("! throttled", "warn"))
    return row(Span("at its power limit" if sample.power_capped else "not throttled", "dim"))


def history_rows(past: HardwareHistory, axis: TimeRange, width: int) -> list[Row]:
    """Use and memory over the last minutes."""
    minute = axis == "1m"
    courses = (
        ("kernel", past.minute_utilization.values if minute else past.utilization),
        ("memory", past.minute_memory_fraction.values if minute else past.memory_fraction),
    )
    return [
        row(cell(f"{name} {HISTORY_WORDS[axis]}", HISTORY_LABEL, style="dim"),
            history(values, width - HISTORY_LABEL, top=1.0))
        for name, values in courses
        if any(value is not None for value in values)
    ]  # fmt: skip


def _confined(host: HostSample) -> bool:
    """Whether only a part of the machine may be used; the rest is other people's."""
    return host.machine_cores is not UNSET


def _busy(host: HostSample) -> Span:
    """Whether more wants to run than there are cores for, so that times are not to be trusted.

    In a container by what its own work waits: the machine's load is other people's.
    """
    if _confined(host):
        over = host.cpu_waiting is not UNSET and host.cpu_waiting > MOSTLY
    else:
        over = host.load_1m is not None and host.cores is not None and host.load_1m > host.cores
    return Span(" ! busy" if over else "", "warn")


def _disk_free(host: HostSample) -> Row:
    """What the log and the checkpoints have room in."""
    return row(Span(f"{format_size(host.disk_free_bytes)} free", "bad" if _full(host) else ""))


def _full(host: HostSample) -> bool:
    return host.disk_free_bytes is not None and host.disk_free_bytes < FULL_DISK_BYTES


def host_line(host: HostSample, width: int) -> Row:
    """The machine in one row, beside GPUs."""
    all_cores = host.machine_cores or host.cores
    load = "–" if host.load_1m is None else f"{host.load_1m:.1f}" + (f"/{all_cores}" if all_cores else "")
    cpu = f" of {host.cores}" if _confined(host) else ""
    pieces = [
        row("disk ", _disk_free(host)) if _full(host) else (),
        row(f"cpu {format_share(host.cpu_fraction)}{cpu}", _busy(host) if cpu else ""),
        row(f"rss {format_size(host.rss_bytes)}"),
        row(f"{'host load' if cpu else 'load'} {load}", "" if cpu else _busy(host)),
        row(f"disk {_rate(host.disk_write_bytes_per_second)}"),
    ]
    return row(cell("host", LABEL, style="dim"), pack(pieces, width - LABEL, gap="  "))


def _rate(bytes_per_second: float | None) -> str:
    return "–" if bytes_per_second is None else f"{format_size(int(bytes_per_second))}/s"


def host_rows(run: RunState, host: HostSample, width: int, height: int) -> list[Row]:
    """The machine in full, where there is no GPU."""
    steps = run.live_steps
    peak = steps.peak_allocated_bytes if steps is not None else None
    limit = run.study.memory_limit_bytes if run.study is not None else None
    total = None
    if host.rss_bytes is not None and host.memory_available_bytes is not None:
        total = host.rss_bytes + host.memory_available_bytes
    busy, confined = _busy(host), _confined(host)
    on = f" on {host.cores}{'' if busy.text else ' cores'}" if host.cores else ""
    on = f" on host's {host.machine_cores}" if confined else on
    load = row("–" if host.load_1m is None else f"{format_count(host.load_1m)}{on}", "" if confined else busy)
    cpu = row(format_share(host.cpu_fraction), f" of {host.cores}" if confined else "", busy if confined else "")
    limit_of_all = "" if host.memory_limit_bytes is UNSET else f", limit {format_size(host.memory_limit_bytes)}"
    rows = [
        gauge("cpu", host.cpu_fraction, cpu, width),
        gauge("load", ratio(host.load_1m, host.machine_cores or host.cores), load, width),
        gauge("worker", ratio(host.rss_bytes, total), format_size(host.rss_bytes), width),
        *([gauge("peak", ratio(peak, limit), part_of(peak, limit), width)] if peak is not None else []),
        row(cell("memory", LABEL, style="dim"), f"{format_size(host.memory_available_bytes)} available{limit_of_all}"),
        row(cell("disk", LABEL, style="dim"), pack(
            [
                _disk_free(host),
                row(f"write {_rate(host.disk_write_bytes_per_second)}"),
                row(f"read {_rate(host.disk_read_bytes_per_second)}"),
            ],
            width - LABEL,
        )),
    ]  # fmt: skip
    if height > len(rows) + 1:
        rows += [(), row(Span("No GPU was found: trials and training run on the CPU.", "dim"))]
    return rows[:height]
