"""Whether ten batches tell what fifty do, and whether the memory probe's peak covers every batch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from figures import keep, pearson, table
from studies import demo_settings, run_study, with_candidates

from speedtui.engine.candidate import TrialResult
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.hardware.available import device_memory_bytes
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.meter.memory import LiveStorages, release_memory
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.search.start_list import plan_study
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.prepared import StateGuard
from speedtui.engine.workload.base import Workload, silent, token_counts
from speedtui.engine.workload.load import load_workload

FEW, MANY = 10, 50
LEAST_SHARE = 0.8
REQUIRED_SPEED, REQUIRED_MEMORY, REQUIRED_BEST = 0.97, 0.99, 0.03
MICRO, CHECKPOINTING = "train.micro_batch_size", "train.gradient_checkpointing"
WATCHED: list[dict[str, Scalar]] = [
    {MICRO: 1, CHECKPOINTING: True},
    {MICRO: 2, CHECKPOINTING: True},
    {MICRO: 8, CHECKPOINTING: False},
]
"""Candidates whose real batches are followed one by one."""


def test_ten_batches_tell_what_fifty_do(tmp_path: Path) -> None:
    settings = demo_settings(early_stop=False, mode="thorough", memory_limit=None)
    candidates = plan_study(settings, device_memory_bytes()).candidates
    few, many, again = measure(settings, [dict(candidate.values) for candidate in candidates], tmp_path)
    rows, figures = [], []
    for candidate, results in zip(candidates, zip(few, many, again, strict=True), strict=True):
        speeds, peaks = [speed(result) for result in results], [peak(result) for result in results]
        figures.append({"candidate": candidate.label, "samples_per_second": speeds, "peak_bytes": peaks})
        rows.append([candidate.label, *speeds, speeds[0] / speeds[1] - 1, speeds[2] / speeds[1] - 1,
                     peaks[0] / 2**20, peaks[1] / 2**20])  # fmt: skip
    print(table(["candidate", f"{FEW}: samples/s", f"{MANY}", f"{MANY} again", f"{FEW} differs", "again differs",
                 f"{FEW}: peak MiB", f"{MANY}: peak MiB"], rows))  # fmt: skip
    found = {
        "throughput_correlation": pearson([speed(r) for r in few], [speed(r) for r in many]),
        "throughput_correlation_of_repeats": pearson([speed(r) for r in again], [speed(r) for r in many]),
        "memory_correlation": pearson([peak(r) for r in few], [peak(r) for r in many]),
        "best_loses": 1 - speed(many[best_of(few)]) / speed(many[best_of(many)]),
        "best_of_repeat_loses": 1 - speed(many[best_of(again)]) / speed(many[best_of(many)]),
    }
    print("", *(f"{name}: {value:.4f}" for name, value in found.items()), sep="\n")
    required = {"throughput": REQUIRED_SPEED, "memory": REQUIRED_MEMORY, "best_loses": REQUIRED_BEST}
    keep("ten_vs_fifty", {**found, "required": required, "candidates": figures})
    assert found["memory_correlation"] >= REQUIRED_MEMORY
    assert found["throughput_correlation"] >= REQUIRED_SPEED
    assert found["best_loses"] <= REQUIRED_BEST


def test_every_real_batch_fits_where_the_stress_batch_does(tmp_path: Path) -> None:
    settings = demo_settings(memory_limit=None)
    results = run_study(with_candidates(settings, tmp_path / "watched.json", WATCHED), tmp_path / "runs").results
    workload = load_workload(settings, device=torch.device("cpu"), report=silent)
    rows, figures = [], []
    for candidate, result in zip(WATCHED, results, strict=True):
        seen, longest = peak_of_real_batches(with_values(settings, candidate, "bench"), workload, tmp_path)
        rows.append([name(candidate), peak(result) / 2**20, seen / 2**20, seen / peak(result), longest])
        figures.append({"candidate": candidate, "probe_bytes": peak(result), "seen_bytes": seen, "longest": longest})
    print(table(["candidate", "probe MiB", f"{MANY} batches MiB", "share", "longest batch"], rows))
    keep("memory_probe_covers", {"batches": MANY, "candidates": figures})
    assert all(figure["seen_bytes"] <= figure["probe_bytes"] for figure in figures), figures


def measure(settings: Settings, candidates: list[dict[str, Scalar]], folder: Path) -> list[list[TrialResult]]:
    """Every candidate with few, with many and again with many batches, next to each other in one worker.

    The second measure of the many says what correlation this machine's noise leaves to be had.
    """
    entries: list[dict[str, Any]] = []
    turns: list[list[int]] = []
    for number, candidate in enumerate(candidates):
        turn = [(0, FEW), (1, MANY), (2, MANY)][:: 1 if number % 2 == 0 else -1]
        entries += [{**candidate, "search.batches": batches} for _, batches in turn]
        turns.append([which for which, _ in turn])
    results = run_study(with_candidates(settings, folder / "all.json", entries), folder / "runs").results
    sorted_out: list[list[TrialResult]] = [[], [], []]
    for number, turn in enumerate(turns):
        for place, which in enumerate(turn):
            entry, result = entries[3 * number + place], results[3 * number + place]
            assert result.measurement is not None, result.reason
            # a long warm-up on a busy machine may leave a few less
            assert result.measurement.batches >= LEAST_SHARE * entry["search.batches"], (entry, result.measurement)
            sorted_out[which].append(result)
    return sorted_out


def best_of(results: list[TrialResult]) -> int:
    return max(range(len(results)), key=lambda i: speed(results[i]))


def peak_of_real_batches(settings: Settings, workload: Workload, folder: Path) -> tuple[int, int]:
    """(highest bytes of live storages, tokens of the longest batch) over shuffled batches of the training."""
    train = settings.train
    steps = math.ceil(MANY * train.micro_batch_size / train.effective_batch_size)
    device = torch.device("cpu")
    longest = 0

    def collate(samples: list[Any]) -> dict[str, Any]:
        nonlocal longest
        batch = workload.collator(samples)
        longest = max(longest, batch["input_ids"].shape[1])
        return batch

    with StateGuard(torch.device("cpu")).trial(workload, settings) as model:
        release_memory(device)
        log = EventLog(folder / f"{train.micro_batch_size}.jsonl", RunClock())
        meter = Meter(PhaseClock(), log.clock, log.emit, token_counts=token_counts)
        log.add_source(meter.pump)  # else the meter would keep every batch
        trainer = MeteredTrainer(
            model=model, args=training_arguments(settings, folder, device, max_steps=steps),
            train_dataset=workload.train_dataset, data_collator=collate, meter=meter,
        )  # fmt: skip
        with LiveStorages([*model.parameters(), *model.buffers()]) as storages:
            trainer.train()
        log.close()
    return storages.peak_bytes, longest


def speed(result: TrialResult) -> float:
    assert result.measurement is not None
    return result.measurement.samples_per_second


def peak(result: TrialResult) -> int:
    assert result.memory is not None
    assert result.memory.peak_bytes is not None
    return result.memory.peak_bytes


def name(candidate: dict[str, Scalar]) -> str:
    return " ".join(f"{path.rpartition('.')[2]}={value}" for path, value in candidate.items())
