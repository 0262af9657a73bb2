"""The trainers whose steps are compared: the bare one, the metered one, and the metered one with a silent meter.

Used by the bench and, on a GPU, by tests/gpu/check.py.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import msgspec
import torch
from figures import Median, median_of
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from speedtui.engine.config.settings import Settings, TrainSettings
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.meter.device import device_clock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.metered_steps import MeteredSteps
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.workload.base import token_counts

CPU = torch.device("cpu")
WIDTH, TOKENS, ROWS = 16, 8, 2
SKIPPED_STEPS = 20
"""Of each run: what is allocated once."""


class TinyModel(nn.Module):
    """So little to compute that a step is the trainer's own work.

    Its forward takes any keyword, as those of transformers' models do: for these the Trainer counts label tokens.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(64, WIDTH)
        self.head = nn.Linear(WIDTH, 64)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | None = None, **kwargs: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """input_ids, attention_mask, labels: (rows, tokens), int64; `num_items_in_batch`: label tokens of the step."""
        logits = self.head(self.embedding(input_ids)).flatten(0, 1)
        if num_items_in_batch is None:
            return {"loss": nn.functional.cross_entropy(logits, labels.flatten())}
        return {"loss": nn.functional.cross_entropy(logits, labels.flatten(), reduction="sum") / num_items_in_batch}


class UncountedModel(TinyModel):
    """The same loss without those keywords, as a hand-written model's forward: the Trainer counts nothing for it."""

    def forward(  # type: ignore[override]  # fewer arguments on purpose
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, Any]:
        """As of `TinyModel`."""
        return super().forward(input_ids, attention_mask, labels)


class TinyData:
    """Equal samples; making one costs next to nothing."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        tokens = torch.arange(TOKENS)
        self._sample = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": tokens}

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: int, /) -> dict[str, torch.Tensor]:
        return self._sample


def tiny_arguments(folder: Path, steps: int, accumulation: int, device: torch.device = CPU) -> TrainingArguments:
    """Those of a speedtui training of so many steps."""
    train = TrainSettings(method="full", micro_batch_size=ROWS, effective_batch_size=ROWS * accumulation)
    return training_arguments(Settings(train=train), folder, device, max_steps=steps)


class Watch(TrainerCallback):
    """Reads the thread's CPU clock at the end of each step; the first of all callbacks in every arm alike."""

    def __init__(self) -> None:
        self._step_ends_ns: list[int] = []
        self._process_ns: list[int] = []

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._step_ends_ns.append(time.thread_time_ns())
        if state.global_step in (SKIPPED_STEPS, state.max_steps):
            self._process_ns.append(time.process_time_ns())

    @property
    def microseconds(self) -> float:
        """CPU of the training thread for a middling step; what happens in a few steps only is left out."""
        ends = self._step_ends_ns[SKIPPED_STEPS - 1 :]
        return statistics.median(later - earlier for earlier, later in pairwise(ends)) / 1e3

    @property
    def beside_microseconds(self) -> float:
        """CPU of all other threads, a step."""
        ends = self._step_ends_ns[SKIPPED_STEPS - 1 :]
        whole = self._process_ns[-1] - self._process_ns[0]
        return (whole - (ends[-1] - ends[0])) / (len(ends) - 1) / 1e3


class Arm(Protocol):
    """One way to train."""

    beside_microseconds: float
    """CPU of all other threads in the last run, a step."""

    def trainer(self, arguments: TrainingArguments, watch: Watch) -> Trainer:
        """A trainer that is ready."""

    def close(self) -> None:
        """No more runs."""


class BareArm:
    """transformers.Trainer as it is."""

    beside_microseconds = 0.0

    def __init__(self, model: type[TinyModel] = TinyModel) -> None:
        self._model = model

    def trainer(self, arguments: TrainingArguments, watch: Watch) -> Trainer:
        return Trainer(**{**_common(arguments, watch), "model": self._model()})

    def close(self) -> None:
        """Nothing is held."""


class MeteredArm:
    """The engine's trainer, with its log's pump thread at work."""

    beside_microseconds = 0.0

    def __init__(self, log: Path, device: torch.device = CPU) -> None:
        self._log = EventLog(log, RunClock())
        self._device = device
        self._meter: Meter | None = None

    def trainer(self, arguments: TrainingArguments, watch: Watch) -> Trainer:
        return MeteredTrainer(**_common(arguments, watch), meter=self.new_meter())

    def new_meter(self) -> Meter:
        """Which the log's pump thread looks at, and no other any more."""
        if self._meter is not None:
            self._log.remove_source(self._meter.pump)
        self._meter = Meter(
            PhaseClock(), self._log.clock, self._log.emit, token_counts=token_counts, device=device_clock(self._device)
        )
        self._log.add_source(self._meter.pump)
        return self._meter

    def close(self) -> None:
        self._log.close()


