"""Event logs of whole runs, as a training of an encoder-decoder model writes them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.window import Window
from tests.engine.events_of_a_run import finished, ok, started, study

STARTED_AT = 1_780_000_000.0
STEP_SECONDS = 0.6
EPOCH_STEPS = 60
EVAL_SECONDS = 21.0
SAVE_SECONDS = 4.0
LOAD_SECONDS = 12.0

SETTINGS = {
    "model": {"path": "t5-small", "kind": "seq2seq", "dtype": "float32", "recipe": None},
    "data": {"train": "/data/train.jsonl", "eval": "/data/dev.jsonl", "prompt": "question", "response": "query"},
    "train": {"epochs": 20.0, "effective_batch_size": 32, "micro_batch_size": 8, "method": "full", "lora": {"r": 16}},
    "schedule": {
        "eval_every": "1 epoch",
        "checkpoint_every": "1 epoch",
        "generate": True,
        "beams": 4,
        "metric": "/code/sql.py:execution",
    },
}


def estimate(seconds: float) -> Estimate:
    """One whose terms are those of a training whose evaluations take most of the time."""
    return Estimate(
        p50_seconds=seconds, p90_seconds=seconds * 1.06, total_steps=1200, evals=20, saves=20,
        terms={"load": 0.01 * seconds, "steps": 0.58 * seconds, "evals": 0.34 * seconds, "saves": 0.06 * seconds,
               "final": 0.01 * seconds},
    )  # fmt: skip


class SampleTraining:
    """Writes the events of a training epoch by epoch; `t` is the run's clock."""

    def __init__(self, *, name: str = "t5-small", epochs: int = 20, window: Window | None = None) -> None:
        self.t = 0.0
        self.epochs = epochs
        self.total_steps = epochs * EPOCH_STEPS
        self.phases: dict[str, float] = {}
        self.name = name
        self.window = window

    def spend(self, phase: str, seconds: float) -> None:
        self.phases[phase] = self.phases.get(phase, 0.0) + seconds
        self.t += seconds

    def books(self) -> e.Books:
        return e.Books(
            wall=round(self.t, 6), phases=dict(self.phases), unaccounted=round(self.t - sum(self.phases.values()), 6)
        )

    def begin(self, restarts: int = 0, first_step: int = 0) -> Iterator[e.AnyEvent]:
        yield started(
            "train", t=self.t, run="20260528-train-t5", started_at=STARTED_AT, host="box", config=SETTINGS,
            window=self.window, restarts=restarts,
            versions={"python": "3.11.9", "speedtui": "0.1.0", "torch": "2.13.0"},
            devices=[e.Device(index=0, kind="cuda", name="NVIDIA H100 80GB HBM3", memory_bytes=80 << 30)],
        )  # fmt: skip
        self.spend("load", LOAD_SECONDS)
        yield e.ModelLoaded(
            t=self.t, model=self.name, parameters=60_506_624, trainable_parameters=60_506_624, seconds=LOAD_SECONDS,
            train_rows=1920, eval_rows=200, longest_tokens=96, mean_tokens=41.5,
        )  # fmt: skip
        yield e.TrainingStarted(
            t=self.t, total_steps=self.total_steps, epochs=float(self.epochs), micro_batch_size=8, grad_accum_steps=4,
            label="mb8 ga4", first_step=first_step,
        )  # fmt: skip

    def step(self, number: int) -> e.StepCompleted:
        seconds = STEP_SECONDS * (1 + 0.08 * math.sin(number / 7))
        shares = {"data": 0.03, "h2d": 0.01, "forward": 0.3, "backward": 0.58, "optimizer": 0.06, "log": 0.02}
        for phase, share in shares.items():
            self.spend(phase, seconds * share)
        return e.StepCompleted(
            t=self.t, step=number, micro_steps=4, samples=32, tokens=1300, padding_tokens=260,
            loss=0.35 + 3.1 * math.exp(-number / 150) + 0.05 * math.sin(number), lr=3e-4, seconds=seconds,
            phases={phase: seconds * share for phase, share in shares.items()},
        )  # fmt: skip

    def evaluate(self, step: int, *, best: bool = True) -> e.EvaluationCompleted:
        phases = {"eval": 3.0, "generate": 12.0, "metric": EVAL_SECONDS - 15.0}
        for phase, seconds in phases.items():
            self.spend(phase, seconds)
        return e.EvaluationCompleted(
            t=self.t, step=step, loss=0.4 + 2.6 * math.exp(-step / 170), seconds=EVAL_SECONDS, rows=200,
            metrics={"execution": 0.8 - 0.7 * math.exp(-step / 300)}, phases=phases, best=best,
        )  # fmt: skip

    def save(self, step: int, *, final: bool = False) -> e.CheckpointSaved:
        self.spend("checkpoint", 1.0)
        self.spend("write", SAVE_SECONDS - 1.0)
        return e.CheckpointSaved(
            t=self.t, step=step, path=f"/runs/r/checkpoints/checkpoint-{step}", bytes=730 << 20, seconds=SAVE_SECONDS,
            write_seconds=SAVE_SECONDS - 1.0, final=final,
        )  # fmt: skip

    def epoch(self, number: int) -> Iterator[e.AnyEvent]:
        """Steps, then the gap with an evaluation and a checkpoint in it."""
        first = (number - 1) * EPOCH_STEPS + 1
        self.spend("first_batch", 0.4)
        for step in range(first, first + EPOCH_STEPS):
            yield self.step(step)
        last = first + EPOCH_STEPS - 1
        yield e.EtaUpdated(
            t=self.t, p50_seconds=(self.total_steps - last) * 1.02, p90_seconds=(self.total_steps - last) * 1.1,
            verdict="on_track" if self.window is not None else None, steps_per_hour=3600 / STEP_SECONDS,
        )  # fmt: skip
        yield self.evaluate(last)
        yield self.save(last)
        self.spend("gap", 0.2)
        if number < self.epochs:
            yield e.SpanCompleted(t=self.t, phase="gap", seconds=EVAL_SECONDS + SAVE_SECONDS + 0.2, step=last)
        yield e.BooksUpdated(t=self.t, books=self.books())

    def end(self, reason: e.EndReason = "steps", steps: int | None = None) -> Iterator[e.AnyEvent]:
        steps = self.total_steps if steps is None else steps
        yield self.save(steps, final=True)
        yield e.TrainingFinished(
            t=self.t, steps=steps, seconds=self.t - LOAD_SECONDS, first_loss=3.31, last_loss=0.36, reason=reason,
            model_path="/runs/r/model", total_steps=self.total_steps,
        )  # fmt: skip
        self.spend("other", 0.3)
        late = reason == "deadline"
        yield e.RunFinished(
            t=self.t, outcome="late" if late else "ok", exit_code=3 if late else 0, books=self.books(),
            next="The model is in /runs/r/model",
        )  # fmt: skip


