"""How a trial steps, and its throughput probe: how fast it runs."""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

import msgspec
from accelerate.state import AcceleratorState

from speedtui.engine.candidate import Curve, Measurement
from speedtui.engine.efficiency import DeviceConditions
from speedtui.engine.events import Probe
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.meter.device import device_clock
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.meter.meter import Meter, StepTiming
from speedtui.engine.meter.profile import PROFILED_STEPS, BusySteps, StepProfile
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.loss_scaling import UNSCALED
from speedtui.engine.trainer.needless_mask import runs_without_mask
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.batches import RowSubset, plan_probe
from speedtui.engine.trial.failures import AllocatorWatch
from speedtui.engine.trial.judgement import ProbeRules
from speedtui.engine.trial.probe_setup import ProbeSetup
from speedtui.engine.trial.step_check import StepCheck
from speedtui.engine.workload.base import MapDataset, token_counts
from speedtui.engine.workload.evaluation_batch import evaluation_rows

PROBE_FOLDER = "probe"
"""Below the run's folder: where a probe saves to see how long that takes; gone afterwards."""
WARMUP_ROOM, LEAST_ROOM = 0.5, 4
"""Micro-batches for warm-up before the probe is over in any case: a share of those to be measured, and at least."""


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What the steps of a probe took."""

    timings: list[StepTiming]
    """Of every step; empty unless they were asked for."""
    start_seconds: float
    """From making the trainer to its first epoch: the optimizer, what accelerate wraps."""
    ended_at: float
    """The run's time at the end of the last of them."""
    busy: BusySteps | None = None
    """Of some steps more; None where none were profiled, or the profile says nothing."""


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """What a throughput probe found."""

    measurement: Measurement
    curve: Curve
    loses: bool
    """Even its optimistic bound is slower than the best so far."""
    start_seconds: float
    warmup_seconds: float
    """What the first micro-steps took longer than others of their length."""
    data_seconds: float
    """Waiting for one micro-batch, by the median."""
    nonfinite_steps: int
    """Whose loss or gradient norm was NaN or infinite."""
    ends_nonfinite: bool
    """The last of them was."""
    peak_reserved_bytes: int | None
    """By the CUDA allocator for lengths that vary, from an empty cache on; None on the CPU."""
    conditions: DeviceConditions | None = None
    """How the device was during the steps that were judged."""


def throughput_probe(
    setup: ProbeSetup, best: Measurement | None, after: Callable[[MeteredTrainer, float], None] | None = None
) -> Throughput:
    """Micro-batches at representative lengths until enough of them are steady.

    `after` gets the trainer when its steps are done, and the seconds of waiting for a micro-batch, unless the
    candidate loses to `best`.

    Raises:
        TrialEnded: the CUDA allocator only managed by giving back its cache.
    """
    workload, train, search = setup.workload, setup.settings.train, setup.settings.search
    accumulation = setup.probe_accumulation
    room = max(math.ceil(search.batches * WARMUP_ROOM), LEAST_ROOM)
    steps = math.ceil((search.batches + room) / accumulation)
    profiled = PROFILED_STEPS if setup.device.type != "cpu" else 0  # the CPU computes in all of its time
    plan = plan_probe(workload, train, search.batches, (steps + profiled) * accumulation)
    judgement = ProbeRules(
        plan=plan,
        batches=search.batches,
        micro_batch_size=train.micro_batch_size,
        accumulation=setup.accumulation,
        lengths_known=workload.lengths is not None,
        early_stop=search.early_stop,
        best=best,
    )
    found: list[Throughput] = []
    allocator = None
    if setup.device.type == "cuda":
        release_memory(setup.device)  # else what the probe before reserved, evaluation included, counts here too
        allocator = AllocatorWatch()

    def judge_steps(trainer: MeteredTrainer, probed: Probed) -> None:
        result = _judged(judgement, probed, setup, allocator)
        found.append(result)
        if after is not None and not result.loses:
            after(trainer, result.data_seconds)

    run_steps(
        setup, "throughput", RowSubset(workload.train_dataset, plan.rows), steps, judgement=judgement,
        after=judge_steps, profiled_steps=profiled,
    )  # fmt: skip
    return found[0]


