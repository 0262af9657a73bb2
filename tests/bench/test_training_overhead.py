"""What the whole job costs beside the same Trainer alone: `speedtui train --json`, and its training thread's CPU."""

from __future__ import annotations

import copy
import dataclasses
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import torch
from figures import keep, median_of, table
from overhead import CPU, SKIPPED_STEPS, TinyData, TinyModel
from skewed import RunFolder
from studies import demo_settings
from text_to_sql_runs import train
from torch.utils.data import default_collate
from transformers import Trainer

from speedtui.engine import events as e
from speedtui.engine.config.load import dump_settings, load_settings
from speedtui.engine.config.settings import ScheduleSettings, Settings, TrainSettings
from speedtui.engine.config.window import Window
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.state import RunState
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.sampler import EpochSampler
from speedtui.engine.workload.base import DataFacts, Workload, silent
from speedtui.engine.workload.load import load_workload

REQUIRED_WALL = 0.02
REQUIRED_MICROSECONDS = 20.0
PAIRS = 8
"""Of processes."""
EPOCHS = 1.0
TURNS, STEPS = 24, 400
"""Of the thread's CPU."""
DEMO_TURNS, DEMO_STEPS = 8, 60
"""Of the process's CPU."""
NOTHING_ELSE = ScheduleSettings(eval_every="never", checkpoint_every="never")


class BareTrainer(Trainer):
    """transformers' own, with the same order of rows: other rows have other lengths, and take another time."""

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler:
        dataset: Any = self.train_dataset
        return EpochSampler(len(dataset), None, seed=self.args.seed, group=None)


# -- wall time, in processes of their own --------------------------------------------------------------


def test_a_training_takes_hardly_longer_than_the_bare_one(tmp_path: Path) -> None:
    settings = demo_settings()
    train_settings = msgspec.structs.replace(settings.train, epochs=EPOCHS)
    schedules = {"steps alone": NOTHING_ELSE, "evaluations and saves": settings.schedule}
    rows, figures = [], {}
    for name, schedule in schedules.items():
        changed = msgspec.structs.replace(settings, train=train_settings, schedule=schedule)
        found = pairs_of(tmp_path / name.replace(" ", "-"), changed)
        figures[name] = found
        rows += [[f"{name}: {key}", value.median, value.low, value.high] for key, value in found["medians"].items()]
    print(table([f"{PAIRS} pairs of processes", "median", "low", "high"], rows))
    keep("training_overhead_wall", {"required": REQUIRED_WALL, "pairs": PAIRS, "figures": figures})
    assert all(found["same_losses"] for found in figures.values()), figures
    assert figures["steps alone"]["medians"]["overhead"].median <= REQUIRED_WALL


def pairs_of(folder: Path, settings: Settings) -> dict[str, Any]:
    """Both ways in turns, each turn in the reverse order of the last."""
    folder.mkdir()
    (folder / "speedtui.toml").write_text(dump_settings(settings))
    ways: dict[str, Callable[[Path], dict[str, Any]]] = {"ours": ours, "bare": bare}
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for turn in range(PAIRS):
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            figures[name].append(ways[name](folder))
    both = list(zip(figures["ours"], figures["bare"], strict=True))
    medians = {
        "ours_s": median_of([one["training"] for one in figures["ours"]]),
        "bare_s": median_of([one["training"] for one in figures["bare"]]),
        "overhead": median_of([one["training"] / other["training"] - 1 for one, other in both]),
        "overhead_of_processes": median_of([one["process"] / other["process"] - 1 for one, other in both]),
    }
    same = {round(one["loss"], 4) for ones in figures.values() for one in ones}
    return {"medians": medians, "runs": figures, "same_losses": len(same) == 1}


def ours(folder: Path) -> dict[str, Any]:
    """Seconds from the training's start to its saved model, and of the process."""
    ran = train(folder)
    started, finished = ran.one(e.TrainingStarted), ran.one(e.TrainingFinished)
    besides = {kind.__name__: sum(x.seconds for x in ran.of(kind))
               for kind in (e.EvaluationRehearsed, e.EvaluationCompleted, e.CheckpointSaved)}  # fmt: skip
    steps = ran.of(e.StepCompleted)
    loss = sum((s.loss or 0.0) * s.steps for s in steps) / sum(s.steps for s in steps)
    return {"training": finished.t - started.t, "process": ran.wall_seconds, "loss": loss, "besides": besides}


