"""Runs trials on a model that is loaded once."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import msgspec
import torch
from torch import nn

from speedtui.engine.candidate import Candidate, Measurement, Memory, TrialResult, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext, JobStopped
from speedtui.engine.meter.limit import CpuLimit
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.search.candidates import apply_candidate
from speedtui.engine.trainer.loaded import tell_loaded
from speedtui.engine.trainer.steps import training_steps
from speedtui.engine.trial.failures import Failure, TrialEnded, describe_failure
from speedtui.engine.trial.prepared import StateGuard
from speedtui.engine.trial.probe import ProbeSetup, memory_probe, throughput_probe
from speedtui.engine.units import format_size
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.load import load_workload
from speedtui.engine.workload.recipe import rebuild_needed

OVER = 1.02
"""A peak this much over the limit does not fit; below it, what the allocator rounds up and what it shares decide."""
RETURNED = 1 << 20
"""Bytes a trial may leave allocated on a GPU; more means something still holds its tensors."""


class TrialRunner:
    """Holds the workload between trials; one thread uses it."""

    def __init__(self, context: JobContext, device: torch.device) -> None:
        self.context = context
        self.device = device
        self.workload: Workload | None = None
        self.loads = 0
        """How often a model was loaded."""
        self._loaded_for: Settings | None = None
        self._guard = StateGuard()
        self._baseline_bytes = 0
        self._stepped = False
        self.poisoned = ""
        """Why this process can run no further trial; empty while it can."""
        self.stop_trial: int | None = None
        """The trial somebody asked to stop."""
        self.deadline: float | None = None
        """Of the study's budget, on `time.monotonic`."""

    def load(self, settings: Settings) -> Workload:
        """The workload for these settings: the one in memory where it serves, else loaded now.

        Raises:
            SpeedtuiError: the model or the data cannot be used.
        """
        if (
            self.workload is not None
            and self._loaded_for is not None
            and not rebuild_needed(self._loaded_for, settings)
        ):
            return self.workload
        self.workload, self._loaded_for = None, None
        self._guard.forget()
        gc.unfreeze()
        release_memory(self.device)
        started = time.perf_counter()
        with self.context.phases.phase("load"):
            workload = load_workload(settings, device=self.device, report=self.context.progress)
        self.workload, self._loaded_for = workload, settings
        self.loads += 1
        gc.freeze()  # what is loaded stays: else each of a trial's collections walks through all of torch again
        if self.device.type == "cuda":
            self._baseline_bytes = torch.cuda.memory_allocated(self.device)
        tell_loaded(self.context, workload, time.perf_counter() - started)
        return workload

    def run(self, candidate: Candidate, best: Measurement | None) -> TrialResult:
        """Tries a candidate; whatever happens in it is a result.

        Raises:
            JobStopped: the job is to end.
            SpeedtuiError: the model or the data of the run cannot be used.
        """
        started = time.perf_counter()
        settings = apply_candidate(candidate, self.context.settings)
        result = _Attempt(self, candidate, settings).run(best)
        release_memory(self.device)
        self._check_returned()
        return msgspec.structs.replace(result, seconds=round(time.perf_counter() - started, 3))

    def limit(self, model: nn.Module) -> AbstractContextManager[None]:
        """The memory limit made real for the length of a memory probe, where the user set one.

        It includes the weights. What the probe survives no batch of the data exceeds, so the rest goes without.
        """
        order = self.context.order
        if not order.enforce_limit or order.memory_limit_bytes is None:
            return nullcontext()
        if self.device.type == "cpu":
            release_memory(self.device)
            first, self._stepped = not self._stepped, True
            return CpuLimit(order.memory_limit_bytes, resident_bytes=_weight_bytes(model), first=first)
        total = torch.cuda.get_device_properties(self.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, order.memory_limit_bytes / total), self.device)
        return nullcontext()

    def check_trial(self, candidate: Candidate) -> None:
        """Raises `TrialEnded` where somebody stopped the trial or the budget is spent."""
        if self.stop_trial == candidate.id:
            self.stop_trial = None
            raise TrialEnded(TrialStatus.PRUNED, "stopped by hand")
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TrialEnded(TrialStatus.TIMED_OUT, "the study's budget was spent during this trial")

    def _check_returned(self) -> None:
        if self.device.type == "cuda" and torch.cuda.memory_allocated(self.device) > self._baseline_bytes + RETURNED:
            self.poisoned = "a trial's tensors were still on the device after it"


class _Attempt:
    """One trial from the loaded model back to the loaded model."""

    def __init__(self, runner: TrialRunner, candidate: Candidate, settings: Settings) -> None:
        self._runner = runner
        self._candidate = candidate
        self._settings = settings
        self._memory: Memory | None = None
        self._measurement: Measurement | None = None
        self._loses = False

    def run(self, best: Measurement | None) -> TrialResult:
        failure = self._guarded(lambda: self._probe(best))
        status, reason = TrialStatus.OK, ""
        if failure is not None:
            status, reason = failure.status, failure.reason
            if failure.poisoned:
                self._runner.poisoned = failure.reason
        elif self._loses:
            status, reason = TrialStatus.PRUNED, "slower than the best so far even at its optimistic bound"
        unchanged = self._runner._guard.unchanged
        if status is TrialStatus.OK and unchanged is False:
            status, reason = TrialStatus.FAILED, "the base weights were not the same after the trial"
        return TrialResult(
            status=status,
            reason=reason,
            seconds=0.0,
            measurement=self._measurement,
            memory=self._memory or Memory(limit_bytes=self._runner.context.order.memory_limit_bytes),
            full_run_seconds=self._full_run(),
            base_weights_unchanged=unchanged,
        )

    def _guarded(self, attempt: Callable[[], None]) -> Failure | None:
        """Runs it with its failure told in words: no exception, and so no tensor of its frames, gets out."""
        try:
            attempt()
        except JobStopped:
            raise
        except Exception as error:
            return describe_failure(error)
        return None

    def _probe(self, best: Measurement | None) -> None:
        runner = self._runner
        workload = runner.load(self._settings)
        with runner._guard.trial(workload, self._settings) as model:
            setup = ProbeSetup(
                context=runner.context,
                workload=workload,
                model=model,
                settings=self._settings,
                device=runner.device,
                trial=self._candidate.id,
                check=lambda: runner.check_trial(self._candidate),
            )
            with runner.limit(model):
                self._memory = memory_probe(setup, runner.context.order.memory_limit_bytes)
            self._check_peak(self._memory)
            self._measurement, self._loses = throughput_probe(setup, best)

    def _check_peak(self, memory: Memory) -> None:
        """The process's first trial has some room beyond the limit, see `CpuLimit`; its peak has none."""
        peak, limit = memory.peak_bytes, memory.limit_bytes
        if self._runner.context.order.enforce_limit and peak is not None and limit is not None and peak > limit * OVER:
            reason = f"its peak of {format_size(peak)} is over the limit of {format_size(limit)}"
            raise TrialEnded(TrialStatus.OUT_OF_MEMORY, reason)

    def _full_run(self) -> float | None:
        workload = self._runner.workload
        if self._measurement is None or workload is None:
            return None
        return training_steps(self._settings, workload.facts.train_rows) * self._measurement.step_seconds


def _weight_bytes(model: nn.Module) -> int:
    return sum(tensor.untyped_storage().nbytes() for tensor in (*model.parameters(), *model.buffers()))