class PlainMeteredTrainer(MeteredSteps, Trainer):
    """A program's own trainer as `speedtui run` makes it."""


class PlainMeteredArm(MeteredArm):
    """transformers.Trainer as it is, with the meter in front."""

    def trainer(self, arguments: TrainingArguments, watch: Watch) -> Trainer:
        trainer = PlainMeteredTrainer(**_common(arguments, watch))
        trainer.follow(self.new_meter())
        return trainer


class SilentMeter(Meter):
    """A meter whose calls do nothing, so that what is left is the trainer's own difference."""

    def data(self) -> None:
        return

    def micro_step(self, batch: Mapping[str, Any]) -> None:
        return

    def micro_step_done(self, loss: torch.Tensor) -> None:
        return

    def step_done(self, step: int, lr: float | None) -> None:
        return

    def epoch_ended(self) -> None:
        return

    def _boundary(self, phase: int) -> None:
        return


class SilentArm:
    """The engine's trainer without its meter."""

    beside_microseconds = 0.0

    def trainer(self, arguments: TrainingArguments, watch: Watch) -> Trainer:
        meter = SilentMeter(PhaseClock(), RunClock(), lambda step: None, token_counts=token_counts)
        return MeteredTrainer(**_common(arguments, watch), meter=meter)

    def close(self) -> None:
        """Nothing is held."""


def microseconds_a_step(arm: Arm, arguments: TrainingArguments) -> float:
    """CPU of the training thread."""
    watch = Watch()
    arm.trainer(arguments, watch).train()
    arm.beside_microseconds = watch.beside_microseconds
    return watch.microseconds


def compare(arms: Mapping[str, Arm], arguments: TrainingArguments, turns: int) -> dict[str, list[float]]:
    """Microseconds a step of each arm, run after run in turns, each turn in the reverse order of the last."""
    for arm in arms.values():
        microseconds_a_step(arm, arguments)  # what the first run imports and allocates is no step's cost
    gc.collect()
    gc.freeze()  # a trainer collects garbage several times a run, and would walk through all of torch
    costs: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(turns):
        for name in list(arms) if turn % 2 == 0 else list(arms)[::-1]:
            costs[name].append(microseconds_a_step(arms[name], arguments))
    gc.unfreeze()
    return costs


def _common(arguments: TrainingArguments, watch: Watch) -> dict[str, Any]:
    rows = arguments.max_steps * arguments.gradient_accumulation_steps * ROWS
    torch.manual_seed(0)
    return {"model": TinyModel(), "args": arguments, "train_dataset": TinyData(rows), "callbacks": [watch]}


class CallCosts(msgspec.Struct, frozen=True, kw_only=True):
    """CPU microseconds a step."""

    whole_step: Median
    """All the meter's calls."""
    callback: Median
    """And what the step-end callback asks the learning-rate schedule."""


def call_costs(accumulation: int, *, blocks: int = 40, steps: int = 500, device: torch.device = CPU) -> CallCosts:
    """The sequence of the meter's calls in a loop, the buffer emptied between blocks as the pump does."""
    meter = Meter(PhaseClock(), RunClock(), lambda step: None, token_counts=token_counts, device=device_clock(device))
    batch = {"input_ids": torch.ones(ROWS, TOKENS, dtype=torch.int64)}
    loss = torch.zeros((), device=device)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    with_schedule, alone = [], []
    for _ in range(blocks):
        for kept, asked in ((alone, False), (with_schedule, True)):
            began = time.thread_time_ns()
            for step in range(steps):
                _one_step(meter, step, batch, loss, accumulation, schedule if asked else None)
            kept.append((time.thread_time_ns() - began) / steps / 1e3)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            meter.pump(False)
    return CallCosts(whole_step=median_of(alone), callback=median_of(with_schedule))


def _one_step(
    meter: Meter, step: int, batch: dict[str, torch.Tensor], loss: torch.Tensor, accumulation: int, schedule: Any
) -> None:
    meter.data()
    meter.data_done()
    for _ in range(accumulation):
        meter.micro_step(batch)
        meter.forward()
        meter.backward()
        meter.micro_step_done(loss)
    meter.optimizer()
    meter.step_done(step, float(schedule.get_last_lr()[0]) if schedule is not None else 1e-3)