def whole_training(epochs: int = 20, *, name: str = "t5-small", window: Window | None = None) -> list[e.AnyEvent]:
    """From start to end, without trouble."""
    run = SampleTraining(epochs=epochs, name=name, window=window)
    return [
        *run.begin(),
        *(event for number in range(1, epochs + 1) for event in run.epoch(number)),
        *run.end(),
    ]


def killed_training(epochs: int = 3, *, steps_after: int = 30) -> list[e.AnyEvent]:
    """Its worker died in the middle of an epoch, and nobody was there to say so."""
    run = SampleTraining(epochs=20)
    events = [*run.begin(), *(event for number in range(1, epochs + 1) for event in run.epoch(number))]
    return [*events, *(run.step(epochs * EPOCH_STEPS + n) for n in range(1, steps_after + 1))]


def study_alone() -> list[e.AnyEvent]:
    """Two trials, nothing trained."""
    books = e.Books(wall=30.0, phases={"load": 10.0, "forward": 8.0, "backward": 11.0, "other": 1.0}, unaccounted=0.0)
    return [
        started("tune", started_at=STARTED_AT, run="20260528-tune"), study(0, 1), finished(0, ok(40)),
        finished(1, ok(55)),
        e.StudyFinished(t=29.0, best=1), e.RunFinished(t=30.0, outcome="ok", exit_code=0, books=books),
    ]  # fmt: skip
