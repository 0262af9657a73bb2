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
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.meter.memory import LiveStorages, release_memory
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.prepared import StateGuard
from speedtui.engine.workload.base import Workload, count_tokens, silent
from speedtui.engine.workload.load import load_workload

FEW, MANY = 10, 50
LEAST_SHARE = 0.8
REQUIRED_SPEED, REQUIRED_MEMORY, REQUIRED_BEST = 0.97, 0.99, 0.03
MICRO, CHECKPOINTING = "train.micro_batch_size", "train.gradient_checkpointing"
CANDIDATES: list[dict[str, Scalar]] = [
    *({MICRO: micro, CHECKPOINTING: checkpointing} for micro in (1, 2, 4, 8) for checkpointing in (False, True)),
    {MICRO: 2, "model.attention": "eager"},
    {MICRO: 4, "model.attention": "eager"},
    {MICRO: 4, "train.optimizer": "sgd"},
    {MICRO: 2, "train.max_grad_norm": 0.0},
]
WATCHED = (1, 3, 6)
"""Candidates whose real batches are followed one by one."""


def test_ten_batches_tell_what_fifty_do(tmp_path: Path) -> None:
    settings = demo_settings(early_stop=False)
    few, many = measure(settings, tmp_path)
    rows, figures = [], []
    for candidate, short, long in zip(CANDIDATES, few, many, strict=True):
        figures.append({"candidate": candidate, "few": speed(short), "many": speed(long), "few_peak": peak(short),
                        "many_peak": peak(long)})  # fmt: skip
        rows.append([name(candidate), speed(short), speed(long), speed(short) / speed(long) - 1, peak(short) / 2**20,
                     peak(long) / 2**20])  # fmt: skip
    speeds = pearson([speed(result) for result in few], [speed(result) for result in many])
    peaks = pearson([peak(result) for result in few], [peak(result) for result in many])
    chosen = max(range(len(few)), key=lambda i: speed(few[i]))
    loss = 1 - speed(many[chosen]) / max(speed(result) for result in many)
    print(table(["candidate", f"{FEW}: samples/s", f"{MANY}: samples/s", "difference", f"{FEW}: peak MiB",
                 f"{MANY}: peak MiB"], rows))  # fmt: skip
    print(f"\ncorrelation of throughput {speeds:.4f}, of peak memory {peaks:.4f}; "
          f"the best by {FEW} is {loss:.2%} slower than the best by {MANY}")  # fmt: skip
    keep("ten_vs_fifty", {"throughput_correlation": speeds, "memory_correlation": peaks, "best_loses": loss,
                          "required": [REQUIRED_SPEED, REQUIRED_MEMORY, REQUIRED_BEST],
                          "candidates": figures})  # fmt: skip
    assert peaks >= REQUIRED_MEMORY
    assert speeds >= REQUIRED_SPEED
    assert loss <= REQUIRED_BEST


def test_every_real_batch_fits_where_the_stress_batch_does(tmp_path: Path) -> None:
    settings = demo_settings()
    chosen = [CANDIDATES[i] for i in WATCHED]
    results = run_study(with_candidates(settings, tmp_path / "watched.json", chosen), tmp_path / "runs").results
    workload = load_workload(settings, device=torch.device("cpu"), report=silent)
    rows, figures = [], []
    for candidate, result in zip(chosen, results, strict=True):
        seen, longest = peak_of_real_batches(with_values(settings, candidate, "bench"), workload, tmp_path)
        rows.append([name(candidate), peak(result) / 2**20, seen / 2**20, seen / peak(result), longest])
        figures.append({"candidate": candidate, "probe_bytes": peak(result), "seen_bytes": seen, "longest": longest})
    print(table(["candidate", "probe MiB", f"{MANY} batches MiB", "share", "longest batch"], rows))
    keep("memory_probe_covers", {"batches": MANY, "candidates": figures})
    assert all(figure["seen_bytes"] <= figure["probe_bytes"] for figure in figures), figures


def measure(settings: Settings, folder: Path) -> tuple[list[TrialResult], list[TrialResult]]:
    """Every candidate with few and with many batches, in one worker, one next to the other and in turns first."""
    entries: list[dict[str, Any]] = []
    for number, candidate in enumerate(CANDIDATES):
        pair = [{**candidate, "search.batches": batches} for batches in (FEW, MANY)]
        entries += pair if number % 2 == 0 else pair[::-1]
    results = run_study(with_candidates(settings, folder / "all.json", entries), folder / "runs").results
    for entry, result in zip(entries, results, strict=True):
        assert result.measurement is not None, result.reason
        # a long warm-up on a busy machine may leave a few less
        assert result.measurement.batches >= LEAST_SHARE * entry["search.batches"], (entry, result.measurement)
    measured = list(zip(entries, results, strict=True))
    return (
        [result for entry, result in measured if entry["search.batches"] == FEW],
        [result for entry, result in measured if entry["search.batches"] == MANY],
    )


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

    with StateGuard().trial(workload, settings) as model:
        release_memory(device)
        log = EventLog(folder / f"{train.micro_batch_size}.jsonl", RunClock())
        meter = Meter(PhaseClock(), log.clock, log.emit, count_tokens=count_tokens)
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
