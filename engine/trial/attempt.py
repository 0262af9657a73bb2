"""One trial, from the loaded model back to the loaded model."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from torch import nn

from speedtui.engine.candidate import (
    Candidate,
    Estimate,
    Measurement,
    Memory,
    TrialResult,
    TrialStatus,
)
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobStopped
from speedtui.engine.hardware.limits import too_many_workers
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.timing.estimate import estimate_run
from speedtui.engine.timing.workload_shape import shape_of
from speedtui.engine.trainer.finite import nonfinite_weight
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.batches import RowSubset, plan_probe
from speedtui.engine.trial.costs import cost_key, measure_costs
from speedtui.engine.trial.failures import Failure, TrialEnded, describe_failure
from speedtui.engine.trial.memory_probe import memory_probe
from speedtui.engine.trial.model_host import ModelHost
from speedtui.engine.trial.probe import (
    Throughput,
    data_seconds,
    run_steps,
    throughput_probe,
)
from speedtui.engine.trial.probe_setup import ProbeSetup
from speedtui.engine.units import format_size
from speedtui.engine.workload.evaluation_batch import generation_rows
from speedtui.engine.workload.precision import precision_warning

OVER = 1.02
"""A peak this much over the limit does not fit; below it, what the allocator rounds up and what it shares decide."""
COST_STEPS = 2
"""Before costs are measured anew: the second has the optimizer's state, which a checkpoint holds."""


