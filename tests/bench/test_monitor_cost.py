"""What the Monitor costs a core and a connection while it replays a training at its own pace."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from figures import keep, table
from pseudo_terminal import Terminal, Traffic
from synthetic import write_recording

SETTLE_SECONDS, MEASURED_SECONDS, STRETCHES = 4.0, 6.0, 3
LENGTH = 24
"""Seconds of the recording: what is measured, and some to settle."""
IDLE_AFTER_SECONDS, IDLE_SECONDS = 4.0, 5.0
RATE_HZ = 2.0
REQUIRED_CPU_SHARE = 0.03
REQUIRED_KIB = {(140, 40): 12.0, (80, 24): 6.0}
SPEEDTUI = str(Path(sys.executable).with_name("speedtui"))


def test_the_monitor_is_cheap_and_silent_when_nothing_changes(tmp_path: Path) -> None:
    figures, rows = [], []
    for columns, lines in REQUIRED_KIB:
        recording = write_recording(tmp_path / f"{columns}", LENGTH)
        stretches, idle = watch(recording.path, columns, lines)
        share = sum(s.cpu_seconds for s in stretches) / sum(s.seconds for s in stretches)
        rate = sum(s.bytes for s in stretches) / 1024 / sum(s.seconds for s in stretches)
        figures.append({
            "columns": columns, "rows": lines, "cpu_share": share, "kib_per_second": rate, "idle_bytes": idle.bytes,
            "idle_cpu_share": idle.cpu_seconds / idle.seconds, "idle_seconds": idle.seconds,
            "required_kib_per_second": REQUIRED_KIB[columns, lines],
            "stretches": [{"seconds": s.seconds, "bytes": s.bytes, "cpu_seconds": s.cpu_seconds} for s in stretches],
        })  # fmt: skip
        rows.append([f"{columns}x{lines} at {RATE_HZ:g} Hz", f"{share:.2%}", rate, idle.bytes,
                     f"{idle.cpu_seconds / idle.seconds:.2%}"])  # fmt: skip
    print(table(["Monitor", "of a core", "KiB/s", f"bytes in {IDLE_SECONDS:g} s idle", "idle CPU"], rows))
    keep("monitor_cost", {"rate_hz": RATE_HZ, "required_cpu_share": REQUIRED_CPU_SHARE, "figures": figures})
    for figure in figures:
        assert figure["idle_bytes"] == 0, figure
        assert figure["kib_per_second"] <= figure["required_kib_per_second"], figure
        assert figure["cpu_share"] <= REQUIRED_CPU_SHARE, figure


def watch(recording: Path, columns: int, lines: int) -> tuple[list[Traffic], Traffic]:
    """Traffic while the training goes on, and after its end."""
    command = [SPEEDTUI, "replay", str(recording), "--speed", "1", "--rate", f"{RATE_HZ:g}"]
    terminal = Terminal(command, columns, lines)
    try:
        painted = terminal.read(30, until=b"Monitor")
        if b"Monitor" not in painted:
            pytest.fail(f"no screen: {painted[-2000:]!r}")
        began = time.monotonic()
        terminal.read(SETTLE_SECONDS)
        stretches = [terminal.measure(MEASURED_SECONDS) for _ in range(STRETCHES)]
        assert time.monotonic() - began < LENGTH
        terminal.read(LENGTH - (time.monotonic() - began) + IDLE_AFTER_SECONDS)
        return stretches, terminal.measure(IDLE_SECONDS)
    finally:
        terminal.kill()
