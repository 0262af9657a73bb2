"""Real tiny trainings that are interrupted and go on."""

from __future__ import annotations

import random
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from speedtui.engine.config.settings import Settings
from speedtui.engine.log.clock import RunClock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.prepared import make_trainable
from speedtui.engine.workload import Workload
from speedtui.engine.workload.base import token_counts
from tests.engine.workload.small import CPU, load


class Recorded(MeteredTrainer):
    """Keeps the loss of every micro-batch and the learning rate after every step, by step."""

    losses: dict[int, list[float]]
    rates: dict[int, float]

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.losses.setdefault(self.state.global_step + 1, []).append(float(loss))
        return loss


class AfterStep(TrainerCallback):
    """Saves after some steps; evaluates after every one where asked to."""

    def __init__(self, rates: dict[int, float], saves: Container[int], *, evaluates: bool) -> None:
        self._rates, self._saves, self._evaluates = rates, saves, evaluates

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._rates[state.global_step] = kwargs["lr_scheduler"].get_last_lr()[0]
        control.should_save, control.should_evaluate = state.global_step in self._saves, self._evaluates


def make_recorded(
    settings: Settings, workload: Workload, folder: Path, *, saves: Container[int] = (), evaluates: bool = False,
    kind: type[Recorded] = Recorded,
) -> Recorded:  # fmt: skip
    """As the training makes its trainer, without a schedule."""
    rates: dict[int, float] = {}
    arguments = training_arguments(settings, folder, CPU)
    arguments.save_total_limit = None
    set_seed(settings.train.seed)  # a new adapter's weights are random
    trainer = kind(
        model=make_trainable(workload.model, settings), args=arguments, train_dataset=workload.train_dataset,
        eval_dataset=workload.eval_dataset, data_collator=workload.collator, processing_class=workload.tokenizer,
        callbacks=[AfterStep(rates, saves, evaluates=evaluates)],
        meter=Meter(PhaseClock(), RunClock(), lambda step: None, token_counts=token_counts),
    )  # fmt: skip
    trainer.losses, trainer.rates = {}, rates
    return trainer


def train_whole(settings: Settings, folder: Path, saves: Container[int], *, evaluates: bool = False) -> Recorded:
    """From the first step to the last."""
    trainer = make_recorded(settings, load(settings), folder, saves=saves, evaluates=evaluates)
    trainer.train()
    return trainer


def train_resumed(settings: Settings, folder: Path, step: int, *, evaluates: bool = False) -> Recorded:
    """From the checkpoint of a step to the last, as in a new process."""
    trainer = make_recorded(settings, load(settings), folder, evaluates=evaluates)
    scramble()
    trainer.train(resume_from_checkpoint=str(folder / f"checkpoint-{step}"))
    return trainer


def scramble() -> None:
    """Random numbers as a new process has them: others."""
    random.seed(), np.random.seed(), torch.seed()


def differences(whole: Recorded, resumed: Recorded, step: int) -> list[str]:
    """What is not the same, bit for bit, in a training that was resumed after `step`."""
    found = []
    rest = {at: losses for at, losses in whole.losses.items() if at > step}
    if resumed.losses != rest:
        first = next(at for at in sorted({*rest, *resumed.losses}) if rest.get(at) != resumed.losses.get(at))
        found.append(f"losses from step {first}: {resumed.losses.get(first)} instead of {rest.get(first)}")
    if resumed.rates != {at: rate for at, rate in whole.rates.items() if at > step}:
        found.append("learning rates")
    own, other = whole.model.state_dict(), resumed.model.state_dict()
    strange = [name for name in own if not torch.equal(own[name], other[name])]
    if strange:
        found.append(f"weights: {strange[0]} and {len(strange) - 1} more")
    return found
