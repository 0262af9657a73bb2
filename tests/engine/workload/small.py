"""Tiny real models, and real trainings of a few steps with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings, TrainSettings
from speedtui.engine.events import StepCompleted
from speedtui.engine.log.clock import RunClock
from speedtui.engine.meter.device import device_clock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.meter.step_record import MicroStep
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.prepared import make_trainable
from speedtui.engine.workload import Workload
from speedtui.engine.workload.base import Batch, silent, token_counts
from speedtui.engine.workload.load import load_workload

CPU = torch.device("cpu")

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2,
}  # fmt: skip

T5: dict[str, Any] = {
    "model_type": "t5", "d_model": 32, "d_ff": 64, "d_kv": 16, "num_layers": 2, "num_decoder_layers": 2,
    "num_heads": 2, "dropout_rate": 0.0,
}  # fmt: skip

BART: dict[str, Any] = {
    "model_type": "bart", "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 64,
    "dropout": 0.0,
}  # fmt: skip


def known(architecture: dict[str, Any]) -> dict[str, Any]:
    """The fields that a model of its type has."""
    default = CONFIG_MAPPING[architecture["model_type"]]()
    return {name: value for name, value in architecture.items() if hasattr(default, name)}


def settings_of(train: Path, *, model: dict[str, Any], data: dict[str, Any] | None = None, **steps: Any) -> Settings:
    """Prompt and response columns, and a full fine-tuning of a few steps."""
    columns = {"prompt": "question", "response": "answer", "max_length": 48, **(data or {})}
    return Settings(
        model=ModelSettings(**model),
        data=DataSettings(train=str(train), **columns),
        train=TrainSettings(**{"method": "full", "effective_batch_size": 2, "learning_rate": 1e-2, **steps}),
    )


def changed(settings: Settings, section: str, **values: Any) -> Settings:
    """With other values in one section."""
    renewed = msgspec.structs.replace(getattr(settings, section), **values)
    return msgspec.structs.replace(settings, **{section: renewed})


def load(settings: Settings, device: torch.device = CPU) -> Workload:
    return load_workload(settings, device=device, report=silent)


class WatchedTrainer(MeteredTrainer):
    """Keeps every micro-batch and its loss."""

    batches: list[dict[str, Any]]
    losses: list[float]

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.batches.append(dict(inputs))
        self.losses.append(float(loss))
        return loss


class SaveAt(TrainerCallback):
    """Saves a checkpoint after one step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        control.should_save = state.global_step == self._step


def make_trainer(
    settings: Settings, workload: Workload, folder: Path, *, save_at: int = 0, device: torch.device = CPU,
    steps: list[StepCompleted] | None = None, **more: Any,
) -> WatchedTrainer:  # fmt: skip
    """As the job `train` makes it, without a schedule; `steps` gets what its meter tells once it is pumped."""
    told = [] if steps is None else steps
    trainer = WatchedTrainer(
        model=make_trainable(workload.model, settings), args=training_arguments(settings, folder, device),
        train_dataset=workload.train_dataset, eval_dataset=workload.eval_dataset, data_collator=workload.collator,
        processing_class=workload.tokenizer, callbacks=[SaveAt(save_at)],
        meter=Meter(PhaseClock(), RunClock(), lambda step: None, token_counts=token_counts, watch=told.append,
                    device=device_clock(device)),
        **more,
    )  # fmt: skip
    trainer.batches, trainer.losses = [], []
    return trainer


def tokens_of(batch: Batch) -> tuple[int, int] | None:
    """(tokens, padding tokens) of a collated batch, as the meter counts them."""
    return MicroStep(0, token_counts(batch), 0).token_counts()


def train(settings: Settings, folder: Path) -> WatchedTrainer:
    """Loads and trains to the end."""
    trainer = make_trainer(settings, load(settings), folder)
    trainer.train()
    return trainer
