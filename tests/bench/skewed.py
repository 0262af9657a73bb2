"""Texts of skewed lengths and a model on which length matters, for the benches of predicted time."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.demo.corpus import WORDS, samples
from speedtui.engine.demo.model import save_model
from speedtui.engine.events import Job
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState

MEDIAN, SPREAD, LONGEST = 70, 0.9, 512
"""Tokens, and the standard deviation of their logarithm: the longest of 256 is about ten times the median."""
ROWS, EVAL_ROWS = 256, 48
MICRO, EFFECTIVE = 4, 8
"""64 micro-batches an epoch, in 32 steps."""
CPU = torch.device("cpu")


def material(folder: Path, seeds: int) -> Path:
    """The demo's model, and training and evaluation texts for each seed."""
    folder.mkdir(parents=True, exist_ok=True)
    save_model(folder / "model", (text for pair in samples(400, 1) for text in pair), 3)
    for seed in range(seeds):
        _write_texts(folder / f"train{seed}.jsonl", ROWS, 2 * seed)
        _write_texts(folder / f"eval{seed}.jsonl", EVAL_ROWS, 2 * seed + 1)
    return folder


def _write_texts(path: Path, rows: int, seed: int) -> None:
    chance = random.Random(seed)
    counts = [max(4, min(LONGEST, round(chance.lognormvariate(math.log(MEDIAN), SPREAD)))) for _ in range(rows)]
    path.write_text("".join(json.dumps({"text": " ".join(chance.choices(WORDS, k=n))}) + "\n" for n in counts))


def skewed_settings(folder: Path, seed: int, *, schedule: ScheduleSettings, grouped: bool = False) -> Settings:
    """One epoch over the seed's texts, all weights trained."""
    return Settings(
        model=ModelSettings(path=str(folder / "model")),
        data=DataSettings(
            train=str(folder / f"train{seed}.jsonl"), eval=str(folder / f"eval{seed}.jsonl"), text="text",
            max_length=LONGEST,
        ),
        train=TrainSettings(
            epochs=1, effective_batch_size=EFFECTIVE, micro_batch_size=MICRO, method="full", seed=seed,
            group_by_length=grouped, learning_rate=1e-3,
        ),
        schedule=schedule,
    )  # fmt: skip


@contextmanager
def clock(name: str) -> Iterator[None]:
    """`cpu`: every clock of the program counts CPU seconds of this process, so that foreign load is left out.

    What waits, for a disk or for a loader's worker, then takes no time.
    """
    wall = time.perf_counter, time.perf_counter_ns
    if name == "cpu":
        time.perf_counter, time.perf_counter_ns = time.process_time, time.process_time_ns
    try:
        yield
    finally:
        time.perf_counter, time.perf_counter_ns = wall


@contextmanager
def job(folder: Path, settings: Settings, name: Job) -> Iterator[JobContext]:
    """A job's context in this process, with its own folder and log."""
    folder.mkdir(parents=True)
    log = EventLog(folder / "events.jsonl", RunClock())
    order = Order(job=name, started_at=time.time())
    try:
        yield JobContext(RunFolder(folder), settings, order, log, RunState(), frozenset())
    finally:
        log.close()