def _judged(judgement: ProbeRules, probed: Probed, setup: ProbeSetup, allocator: AllocatorWatch | None) -> Throughput:
    measurement = judgement.measurement(probed.timings)
    measurement = msgspec.structs.replace(
        measurement, busy_phases=_busy(measurement.phases, probed.busy), flops=setup.flops
    )
    begun_at = probed.ended_at - judgement.judged_seconds(probed.timings)
    return Throughput(
        measurement=measurement,
        curve=judgement.curve(probed.timings),
        loses=judgement.early_stop and judgement.loses(measurement),
        start_seconds=probed.start_seconds,
        warmup_seconds=judgement.warmup_seconds(probed.timings),
        data_seconds=data_seconds(probed.timings),
        nonfinite_steps=sum(timing.nonfinite for timing in probed.timings),
        ends_nonfinite=probed.timings[-1].nonfinite,
        peak_reserved_bytes=allocator.peaks()[1] if allocator is not None else None,
        conditions=setup.context.readings.conditions(begun_at, probed.ended_at),
    )


def _busy(phases: dict[str, float], busy: BusySteps | None) -> dict[str, float] | None:
    """Busy seconds of a step with these phases, by the shares that the profiled steps had."""
    if busy is None:
        return None
    shares = busy.shares()
    return {name: round(seconds * shares.get(name, 0.0), 9) for name, seconds in phases.items()}


def data_seconds(timings: Sequence[StepTiming]) -> float:
    """Waiting for one micro-batch while the loader runs: the median over steps."""
    return statistics.median(timing.phases["data"] / max(len(timing.micro_steps), 1) for timing in timings)


def run_steps(
    setup: ProbeSetup, probe: Probe, dataset: MapDataset, steps: int, *, judgement: ProbeRules | None = None,
    keep_timings: bool = False, after: Callable[[MeteredTrainer, Probed], None] | None = None, profiled_steps: int = 0,
) -> Probed:  # fmt: skip
    """Trains so many steps on the dataset as it comes, metered; leaves no trace in the process.

    `after` gets the trainer while it still has its optimizer, and what the steps took; `profiled_steps`: made after
    them for a profile, and judged by nobody.
    """
    context = setup.context
    began = working_seconds()
    meter = Meter(
        context.phases, context.clock, context.emit, token_counts=token_counts, device=device_clock(setup.device),
        trial=setup.trial, probe=probe, keep_timings=keep_timings or judgement is not None,
    )  # fmt: skip
    eval_rows = setup.eval_rows or evaluation_rows(setup.settings, setup.workload)
    arguments = training_arguments(
        setup.settings, context.folder.path / PROBE_FOLDER, setup.device, max_steps=steps + profiled_steps,
        grad_accum_steps=setup.probe_accumulation, eval_rows=eval_rows,
    )  # fmt: skip
    profile = StepProfile(meter, context.log) if profiled_steps else None
    checks = StepCheck(setup, meter, judgement, steps, profile)
    trainer = MeteredTrainer(
        model=setup.model, args=arguments, train_dataset=dataset,
        data_collator=setup.workload.collator, meter=meter,
        in_order=True, loss_scale=UNSCALED, callbacks=[checks],
        masked=not runs_without_mask(setup.model, setup.workload, setup.settings, setup.device),
        notice=lambda text: context.notice(text, level="warning"),
    )  # fmt: skip
    context.log.add_source(meter.pump)
    try:
        trainer.train()
        ended_at = checks.judged_at if checks.judged_at is not None else context.t
        busy = checks.end_profile()
        meter.close(context.log)
        probed = Probed(
            timings=meter.timings or [], start_seconds=max(checks.epoch_began - began, 0.0), ended_at=ended_at,
            busy=busy,
        )  # fmt: skip
        if after is not None:
            context.phases.switch_to("other")
            after(trainer, probed)
    except BaseException:
        with suppress(Exception):  # on a broken device this fails as well, and the first error says more
            _take_apart(setup, trainer)
        raise
    finally:
        checks.abandon_profile()
        with suppress(RuntimeError):  # a broken device, which is told already
            meter.close(context.log)
        context.log.remove_source(meter.pump)
        context.phases.switch_to("other")
    _take_apart(setup, trainer)
    return probed


def _take_apart(setup: ProbeSetup, trainer: MeteredTrainer) -> None:
    """All of it, whatever of it fails."""
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, setup.context.folder.path / PROBE_FOLDER, ignore_errors=True)
        # the next trial may want another precision, which accelerate otherwise fixes for the life of the process
        stack.callback(AcceleratorState._reset_state, reset_partial_state=True)
        # else accelerate takes the model for prepared next time: neither autocast nor compiled
        stack.callback(vars(setup.model).pop, "_is_accelerate_prepared", None)
        stack.callback(trainer.accelerator.free_memory)
        trainer.accelerator.unwrap_model(setup.model, keep_fp32_wrapper=False)
