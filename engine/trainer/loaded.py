"""Tells the log what was loaded."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from speedtui.engine import events as e
from speedtui.engine.config.settings import Settings, TrainSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import ConfigError
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.timing.possible import doubts
from speedtui.engine.trainer.loaders import kept_randomness
from speedtui.engine.trainer.measure_loss import weighing_of
from speedtui.engine.units import plural
from speedtui.engine.workload.base import DataFacts, Workload
from speedtui.engine.workload.float32 import set_elsewhere
from speedtui.engine.workload.model import attach_lora, detach_lora
from speedtui.engine.workload.quantized import parameter_count, quantized_words
from speedtui.engine.workload.targets import AdapterNote, adapter_notes


def tell_loaded(context: JobContext, workload: Workload, settings: Settings, seconds: float) -> None:
    """Emits `model_loaded`, and notices of what became of the rows and of steps that depend on the micro-batch.

    `settings`: what it was loaded for.
    """
    facts, trained = workload.facts, trained_of(workload.model, settings.train)
    context.loaded = e.ModelLoaded(
        t=context.t,
        model=workload.name,
        parameters=parameter_count(workload.model.parameters()),
        trainable_parameters=trained.parameters,
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
            f"held out to evaluate on: {plural(facts.held_out_rows, 'row')} of the training data, which is "
            f"data.validation_share {data.validation_share:g} of it, drawn with train.seed {seed}"
        )
    for note in facts.notes:
        context.notice(note, level="warning")
    if set_elsewhere(device_of(workload.model), tf32=settings.train.tf32):
        text = "something turned TF32 on in this process; train.tf32 is false, so that it is off in trials and training"
        context.notice(text, level="warning", hint="Set train.tf32 = true to have it.")
    for told in trained.notes:
        context.notice(told.text, level="warning" if told.lacking else "info", hint=told.hint)
    for doubt in doubts(settings, workload):
        context.notice(doubt.text, level="warning", hint=doubt.hint)
    if facts.packed_fill is not None:
        packs = f"{plural(facts.train_rows, 'pack')}, {facts.packed_fill:.0%} full"
        context.notice(
            f"packed: {plural(facts.train_samples, 'row')} in {packs}; a row of an effective batch is a pack"
        )
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


class Trained(NamedTuple):
    """What of a model some settings train."""

    parameters: int | None
    """How many: the adapter's, or those that are not frozen; None where no adapter can be attached."""
    notes: list[AdapterNote]
    """What the settings' names for it do not say."""


def trained_of(model: nn.Module, train: TrainSettings) -> Trained:
    """Of the loaded model; it and what comes after it in random numbers are left as they were."""
    if train.method == "full":
        return Trained(_trainable(model), [])
    with kept_randomness():
        try:
            adapted = attach_lora(model, train.lora)
        except ConfigError:
            return Trained(None, [])
        try:
            return Trained(_trainable(adapted), adapter_notes(adapted, train.lora))
        finally:
            detach_lora(adapted)


def _trainable(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def left_out_words(facts: DataFacts, max_length: int) -> list[str]:
    """What of the rows is not learned or not evaluated, a line each; nothing where all of them are, whole."""
    limit = f"cut to data.max_length {max_length}"
    evaluated = (facts.eval_rows or 0) + facts.eval_dropped_rows
    found = (
        (facts.cut_rows, f"{limit}: {plural(facts.cut_rows, 'row')}"),
        (facts.dropped_rows, f"dropped, with nothing to learn from: {plural(facts.dropped_rows, 'row')}"),
        (facts.eval_cut_rows,
         f"data.eval {limit}: {plural(facts.eval_cut_rows, 'row')}, whose loss is that of what is left"),
        (facts.eval_dropped_rows,
         f"data.eval: {facts.eval_dropped_rows:,} of {plural(evaluated, 'row')} left out of the loss: nothing of their "
         f"answer is within data.max_length {max_length}"),
    )  # fmt: skip
    return [text for count, text in found if count]
