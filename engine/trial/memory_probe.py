"""The memory probe of a trial: the most that training and evaluation can need."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec
import torch
from torch import nn

from speedtui.engine.candidate import Memory, TrialStatus
from speedtui.engine.evaluate.answering import base_of
from speedtui.engine.meter.memory import LiveStorages, PeakRss, allocator_peaks, collected, release_memory
from speedtui.engine.meter.meter import StepTiming
from speedtui.engine.trainer.needless_mask import runs_without_mask
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.batches import RowSubset
from speedtui.engine.trial.failures import AllocatorWatch, TrialEnded
from speedtui.engine.trial.probe import Probed, run_steps
from speedtui.engine.trial.probe_setup import ProbeSetup
from speedtui.engine.workload.evaluation_batch import evaluation_order
from speedtui.engine.workload.failures import is_out_of_memory
from speedtui.engine.workload.kernels import attends_by_sdpa
from speedtui.engine.workload.probe_batch import stress_dataset
from speedtui.engine.workload.quantized import held_tensors

MEMORY_STEPS = 2
"""The second step has the optimizer's state."""
BARE_STEPS = 1
"""More of them, without padding, where attention may take another kernel for it."""


def memory_probe(setup: ProbeSetup, limit_bytes: int | None) -> tuple[Memory, float]:
    """Two steps on the longest sample duplicated, one pad token in each micro-batch, then the longest evaluation batch.

    On CUDA another step without padding may come before the evaluation: which kernel attention takes, and so how much
    it keeps, hangs on whether there is a mask, and either may need the more.

    Returns the peaks and by how many seconds the first step was longer than the second, which is what compiling takes.
    On CUDA it is compiled from nothing: what an earlier trial of this process compiled is forgotten, as the training's
    own process knows nothing of it, and no limit of how often a function is compiled is used up. What Inductor keeps on
    the disk stays, and the training finds it too: it is spared what was compiled here and meets no less, but for the
    graph of its first length, which a later trial may have found there and the training has to compile.

    Raises:
        TrialEnded: the CUDA allocator only managed by giving back its cache, or no single row can be evaluated.
    """
    micro = setup.settings.train.micro_batch_size
    on_cuda, compiled = setup.device.type == "cuda", setup.settings.train.compile
    bare = BARE_STEPS if on_cuda and _mask_decides(setup) else 0
    steps, per_step = MEMORY_STEPS + bare, setup.probe_accumulation
    stress = stress_dataset(setup.workload, micro, steps * per_step, setup.context.progress, bare=bare * per_step)
    if on_cuda and compiled:
        torch.compiler.reset()
    memories: list[Memory] = []
    with _device_peaks(setup.device) if on_cuda else _host_peaks(setup.model) as peaks:

        def evaluate(trainer: MeteredTrainer, _: Probed) -> None:
            memories.append(_with_evaluation(peaks.training(), setup, trainer, peaks, limit_bytes))

        probed = run_steps(setup, "memory", stress, steps, keep_timings=True, after=evaluate)
    if compiled and not on_cuda:
        torch.compiler.reset()  # what ran under the storages' dispatch mode, dynamo would never look at again
    memory = msgspec.structs.replace(
        memories[0], limit_bytes=limit_bytes, longest_tokens=setup.workload.facts.stressed_tokens
    )
    return memory, _first_longer(probed.timings)


def _mask_decides(setup: ProbeSetup) -> bool:
    """Whether some micro-batches of the training have a mask and others none, and attention's kernel hangs on it.

    In compiled steps all have one: transformers does not look at the values of what is traced.
    """
    workload = setup.workload
    if setup.settings.train.compile:
        return False
    varies = workload.packed or setup.settings.train.micro_batch_size > 1
    masked = not runs_without_mask(setup.model, workload, setup.settings, setup.device)
    return varies and masked and attends_by_sdpa(base_of(setup.model))


def _with_evaluation(
    memory: Memory, setup: ProbeSetup, trainer: MeteredTrainer, peaks: PeakReader, limit_bytes: int | None
) -> Memory:
    """With the peak of the loss of the longest rows, by as many rows at a time as fit.

    That they do not all fit is no reason against a candidate: it halves the batch, which the trainer says.
    """
    dataset = setup.workload.eval_dataset
    if dataset is None or not len(dataset):
        return memory
    order = evaluation_order(dataset)

    def longest() -> None:
        trainer.evaluate(eval_dataset=RowSubset(dataset, order[: trainer.args.per_device_eval_batch_size].tolist()))

    while True:
        asked = trainer.args.per_device_eval_batch_size
        peak = _peak_of(longest, peaks)
        rows = trainer.args.per_device_eval_batch_size
        if rows < asked:
            continue  # the peak is that of rows that found no room
        if limit_bytes is None or peak <= limit_bytes or rows == 1:
            return msgspec.structs.replace(memory, evaluation_rows=rows, evaluation_peak_bytes=peak)
        trainer.halve_evaluation()


def _peak_of(evaluate: Callable[[], None], peaks: PeakReader) -> int:
    try:
        return peaks.of(evaluate)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    raise TrialEnded(TrialStatus.OUT_OF_MEMORY, "evaluating its longest row alone ran out of memory")


class PeakReader(Protocol):
    """Reads peaks in the block that it is for."""

    def training(self) -> Memory:
        """Those since the block began."""

    def of(self, run: Callable[[], None]) -> int:
        """That of something run now, in bytes, with all that is there besides."""


@contextmanager
def _device_peaks(device: torch.device) -> Iterator[PeakReader]:
    """The CUDA allocator's own."""
    yield DevicePeaks(device, AllocatorWatch())


@contextmanager
def _host_peaks(model: nn.Module) -> Iterator[PeakReader]:
    """Live tensor storages, the same in each run of the same steps; the resident memory beside them."""
    with collected(), LiveStorages(held_tensors(model)) as storages:
        rss = PeakRss()
        rss.reset()
        yield HostPeaks(storages, rss)


class DevicePeaks:
    """Of a GPU, by its allocator."""

    def __init__(self, device: torch.device, watch: AllocatorWatch) -> None:
        self._device, self._watch = device, watch

    def training(self) -> Memory:
        """Raises `TrialEnded` where the allocator had to give back its cache."""
        allocated, reserved = self._watch.peaks()
        return Memory(peak_allocated_bytes=allocated, peak_reserved_bytes=reserved)

    def of(self, run: Callable[[], None]) -> int:
        """What it reserves, without what the steps before left in its cache."""
        release_memory(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        run()
        return allocator_peaks()[1]


class HostPeaks:
    """Of the host, by the storages that are followed."""

    def __init__(self, storages: LiveStorages, rss: PeakRss) -> None:
        self._storages, self._rss = storages, rss

    def training(self) -> Memory:
        """Storages and resident memory."""
        return Memory(peak_allocated_bytes=self._storages.peak_bytes, peak_rss_bytes=self._rss.read())

    def of(self, run: Callable[[], None]) -> int:
        """Of storages."""
        self._storages.peak_bytes = self._storages.live_bytes
        run()
        return self._storages.peak_bytes


def _first_longer(timings: Sequence[StepTiming]) -> float:
    seconds = [math.fsum(timing.phases.values()) for timing in timings]
    return max(seconds[0] - seconds[1], 0.0) if len(seconds) > 1 else 0.0
