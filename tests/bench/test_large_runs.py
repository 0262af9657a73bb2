"""A hundred trials, ten thousand events, a million steps: reading them, drawing them, and the memory that they take."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import builders as b
import msgspec
import psutil
from figures import keep, median_of, table
from recorded import RecordedSession

from speedtui.engine import events as e
from speedtui.engine.state import StateReducer
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.options import ScreenOptions

TRIALS, STEPS, STEPS_A_LINE, EVENTS = 100, 1_000_000, 10, 10_000
SIZE = (140, 40)
FRAMES, WARM_FRAMES = 40, 5
RATE_HZ = 2.0
REQUIRED_CPU_SHARE = 0.03
"""Of a core at that rate, which leaves 15 ms for a frame."""
REQUIRED_RATIO = 4.0
"""CPU of a frame to that of a run which has hardly begun: what is kept is bounded, and charts are as wide as before."""
REQUIRED_LINES_PER_SECOND = 2_000
"""A run of twelve hours writes some 150 000 lines; attaching to it is to take a minute and not an hour at the worst."""
REQUIRED_GROWTH_MIB = 30.0
MIB = 1 << 20
SETTLE_SECONDS = 0.2

SCREENS = {"small training": ("monitor", "trials", "plan", "advisor"), "million steps": ("monitor", "plan", "advisor"),
           "ten thousand events": ("monitor",), "hundred trials": ("trials", "monitor")}  # fmt: skip
BASE = {"hundred trials": "small study"}
"""What each is held against; a small training where nothing else is named."""


def small_training() -> Iterator[e.AnyEvent]:
    yield from b.training_log(100)


def small_study() -> Iterator[e.AnyEvent]:
    yield from b.study_log(finished=True)


def million_steps() -> Iterator[e.AnyEvent]:
    """In lines of ten steps each, with readings between them and an evaluation now and then."""
    t = 100.0
    for event in b.training_log(1):
        if isinstance(event, e.TrainingStarted):
            yield msgspec.structs.replace(event, total_steps=STEPS)
        elif not isinstance(event, e.StepCompleted | e.TrainingFinished):
            yield event
    for number in range(STEPS_A_LINE, STEPS + 1, STEPS_A_LINE):
        t += 0.4
        yield b.coalesced(t, number, STEPS_A_LINE, loss=b.loss_at(number))
        if number % (1000 * STEPS_A_LINE) == 0:
            yield b.hardware(t, wobble=t)
            yield b.eta(t, min(number, 17_999))
            yield e.EvaluationCompleted(t=t, step=number, loss=1.3, seconds=14.2, rows=500)


def ten_thousand_events() -> Iterator[e.AnyEvent]:
    """Each of them a line for a person."""
    yield from b.training_log(100)
    for number in range(EVENTS):
        yield e.Notice(t=200.0 + number / 10, level="warning", text=f"step {number} took 1.9 s: data stall", hint="")


def hundred_trials() -> Iterator[e.AnyEvent]:
    """Every fifth out of memory."""
    log = list(b.study_log())
    started = next(i for i, event in enumerate(log) if isinstance(event, e.StudyStarted))
    many = [b.candidate(number, 1 + number % 16) for number in range(TRIALS)]
    yield from log[:started]
    yield msgspec.structs.replace(log[started], candidates=many)
    t = 20.0
    for number in range(TRIALS):
        seconds = 0.9 - number / 400
        result = b.out_of_memory_result() if number % 5 == 4 else b.ok_result(seconds, 20.0 + number / 2)
        for event in b.trial_events(t, number, result, seconds):
            yield event
            t = max(t, event.t)


LOGS = {"small training": small_training, "small study": small_study, "million steps": million_steps,
        "ten thousand events": ten_thousand_events, "hundred trials": hundred_trials}  # fmt: skip


def test_large_runs_stay_within_budget(tmp_path: Path) -> None:
    figures: dict[str, Any] = {name: {"fold": fold_figures(name)} for name in LOGS}
    for name, found in figures.items():
        screens = SCREENS.get(name, ("trials", "monitor"))
        found["draw"] = {screen: draw_figures(name, screen) for screen in screens}
    for name, found in figures.items():
        base = figures[BASE.get(name, "small training")]["draw"]
        for screen, drawn in found["draw"].items():
            drawn["ratio"] = drawn["cpu_ms"].median / base[screen]["cpu_ms"].median
    show(figures)
    keep("large_runs", {"size": SIZE, "rate_hz": RATE_HZ, "required_cpu_share": REQUIRED_CPU_SHARE,
                        "required_ratio": REQUIRED_RATIO, "required_growth_mib": REQUIRED_GROWTH_MIB,
                        "runs": figures})  # fmt: skip
    for name, found in figures.items():
        assert found["fold"]["growth_mib"] <= REQUIRED_GROWTH_MIB, (name, found["fold"])
        assert found["fold"]["lines_per_second"] >= REQUIRED_LINES_PER_SECOND, (name, found["fold"])
        for screen, drawn in found["draw"].items():
            assert drawn["ratio"] <= REQUIRED_RATIO, (name, screen, drawn)
            assert drawn["cpu_share"] <= REQUIRED_CPU_SHARE, (name, screen, drawn)


def fold_figures(name: str) -> dict[str, Any]:
    """Decoding and folding a log's lines, as attaching to it does; memory from a tenth of it on."""
    lines = sum(1 for _ in LOGS[name]())
    folder, process = StateReducer(), psutil.Process()
    gc.collect()
    memory: list[int] = []
    used = 0.0
    for number, event in enumerate(LOGS[name]()):
        line = e.encode(event)
        began = time.process_time()
        known = e.decode(line)
        assert known is not None
        folder.apply(known)
        used += time.process_time() - began
        if number % max(lines // 50, 1) == 0:
            folder.snapshot()
            memory.append(process.memory_info().rss)
    settled = memory[len(memory) // 10 :]
    return {
        "lines": lines, "seconds": used, "lines_per_second": lines / used,
        "growth_mib": (max(settled) - settled[0]) / MIB, "snapshot_ms": snapshot_ms(folder),
    }  # fmt: skip


def snapshot_ms(folder: StateReducer) -> float:
    """CPU of a picture of the run, which each frame begins with."""
    last = b.hardware(1e6)
    used = []
    for _ in range(20):
        folder.apply(last)
        began = time.process_time()
        folder.snapshot()
        used.append(time.process_time() - began)
    return statistics.median(used) * 1e3


def draw_figures(name: str, screen: str) -> dict[str, Any]:
    """CPU of a frame in which everything is drawn, from the snapshot to the bytes."""
    *most, last = LOGS[name]()
    session = RecordedSession(most)
    found = median_of([seconds * 1e3 for seconds in asyncio.run(frames(session, last, screen))])
    return {"cpu_ms": found, "cpu_share": found.median / 1e3 * RATE_HZ}


async def frames(session: RecordedSession, last: e.AnyEvent, screen: str) -> list[float]:
    """CPU seconds of each; a reading of the devices comes before each, so that there is something new to draw."""
    clock = session.snapshot().now
    app = SpeedtuiApp(session, ScreenOptions(start_screen=screen, clock=lambda: clock))  # type: ignore[arg-type]
    used = []
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(SETTLE_SECONDS)
        app.drawing.frozen = True  # no redraw by the clock between the ones that are measured
        session.hear(last)
        for turn in islice(cycle(range(10)), WARM_FRAMES + FRAMES):
            session.hear(b.hardware(clock - b.STARTED_AT + turn, wobble=float(turn)))
            began = time.process_time()
            app.drawing.now()
            await pilot.pause()
            used.append(time.process_time() - began)
    return used[WARM_FRAMES:]


def show(figures: dict[str, Any]) -> None:
    folds = [[name, f["fold"]["lines"], f["fold"]["lines_per_second"], f["fold"]["growth_mib"],
              f["fold"]["snapshot_ms"]] for name, f in figures.items()]  # fmt: skip
    print(table(["read", "lines", "lines/s CPU", "growth MiB", "snapshot ms"], folds))
    draws = [[f"{name}: {screen}", d["cpu_ms"].median, d["cpu_ms"].high, f"{d['cpu_share']:.2%}", d["ratio"]]
             for name, f in figures.items() for screen, d in f["draw"].items()]  # fmt: skip
    print(table([f"draw all of it at {SIZE[0]}x{SIZE[1]}", "CPU ms", "high", f"at {RATE_HZ:g} Hz", "x small"], draws))
