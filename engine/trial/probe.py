"""The two probes of a trial: the most memory it can need, and how fast it runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import torch
from accelerate.state import AcceleratorState
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from speedtui.engine.candidate import Measurement, Memory, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.events import Probe
from speedtui.engine.meter.device import device_clock
from speedtui.engine.meter.memory import LiveStorages, PeakRss, allocator_peaks
from speedtui.engine.meter.meter import Meter
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.batches import Rows, plan_probe
from speedtui.engine.trial.failures import TrialEnded
from speedtui.engine.trial.judgement import Judgement
from speedtui.engine.workload.base import MapDataset, Workload, count_tokens

MEMORY_STEPS = 2
"""The second step has the optimizer's state."""
MICRO_STEPS = 2
"""Micro-steps in a probe's step where there is accumulation: one writes the gradients, one adds to them."""
WARMUP_ROOM, LEAST_ROOM = 0.5, 4
"""Micro-batches for warm-up before the probe is over in any case: a share of those to be measured, and at least."""


class ProbeSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What both probes of a trial need."""

    context: JobContext
    workload: Workload
    model: nn.Module
    """As it is trained: with its adapter, if any."""
    settings: Settings
    """With the candidate's in them."""
    device: torch.device
    trial: int
    check: Callable[[], None]
    """Called at every step boundary; raises to end the trial."""

    @property
    def accumulation(self) -> int:
        """Micro-batches an optimizer step of the training."""
        return self.settings.train.effective_batch_size // self.settings.train.micro_batch_size

    @property
    def probe_accumulation(self) -> int:
        """Micro-batches an optimizer step of a probe."""
        return min(self.accumulation, MICRO_STEPS)


def memory_probe(setup: ProbeSetup, limit_bytes: int | None) -> Memory:
    """Two steps on the longest sample duplicated, one pad token in each micro-batch.

    Raises:
        TrialEnded: the CUDA allocator only managed by giving back its cache.
    """
    micro = setup.settings.train.micro_batch_size
    stress = setup.workload.stress_dataset(micro, MEMORY_STEPS * setup.probe_accumulation, setup.context.progress)
    longest = setup.workload.facts.longest_tokens
    if setup.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(setup.device)
        retries_before = allocator_peaks()[2]
        _run(setup, "memory", stress, MEMORY_STEPS, None)
        allocated, reserved, retries = allocator_peaks()
        if retries > retries_before:
            raise TrialEnded(TrialStatus.OUT_OF_MEMORY, "the allocator had to give back its cache to find room")
        return Memory(
            peak_allocated_bytes=allocated, peak_reserved_bytes=reserved, limit_bytes=limit_bytes,
            longest_tokens=longest,
        )  # fmt: skip
    rss = PeakRss()
    rss.reset()
    with LiveStorages([*setup.model.parameters(), *setup.model.buffers()]) as storages:
        _run(setup, "memory", stress, MEMORY_STEPS, None)
    return Memory(
        peak_allocated_bytes=storages.peak_bytes, peak_rss_bytes=rss.read(), limit_bytes=limit_bytes,
        longest_tokens=longest,
    )  # fmt: skip


def throughput_probe(setup: ProbeSetup, best: Measurement | None) -> tuple[Measurement, bool]:
    """Micro-batches at representative lengths until enough of them are steady; and whether it loses to `best`."""
    workload, train, search = setup.workload, setup.settings.train, setup.settings.search
    accumulation = setup.probe_accumulation
    room = max(math.ceil(search.batches * WARMUP_ROOM), LEAST_ROOM)
    steps = math.ceil((search.batches + room) / accumulation)
    plan = plan_probe(
        workload.lengths, len(workload.train_dataset), train.micro_batch_size, steps * accumulation, train.seed
    )
    judgement = Judgement(
        plan=plan,
        batches=search.batches,
        micro_batch_size=train.micro_batch_size,
        accumulation=setup.accumulation,
        lengths_known=workload.lengths is not None,
        early_stop=search.early_stop,
        best=best,
    )
    meter = _run(setup, "throughput", Rows(workload.train_dataset, plan.rows), steps, judgement)
    measurement = judgement.measurement(meter.timings or [])
    return measurement, search.early_stop and judgement.loses(measurement)


def _run(setup: ProbeSetup, probe: Probe, dataset: MapDataset, steps: int, judgement: Judgement | None) -> Meter:
    """Trains so many steps on the dataset as it comes, metered; leaves no trace in the process."""
    context = setup.context
    meter = Meter(
        context.phases, context.clock, context.emit, count_tokens=count_tokens, device=device_clock(setup.device),
        trial=setup.trial, probe=probe, keep_timings=judgement is not None,
    )  # fmt: skip
    arguments = training_arguments(
        setup.settings, context.folder.checkpoints, setup.device, max_steps=steps,
        grad_accum_steps=setup.probe_accumulation,
    )  # fmt: skip
    trainer = MeteredTrainer(
        model=setup.model, args=arguments, train_dataset=dataset,
        data_collator=setup.workload.collator, meter=meter,
        in_order=True, callbacks=[_StepCheck(setup, meter, judgement)],
    )  # fmt: skip
    context.log.add_source(meter.pump)
    try:
        trainer.train()
        meter.close(context.log)
    finally:
        context.log.remove_source(meter.pump)
        context.phases.switch_to("other")
        trainer.accelerator.unwrap_model(setup.model, keep_fp32_wrapper=False)
        trainer.accelerator.free_memory()
        # the next trial may want another precision, which accelerate otherwise fixes for the life of the process
        AcceleratorState._reset_state(reset_partial_state=True)
    return meter


class _StepCheck(TrainerCallback):
    """Looks for commands, and whether enough has been measured, after every step."""

    def __init__(self, setup: ProbeSetup, meter: Meter, judgement: Judgement | None) -> None:
        self._setup = setup
        self._meter = meter
        self._judgement = judgement

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._setup.context.poll()
        self._setup.check()
        if self._judgement is None or self._meter.timings is None:
            return
        self._setup.context.log.flush()
        if self._judgement.done(self._meter.timings):
            control.should_training_stop = True
