"""Answers and their metric, timed with the model of a probe."""

from __future__ import annotations

import traceback

import msgspec

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.context.context import JobStopped
from speedtui.engine.evaluate.evaluator import Evaluator
from speedtui.engine.evaluate.prompts import answer_limits, answer_steps
from speedtui.engine.meter.memory import allocator_peaks, release_memory, reset_peaks
from speedtui.engine.output import warn_traceback
from speedtui.engine.trainer.answer_costs import AnswerCosts, answer_costs
from speedtui.engine.trial.failures import TrialEnded, describe_failure
from speedtui.engine.trial.probe_setup import ProbeSetup
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.failures import is_broken

FAR_ABOVE = 1.25
"""Times the longest right answer: a limit from there on is told."""


def measure_answers(setup: ProbeSetup) -> AnswerCosts | None:
    """A few batches written by the real evaluator, a few right answers scored by the real metric in its own process.

    None where the run writes no answers. What could not be measured is a notice, and no price is made up for it.

    Raises:
        JobStopped, TrialEnded: somebody asked for it.
        RuntimeError: the device is broken.
    """
    schedule = setup.settings.schedule
    if not schedule.generate or schedule.eval_every == "never" or not len(setup.workload.eval_dataset or ()):
        return None
    evaluator = Evaluator(
        setup.settings, setup.workload, setup.device, phases=setup.context.phases,
        report=lambda what, done, total: _look(setup, what, done, total), notice=setup.context.warn_once,
    )  # fmt: skip
    try:
        evaluator.prepare()
        if setup.device.type == "cuda":
            release_memory(setup.device)  # what the steps have left in the allocator's cache is none of theirs
            reset_peaks()
        measured = answer_costs(evaluator.timed(setup.model, schedule))
        if setup.device.type == "cuda":
            measured = msgspec.structs.replace(measured, peak_bytes=allocator_peaks()[1])
        setup.context.warn_once(beams_go_on(setup.workload, schedule))
    except JobStopped:
        raise
    except TrialEnded as ended:
        if ended.status is not TrialStatus.TIMED_OUT:
            raise
        measured = AnswerCosts(problem="the budget was spent before")
    except Exception as error:
        if is_broken(error):
            raise
        warn_traceback(error)
        measured = AnswerCosts(problem=describe_failure(error).reason)
        traceback.clear_frames(error.__traceback__)  # which hold the tensors of the batch that failed
    finally:
        evaluator.close()
    if measured.problem:
        what = "the metric's time was" if measured.prompts or measured.row_seconds else "the time of answers was"
        setup.context.warn_once(f"{what} not measured: {measured.problem}")
    return measured


def beams_go_on(workload: Workload, schedule: ScheduleSettings) -> str:
    """What a limit far above the right answers costs a search with beams, in a sentence; empty where it is nothing."""
    limits = answer_limits(workload, schedule) if schedule.beams > 1 else None
    steps = answer_steps(workload, schedule) if limits is not None else None
    if limits is None or steps is None or not len(steps):
        return ""
    longest, most = int(steps.max()), int(limits.max())
    if most < longest * FAR_ABOVE:
        return ""
    return (
        f"with {schedule.beams} beams a batch of answers may be written on to {most} tokens "
        f"(schedule.max_new_tokens), though the longest right answer has {longest}: a lower limit makes evaluations "
        "shorter"
    )


def _look(setup: ProbeSetup, what: str, done: int, total: int | None) -> None:
    setup.context.progress(what, done, total)
    setup.check()
