"""Tells the log what was loaded."""

from __future__ import annotations

import torch
from torch import nn

from speedtui.engine import events as e
from speedtui.engine.checkpoint.randomness import kept_randomness
from speedtui.engine.config.settings import Settings, TrainSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import ConfigError
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.timing.possible import doubts
from speedtui.engine.trainer.measure_loss import weighing_of
from speedtui.engine.workload.base import DataFacts, Workload
from speedtui.engine.workload.float32 import set_elsewhere
from speedtui.engine.workload.model import attach_lora, detach_lora
from speedtui.engine.workload.quantized import parameter_count, quantized_words


def tell_loaded(context: JobContext, workload: Workload, settings: Settings, seconds: float) -> None:
    """Emits `model_loaded`, and notices of what became of the rows and of steps that depend on the micro-batch.

    `settings`: what it was loaded for.
    """
    facts = workload.facts
    context.loaded = e.ModelLoaded(
        t=context.t,
        model=workload.name,
        parameters=parameter_count(workload.model.parameters()),
        trainable_parameters=trained_parameters(workload.model, settings.train),
        seconds=round(seconds, 3),
        train_rows=facts.train_rows,
        eval_rows=facts.eval_rows or 0,
        longest_tokens=facts.longest_tokens,
        mean_tokens=facts.mean_tokens,
        cut_rows=facts.cut_rows,
        dropped_rows=facts.dropped_rows,
        held_out_rows=facts.held_out_rows,
        longest_target_tokens=facts.longest_target_tokens,
        mean_target_tokens=facts.mean_target_tokens,
        eval_cut_rows=facts.eval_cut_rows,
        eval_dropped_rows=facts.eval_dropped_rows,
    )
    context.emit(context.loaded)
    if settings.model.quantize != "none":
        context.notice(quantized_words(workload.model, settings.model.quantize))
    for text in left_out_words(facts, settings.data.max_length):
        context.notice(text, level="warning")
    if facts.held_out_rows:
        data, seed = context.settings.data, context.settings.train.seed
        context.notice(
            f"held out to evaluate on: {_rows(facts.held_out_rows)} of the training data, which is "
            f"data.validation_share {data.validation_share:g} of it, drawn with train.seed {seed}"
        )
    for note in facts.notes:
        context.notice(note, level="warning")
    if set_elsewhere(device_of(workload.model), tf32=settings.train.tf32):
        text = "something turned TF32 on in this process; train.tf32 is false, so that it is off in trials and training"
        context.notice(text, level="warning", hint="Set train.tf32 = true to have it.")
    for doubt in doubts(settings, workload):
        context.notice(doubt.text, level="warning", hint=doubt.hint)
    if facts.packed_fill is not None:
        packs = f"{facts.train_rows} pack{'' if facts.train_rows == 1 else 's'}, {facts.packed_fill:.0%} full"
        context.notice(f"packed: {_rows(facts.train_samples)} in {packs}; a row of an effective batch is a pack")
    _tell_doubt(context, workload)


def _tell_doubt(context: JobContext, workload: Workload) -> None:
    """Measures the model's loss, before anything else is measured with it."""
    weighing = weighing_of(workload.model, workload.train_dataset, workload.collator)
    release_memory(device_of(workload.model))
    if weighing.doubt:
        hint = "Losses and steps of runs with another micro-batch need not be the same."
        context.notice(f"{workload.name}: {weighing.doubt}", level="warning", hint=hint)


def device_of(model: nn.Module) -> torch.device:
    """Where its weights are; the CPU where it has none."""
    parameter = next(model.parameters(), None)
    return parameter.device if parameter is not None else torch.device("cpu")


def trained_parameters(model: nn.Module, train: TrainSettings) -> int | None:
    """Of the loaded model, how many these settings train: the adapter's, or those that are not frozen.

    The model and what comes after it in random numbers are left as they were. None where no adapter can be attached.
    """
    if train.method == "full":
        return sum(p.numel() for p in model.parameters() if p.requires_grad)
    with kept_randomness():
        try:
            adapted = attach_lora(model, train.lora)
        except ConfigError:
            return None
        try:
            return sum(p.numel() for p in adapted.parameters() if p.requires_grad)
        finally:
            detach_lora(adapted)


def left_out_words(facts: DataFacts, max_length: int) -> list[str]:
    """What of the rows is not learned or not evaluated, a line each; nothing where all of them are, whole."""
    limit = f"cut to data.max_length {max_length}"
    evaluated = (facts.eval_rows or 0) + facts.eval_dropped_rows
    found = (
        (facts.cut_rows, f"{limit}: {_rows(facts.cut_rows)}"),
        (facts.dropped_rows, f"dropped, with nothing to learn from: {_rows(facts.dropped_rows)}"),
        (facts.eval_cut_rows, f"data.eval {limit}: {_rows(facts.eval_cut_rows)}, whose loss is that of what is left"),
        (facts.eval_dropped_rows,
         f"data.eval: {facts.eval_dropped_rows} of {_rows(evaluated)} left out of the loss: nothing of their answer is "
         f"within data.max_length {max_length}"),
    )  # fmt: skip
    return [text for count, text in found if count]


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
