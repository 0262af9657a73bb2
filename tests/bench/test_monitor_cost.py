"""What the screens cost a core and a line, late in a training of twelve hours on two GPUs that plays at its pace."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from figures import keep, median_of, table
from pseudo_terminal import Terminal, Traffic
from synthetic import write_recording, write_twelve_hours

from speedtui.engine.runs import RunFolder

FROM = "11h"
"""Everything that is kept is full by then."""
RATE_HZ = 2.0
CALM_SHARE, CALM_SECONDS, CALM_PATIENCE_SECONDS = 0.1, 3.0, 120.0
"""A replay reads its log ahead; what is measured begins when that is over."""
STRETCH_SECONDS, STRETCHES = 6.0, 3
BESIDE_SECONDS = 8.0
"""On each of the other screens, and on the Monitor again when all have been open."""
LET_GO_SECONDS, STILL_SECONDS = 2.0, 6.0
SHORT, FAST_SETTLE_SECONDS = 20, 4.0
"""Seconds of a recording that then is over. It makes forty steps a second, so that every figure changes always."""
REQUIRED_CPU_SHARE = 0.03
REQUIRED_KIB = {(140, 40): 8.0, (80, 24): 4.0}
REQUIRED_AGAIN = 1.2
"""Bytes of the Monitor after all screens have been open, to before: hidden screens send nothing."""
OTHERS = {"2": "trials", "3": "plan", "4": "advisor"}
BY_EVENT = ("plan", "advisor")
REQUIRED_BY_EVENT = 0.25
"""Of the Monitor's bytes on screens that are drawn by key or event alone: their header counts on."""
SPEEDTUI = str(Path(sys.executable).with_name("speedtui"))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return write_twelve_hours(tmp_path_factory.mktemp("long"))


def test_the_screens_are_cheap_late_in_a_long_run_and_silent_when_nothing_changes(
    long: RunFolder, tmp_path: Path
) -> None:
    figures = []
    for columns, lines in REQUIRED_KIB:
        found = {"columns": columns, "rows": lines, "required_kib_per_second": REQUIRED_KIB[columns, lines]}
        found |= watch(long.path, columns, lines)
        found |= fast_and_idle(write_recording(tmp_path / f"{columns}", SHORT).path, columns, lines)
        figures.append(found)
        print(table([f"{columns}x{lines} at {RATE_HZ:g} Hz", "of a core", "KiB/s", "bytes"], rows_of(found)))
    keep("monitor_cost", {"rate_hz": RATE_HZ, "from": FROM, "required_cpu_share": REQUIRED_CPU_SHARE,
                          "log_bytes": long.events.stat().st_size, "figures": figures})  # fmt: skip
    for found in figures:
        check(found)


def check(found: dict[str, Any]) -> None:
    monitor = found["monitor"]
    assert found["frozen"]["bytes"] == 0, found
    assert found["idle"]["bytes"] == 0, found
    assert monitor["kib_per_second"] <= found["required_kib_per_second"], found
    assert monitor["cpu_share"] <= REQUIRED_CPU_SHARE, found
    assert found["monitor again"]["kib_per_second"] <= REQUIRED_AGAIN * monitor["kib_per_second"], found
    for name in OTHERS.values():
        assert found[name]["kib_per_second"] <= found["required_kib_per_second"], (name, found)
        assert found[name]["cpu_share"] <= REQUIRED_CPU_SHARE, (name, found)
    for name in BY_EVENT:
        assert found[name]["kib_per_second"] <= REQUIRED_BY_EVENT * monitor["kib_per_second"], (name, found)


def watch(recording: Path, columns: int, lines: int) -> dict[str, Any]:
    """Every screen in turn while the training goes on, then none."""
    command = [SPEEDTUI, "replay", str(recording), "--speed", "1", "--rate", f"{RATE_HZ:g}", "--from", FROM]
    terminal = Terminal(command, columns, lines)
    try:
        require(terminal, b"Monitor", 30)
        calm_after = settle(terminal)
        found: dict[str, Any] = {"monitor": of([terminal.measure(STRETCH_SECONDS) for _ in range(STRETCHES)])}
        found |= {name: on_screen(terminal, key) for key, name in OTHERS.items()}
        found["monitor again"] = on_screen(terminal, "1")
        terminal.type("f")
        terminal.read(LET_GO_SECONDS)
        found["frozen"] = of([terminal.measure(STILL_SECONDS)])
        return {**found, "calm_after_seconds": calm_after}
    finally:
        terminal.kill()


def require(terminal: Terminal, text: bytes, seconds: float) -> None:
    seen = terminal.read(seconds, until=text)
    if text not in seen:
        pytest.fail(f"{text!r} was not seen: {seen[-2000:]!r}")


def settle(terminal: Terminal) -> float:
    """Until it works on nothing but the screen; seconds from the program's start."""
    while time.monotonic() - terminal.started < CALM_PATIENCE_SECONDS:
        if of([terminal.measure(CALM_SECONDS)])["cpu_share"] < CALM_SHARE:
            return time.monotonic() - terminal.started
    pytest.fail(f"it is still busy after {CALM_PATIENCE_SECONDS:g} s")


def on_screen(terminal: Terminal, key: str) -> dict[str, Any]:
    """On the screen of a key, when it has been drawn."""
    terminal.type(key)
    terminal.read(LET_GO_SECONDS)
    return of([terminal.measure(BESIDE_SECONDS)])


def fast_and_idle(recording: Path, columns: int, lines: int) -> dict[str, Any]:
    """A training with fast steps, and after its end, on the Monitor."""
    terminal = Terminal([SPEEDTUI, "replay", str(recording), "--speed", "1"], columns, lines)
    try:
        require(terminal, b"Monitor", 30)
        began = time.monotonic()
        terminal.read(FAST_SETTLE_SECONDS)
        fast = of([terminal.measure(STRETCH_SECONDS) for _ in range(2)])
        terminal.read(SHORT + LET_GO_SECONDS - (time.monotonic() - began))
        return {"fast steps": fast, "idle": of([terminal.measure(STILL_SECONDS)])}
    finally:
        terminal.kill()


def of(stretches: Sequence[Traffic]) -> dict[str, Any]:
    """Rates of all stretches together, and how each one differs."""
    seconds = sum(s.seconds for s in stretches)
    return {
        "cpu_share": sum(s.cpu_seconds for s in stretches) / seconds,
        "kib_per_second": sum(s.bytes for s in stretches) / 1024 / seconds,
        "bytes": sum(s.bytes for s in stretches), "seconds": seconds,
        "kib_per_second_of_each": median_of([s.bytes / 1024 / s.seconds for s in stretches]),
        "cpu_share_of_each": median_of([s.cpu_seconds / s.seconds for s in stretches]),
    }  # fmt: skip


def rows_of(found: dict[str, Any]) -> list[list[Any]]:
    """Of the table that is printed."""
    named = ("monitor", *OTHERS.values(), "monitor again", "frozen", "fast steps", "idle")
    return [[name, f"{found[name]['cpu_share']:.2%}", found[name]["kib_per_second"], found[name]["bytes"]]
            for name in named]  # fmt: skip