def bare(folder: Path) -> dict[str, Any]:
    """The same of this file as a program."""
    out = folder / "bare.json"
    began = time.perf_counter()
    program = [sys.executable, __file__, str(folder / "speedtui.toml"), str(out)]
    paths = os.pathsep.join(
        [str(Path(__file__).parent), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    )
    subprocess.run(program, cwd=folder, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": paths})
    return {"process": time.perf_counter() - began, **json.loads(out.read_text())}


def bare_program(config: Path, out: Path) -> None:
    """Trains, evaluates and saves as the configuration says, by transformers alone."""
    settings = load_settings(config, {})
    workload = load_workload(settings, device=CPU, report=silent)
    arguments = training_arguments(settings, out.with_suffix(""), CPU)
    for what in ("eval", "save"):
        every = settings.schedule.eval_every if what == "eval" else settings.schedule.checkpoint_every
        if every != "never":
            setattr(arguments, f"{what}_strategy", "steps")
            setattr(arguments, f"{what}_steps", int(every.split()[0]))
    began = time.perf_counter()
    trainer = BareTrainer(
        model=workload.model, args=arguments, train_dataset=workload.train_dataset,
        eval_dataset=workload.eval_dataset, data_collator=workload.collator, processing_class=workload.tokenizer,
    )  # fmt: skip
    result = trainer.train()
    trainer.save_model(str(out.with_suffix("")))
    out.write_text(json.dumps({"training": time.perf_counter() - began, "loss": result.training_loss}))


# -- CPU of the training thread, in this process ---------------------------------------------------------


class MarkingModel(TinyModel):
    """Reads the thread's CPU clock in each forward pass: from one to the next is a whole step, whoever makes it."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[int] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
        self.marks.append(time.thread_time_ns())
        return super().forward(input_ids, attention_mask, labels)

    @property
    def microseconds(self) -> float:
        """Of a middling step."""
        marks = self.marks[SKIPPED_STEPS:]
        return statistics.median(later - earlier for earlier, later in pairwise(marks)) / 1e3

    @property
    def mean_microseconds(self) -> float:
        """Of all steps, with what happens in a few only."""
        marks = self.marks[SKIPPED_STEPS:]
        return (marks[-1] - marks[0]) / (len(marks) - 1) / 1e3


def test_the_job_costs_the_training_thread_little_cpu(tmp_path: Path) -> None:
    ways: dict[str, Callable[[Path], MarkingModel]] = {"ours": tiny_job, "bare": tiny_bare}
    for name, way in ways.items():
        way(tmp_path / f"first-{name}")  # what the first run imports and allocates is no step's cost
    gc.collect()
    gc.freeze()
    marked: dict[str, list[MarkingModel]] = {name: [] for name in ways}
    for turn in range(TURNS):
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            marked[name].append(ways[name](tmp_path / f"{turn}-{name}"))
    gc.unfreeze()
    both = list(zip(marked["ours"], marked["bare"], strict=True))
    medians = {
        "ours": median_of([model.microseconds for model in marked["ours"]]),
        "bare": median_of([model.microseconds for model in marked["bare"]]),
        "ours - bare": median_of([one.microseconds - other.microseconds for one, other in both]),
        "ours - bare, means": median_of([one.mean_microseconds - other.mean_microseconds for one, other in both]),
    }
    print(table([f"{TURNS} turns of {STEPS} steps: CPU us a step", "median", "low", "high"],
                [[name, found.median, found.low, found.high] for name, found in medians.items()]))  # fmt: skip
    keep("training_overhead_cpu", {
        "required_microseconds": REQUIRED_MICROSECONDS, "turns": TURNS, "steps": STEPS, "microseconds": medians,
    })  # fmt: skip
    assert medians["ours - bare"].median <= REQUIRED_MICROSECONDS


def tiny_settings() -> Settings:
    """As many steps as the bench counts, one micro-batch each."""
    train_settings = TrainSettings(method="full", micro_batch_size=2, effective_batch_size=2, max_steps=STEPS)
    return Settings(train=train_settings, schedule=NOTHING_ELSE)


def tiny_workload() -> tuple[MarkingModel, Workload]:
    """A model whose step is the trainer's own work."""
    torch.manual_seed(0)
    model = MarkingModel()
    rows = 2 * STEPS
    return model, Workload(
        name="tiny", model=model, tokenizer=None, train_dataset=TinyData(rows), eval_dataset=None,
        collator=default_collate, lengths=None, facts=DataFacts(train_rows=rows), padding="recipe",
    )  # fmt: skip


def tiny_job(folder: Path) -> MarkingModel:
    """The whole job."""
    model, workload = tiny_workload()
    job_in_here(folder, tiny_settings(), workload)
    return model


def tiny_bare(folder: Path) -> MarkingModel:
    """The bare one."""
    model, workload = tiny_workload()
    bare_in_here(folder, tiny_settings(), workload)
    return model


def job_in_here(folder: Path, settings: Settings, workload: Workload) -> None:
    """The job `train` with a deadline to keep, in this process and thread."""
    from speedtui.engine.jobs.train import train as train_job

    folder.mkdir(parents=True)
    log = EventLog(folder / "events.jsonl", RunClock())
    window = Window(deadline=time.time() + 12 * 3600, margin_seconds=60.0)
    order = Order(job="train", started_at=time.time(), window=window)
    try:
        context = JobContext(RunFolder(folder), settings, order, log, RunState(), frozenset())
        train_job(context, settings, workload, CPU, named=("bench",), trial=None, estimate=None, since=0.0)
    finally:
        log.close()


def bare_in_here(folder: Path, settings: Settings, workload: Workload) -> None:
    """transformers' own in its place, with the saved model that the job ends with."""
    collator: Any = workload.collator
    data: Any = workload.train_dataset
    trainer = BareTrainer(
        model=workload.model, args=training_arguments(settings, folder, CPU), train_dataset=data,
        data_collator=collator, processing_class=workload.tokenizer,
    )  # fmt: skip
    trainer.train()
    trainer.save_model(str(folder / "model"))


# -- CPU of all threads, on the demo's model -------------------------------------------------------------


def test_the_job_costs_the_process_little_cpu(tmp_path: Path) -> None:
    """Wall time without a second core, and without what else the machine does."""
    demo = demo_settings()
    settings = msgspec.structs.replace(
        demo, train=msgspec.structs.replace(demo.train, max_steps=DEMO_STEPS), schedule=NOTHING_ELSE
    )
    loaded = load_workload(settings, device=CPU, report=silent)
    ways = {"ours": job_in_here, "bare": bare_in_here}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-1, DEMO_TURNS):  # the first turn warms up
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            workload = dataclasses.replace(loaded, model=copy.deepcopy(loaded.model))
            gc.collect()
            began = time.process_time()
            ways[name](tmp_path / f"{turn}-{name}", settings, workload)
            if turn >= 0:
                seconds[name].append(time.process_time() - began)
    overhead = median_of([one / other - 1 for one, other in zip(seconds["ours"], seconds["bare"], strict=True)])
    medians = {**{name: median_of(values) for name, values in seconds.items()}, "overhead": overhead}
    rows = [[name, found.median, found.low, found.high] for name, found in medians.items()]
    print(table([f"{DEMO_TURNS} turns of {DEMO_STEPS} steps: CPU s of all threads", "median", "low", "high"], rows))
    keep("training_overhead_process_cpu", {
        "required": REQUIRED_WALL, "turns": DEMO_TURNS, "steps": DEMO_STEPS, "seconds": seconds, "overhead": overhead,
    })  # fmt: skip
    assert overhead.median <= REQUIRED_WALL


if __name__ == "__main__":
    bare_program(Path(sys.argv[1]), Path(sys.argv[2]))
