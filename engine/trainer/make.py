"""The trainer of a training, from what it needs."""

from __future__ import annotations

import torch
from torch import nn

from speedtui.engine.checkpoint.store import CheckpointStore
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.evaluate.evaluator import Evaluator
from speedtui.engine.meter.device import device_clock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.timing.eta import Eta
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.diverging import Diverging
from speedtui.engine.trainer.eta_reporter import EtaReporter
from speedtui.engine.trainer.evaluating import Evaluating
from speedtui.engine.trainer.live_settings import LiveSettings
from speedtui.engine.trainer.needless_mask import runs_without_mask
from speedtui.engine.trainer.sampled_busy import SampledBusy
from speedtui.engine.trainer.saving import CheckpointSaver
from speedtui.engine.trainer.schedule import TrainingSchedule
from speedtui.engine.trainer.training import TrainingTrainer
from speedtui.engine.workload.base import Workload, token_counts
from speedtui.engine.workload.evaluation_batch import evaluation_rows

SLOW_DISK_BYTES_PER_SECOND = 100e6
"""What a disk is taken to write before anything was written to it: less than most do, so that time is kept."""
OPTIMIZER_STATES = {"sgd": 1, "adafactor": 1}
"""Times the trained weights that the optimizer's state takes at most; 2 for Adam and its like."""


def make_training_trainer(
    context: JobContext, live: LiveSettings, workload: Workload, model: nn.Module, device: torch.device, *, eta: Eta,
    outlook: EtaReporter, schedule: TrainingSchedule, store: CheckpointStore, evaluator: Evaluator | None,
    rehearses: bool, diverging: Diverging,
) -> TrainingTrainer:  # fmt: skip
    """With the settings as they are now."""
    diverging.watch.begin()
    meter = Meter(
        context.phases, context.clock, outlook.observe, token_counts=token_counts, device=device_clock(device),
        watch=diverging.watch.observe,
    )  # fmt: skip
    return TrainingTrainer(
        model=model,
        args=training_arguments(
            live.current, context.folder.checkpoints, device, eval_rows=evaluation_rows(live.current, workload)
        ),
        train_dataset=workload.train_dataset,
        eval_dataset=workload.eval_dataset,
        data_collator=workload.collator,
        processing_class=workload.tokenizer,
        meter=meter,
        context=context,
        live=live,
        schedule=schedule,
        eta=eta,
        evaluating=Evaluating(context, live, workload, schedule, eta, evaluator, diverging.watch),
        saving=CheckpointSaver(context, schedule, eta, store, diverging.watch),
        diverging=diverging,
        busy=SampledBusy(context, meter, device),
        rehearses=rehearses,
        masked=not runs_without_mask(model, workload, live.current, device),
    )


def save_guess_seconds(model: nn.Module, settings: Settings) -> float:
    """A checkpoint and the final model on a slow disk, before either was ever written."""
    whole = settings.train.method == "full"
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    weights = sum(p.numel() * p.element_size() for p in model.parameters()) if whole else trained
    states = OPTIMIZER_STATES.get(settings.train.optimizer, 2) * trained
    return (2 * weights + states) / SLOW_DISK_BYTES_PER_SECOND
