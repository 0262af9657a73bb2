"""Answers and their metric, timed with the model of a probe."""

from __future__ import annotations

import traceback

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.context.context import JobStopped
from speedtui.engine.evaluate.evaluator import Evaluator
from speedtui.engine.trainer.answer_costs import AnswerCosts, answer_costs
from speedtui.engine.trial.failures import TrialEnded, describe_failure
from speedtui.engine.trial.probe import ProbeSetup


def measure_answers(setup: ProbeSetup) -> AnswerCosts | None:
    """A few batches written by the real evaluator, a few right answers scored by the real metric in its own process.

    None where the run writes no answers. What could not be measured is a notice, and no price is made up for it.

    Raises:
        JobStopped, TrialEnded: somebody asked for it.
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
        measured = answer_costs(evaluator.timed(setup.model, schedule))
    except JobStopped:
        raise
    except TrialEnded as ended:
        if ended.status is not TrialStatus.TIMED_OUT:
            raise
        measured = AnswerCosts(problem="the budget was spent before")
    except Exception as error:
        traceback.print_exception(error)
        measured = AnswerCosts(problem=describe_failure(error).reason)
        traceback.clear_frames(error.__traceback__)  # which hold the tensors of the batch that failed
    finally:
        evaluator.close()
    if measured.problem:
        what = "the metric's time was" if measured.prompts or measured.row_seconds else "the time of answers was"
        setup.context.warn_once(f"{what} not measured: {measured.problem}")
    return measured


def _look(setup: ProbeSetup, what: str, done: int, total: int | None) -> None:
    setup.context.progress(what, done, total)
    setup.check()