class Attempt:
    """Probes one candidate; what happens in it is a result."""

    def __init__(self, host: ModelHost, candidate: Candidate, settings: Settings) -> None:
        self._host = host
        self._candidate = candidate
        self._settings = settings
        self._memory: Memory | None = None
        self._found: Throughput | None = None
        self.start = RunCosts()
        """What is known of a run's beginning."""

    def run(self, best: Measurement | None) -> TrialResult:
        failure = self.guarded(lambda: self._probe(best))
        status, reason = TrialStatus.OK, ""
        if failure is not None:
            status, reason = failure.status, failure.reason
        elif self._found is not None and self._found.loses:
            status, reason = TrialStatus.PRUNED, "slower than the best so far even at its optimistic bound"
        unchanged, lost = self._host.guard.unchanged, self._host.guard.lost
        if status is TrialStatus.OK and unchanged is False:
            status, reason = TrialStatus.FAILED, "the base weights were not the same after the trial"
        elif status is TrialStatus.OK and lost:
            status, reason = TrialStatus.FAILED, lost
        found, estimate = self._found, self._estimate()
        return TrialResult(
            status=status,
            reason=reason,
            seconds=0.0,
            measurement=found.measurement if found is not None else None,
            memory=self._with_prediction(),
            full_run_seconds=estimate.p50_seconds if estimate is not None else None,
            estimate=estimate,
            curve=found.curve if found is not None else None,
            base_weights_unchanged=unchanged,
            conditions=found.conditions if found is not None else None,
        )

    def guarded(self, attempt: Callable[[], None]) -> Failure | None:
        """Runs it with its failure told in words: no exception, and so no tensor of its frames, gets out."""
        self._host.guard.begin()
        try:
            attempt()
        except JobStopped:
            raise
        except Exception as error:
            failure = describe_failure(error)
            if failure.poisoned:
                self._host.poisoned = failure.reason
            return failure
        return None

    def measure_costs(self) -> None:
        """Two steps, then an evaluation's batches, an epoch's beginning and the saves."""
        host = self._host
        with host.trial(self._settings) as (workload, model):
            setup = host.probe_setup(self._candidate, self._settings, model)
            count = COST_STEPS * setup.probe_accumulation
            plan = plan_probe(workload, self._settings.train, count, count)
            probed = run_steps(
                setup, "throughput", RowSubset(workload.train_dataset, plan.rows), COST_STEPS, keep_timings=True,
                after=lambda trainer, probed: self._keep_costs(setup, trainer, data_seconds(probed.timings)),
            )  # fmt: skip
        self.start = RunCosts(start_seconds=probed.start_seconds)

    def _probe(self, best: Measurement | None) -> None:
        host = self._host
        with host.trial(self._settings) as (workload, model):
            host.context.warn_once(precision_warning(model, self._settings))
            host.context.warn_once(too_many_workers(self._settings.train.loader_workers))
            setup = host.probe_setup(self._candidate, self._settings, model)
            with host.limit(model):
                self._memory, first_longer = memory_probe(setup, host.context.order.memory_limit_bytes)
            self._check_peak(self._memory)
            self._require_finite(model)
            setup = msgspec.structs.replace(
                setup,
                eval_rows=self._memory.evaluation_rows,
                flops=host.arithmetic.of(model, workload, self._settings),
            )
            found = throughput_probe(setup, best, lambda trainer, data: self._first_costs(setup, trainer, data))
            self._memory = _over_lengths(self._memory, found)
            self._check_peak(self._memory)
            self._found = found
            self._require_finite(model)
            self.start = self._beginning(self._found, first_longer)

    def _require_finite(self, model: nn.Module) -> None:
        """A candidate that diverges within a probe is no winner, however fast; a loss that comes back is told.

        Raises:
            TrialEnded: its weights are not finite, or its last loss was not.
        """
        found, name = self._found, nonfinite_weight(model)
        if name:
            raise TrialEnded(TrialStatus.FAILED, f"it diverged: the weights are not finite ({name})")
        if found is not None and found.ends_nonfinite:
            raise TrialEnded(TrialStatus.FAILED, f"it diverged: {found.nonfinite_steps} losses were not finite")
        if found is not None and found.nonfinite_steps:
            count = "1 loss was" if found.nonfinite_steps == 1 else f"{found.nonfinite_steps} losses were"
            self._host.context.notice(f"#{self._candidate.id}: {count} not finite", level="warning")

    def _beginning(self, found: Throughput, first_longer: float) -> RunCosts:
        """What is slow about the first steps counts as compiling where that is on, and else as starting."""
        if self._settings.train.compile:
            return RunCosts(start_seconds=found.start_seconds, compile_seconds=first_longer + found.warmup_seconds)
        return RunCosts(start_seconds=found.start_seconds + found.warmup_seconds, compile_seconds=0.0)

    def _first_costs(self, setup: ProbeSetup, trainer: MeteredTrainer, data_seconds: float) -> None:
        """Once for each kind of run: the rest of a study goes without. Not after the budget is spent."""
        if cost_key(self._settings) in self._host.costs:
            return
        if self._host.over_budget:
            setup.context.warn_once("the budget was spent before evaluations and checkpoints were measured")
            return
        self._keep_costs(setup, trainer, data_seconds)

    def _keep_costs(self, setup: ProbeSetup, trainer: MeteredTrainer, data_seconds: float) -> None:
        key = cost_key(self._settings)
        before = self._host.costs.get(key)
        answers = before.answers if before is not None else None
        self._host.costs[key] = measured = measure_costs(setup, trainer, data_seconds, answers)
        if answers is None and self._memory is not None and measured.answers is not None:
            rows = measured.answers.most_rows or generation_rows(self._settings, setup.workload)
            peak = measured.answers.peak_bytes
            self._memory = msgspec.structs.replace(
                self._memory, generation_peak_bytes=peak, generation_rows=None if peak is None else rows
            )

    def _check_peak(self, memory: Memory) -> None:
        """The process's first trial has some room beyond the limit, see `CpuLimit`; its peak has none."""
        peak, limit = memory.peak_bytes, memory.limit_bytes
        if self._host.context.order.enforce_limit and peak is not None and limit is not None and peak > limit * OVER:
            reason = f"its peak of {format_size(peak)} is over the limit of {format_size(limit)}"
            raise TrialEnded(TrialStatus.OUT_OF_MEMORY, reason)

    def _with_prediction(self) -> Memory:
        memory = self._memory or Memory(limit_bytes=self._host.context.order.memory_limit_bytes)
        predicted = self._host.predictions.get(self._candidate.id)
        if predicted is None:
            return memory
        return msgspec.structs.replace(memory, predicted_bytes=predicted[0], breakdown=predicted[1])

    def _estimate(self) -> Estimate | None:
        workload = self._host.workload
        if self._found is None or workload is None:
            return None
        return estimate_run(
            self._found.curve,
            shape_of(workload, self._settings),
            self._host.run_costs(self._settings, self.start),
            self._settings.schedule,
            evaluates=workload.eval_dataset is not None,
        )


def _over_lengths(memory: Memory, found: Throughput) -> Memory:
    """With what the allocator reserved for lengths that vary, which may be more than the longest alone needs."""
    reserved = max(found.peak_reserved_bytes or 0, memory.peak_reserved_bytes or 0)
    return msgspec.structs.replace(memory, peak_reserved_bytes=reserved or None)
