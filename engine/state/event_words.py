"""An event as one line for a person; the screen's event pane and the plain progress lines share it."""

from __future__ import annotations

import types

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialResult, TrialStatus
from speedtui.engine.plan_types import Plan
from speedtui.engine.units import (
    format_count,
    format_figure,
    format_seconds,
    format_share,
    format_size,
    format_span,
    plural,
)

Described = tuple[str, str]
"""(level, text)"""


DECISIONS = {"drop": "dropped", "choose": "next", "keep": "kept", "reject": "rejected", "finish": "search over:"}


KINDS: tuple[tuple[type[e.AnyEvent] | types.UnionType, str], ...] = (
    (e.EvaluationCompleted | e.EvaluationRehearsed, "eval"),
    (e.CheckpointSaved | e.CheckpointFailed, "checkpoint"),
    (e.TrainingStarted | e.TrainingFinished | e.NonFiniteFound | e.FiniteAgain | e.DeviceBusyMeasured, "training"),
    (e.TrialStarted | e.TrialFinished | e.TrialPromoted, "trial"),
    (e.StudyStarted | e.StudyFinished | e.DecisionMade | e.CandidateAdded | e.CandidateEdited | e.CandidateRemoved,
     "study"),
    (e.MemoryPredicted | e.MemoryCalibrated, "memory"),
    (e.SettingsChanged, "settings"),
    (e.CommandApplied | e.CommandRefused | e.Paused | e.Resumed, "command"),
    (e.Stalled | e.WorkerSuspended, "stall"),
    (e.PlanMade, "plan"),
    (e.AdviceGiven | e.LeversFound, "advice"),
    (e.Notice | e.AlertSent | e.EventsDropped, "notice"),
)  # fmt: skip
"""What a line is about, for a filter; all others are of the run itself."""
PHASE_WORDS = {"h2d": "host copy", "first_batch": "first batch"}
"""Where a phase is called otherwise than in the log: batches are copied on a machine without a device, too."""
MARKED = "marked"
"""How the notice of a marked moment begins."""
PREDICTED, TOO_MUCH = "memory ~", "does not fit"
"""Of the line of a trial's predicted peak, and of one above what the device has."""


def kind_of(event: e.AnyEvent) -> str:
    """What its line is about."""
    if isinstance(event, e.Notice) and event.text.startswith(MARKED):
        return "mark"
    return next((kind for types_of, kind in KINDS if isinstance(event, types_of)), "run")


def describe(event: e.AnyEvent) -> Described | None:
    """The line of an event; None for those that come too often to be read."""
    match event:
        case e.RunStarted():
            again = f", restart {event.restarts}" if event.restarts else ""
            return "info", f"run {event.run} started on {event.host}{again}"
        case e.ModelLoaded():
            return "info", (
                f"loaded {event.model}, {format_count(event.parameters)} parameters, {event.train_rows} rows "
                f"in {format_seconds(event.seconds)}"
            )
        case e.StudyStarted() if event.mode == "plan":
            return "info", "each profile is probed"
        case e.StudyStarted():
            queued = plural(len(event.candidates), "candidate") if event.candidates else "chooses as it goes"
            return "info", f"study {event.mode}: {queued}"
        case e.CandidateAdded():
            return "info", f"#{event.candidate.id} added: {event.candidate.label}"
        case e.CandidateEdited():
            return "info", f"#{event.candidate.id} is now {event.candidate.label}"
        case e.CandidateRemoved():
            return "info", f"#{event.trial} deleted"
        case e.TrialStarted():
            return "info", f"#{event.trial} started"
        case e.TrialFinished():
            return describe_result(event.trial, event.result)
        case e.MemoryPredicted():
            return describe_prediction(event)
        case e.MemoryCalibrated():
            return "info", (
                f"#{event.trial} memory: {format_size(event.measured_bytes)} measured, "
                f"{format_size(event.predicted_bytes)} predicted"
            )
        case e.DecisionMade():
            return "info", f"{DECISIONS[event.kind]} {event.what}: {event.reason}"
        case e.PlanMade():
            return "info", f"plan: {plan_words(event.plan)}"
        case e.AdviceGiven():
            return "info", f"advice: {event.advice.lever} ({event.advice.evidence})"
        case e.StudyFinished():
            best = " without a best trial" if event.best is None else f": best is #{event.best}"
            return "info", f"study finished{best}" + (f" ({event.reason})" if event.reason else "")
        case e.TrialPromoted():
            return "info", f"#{event.trial} promoted: the next training uses its settings"
        case e.TrainingStarted():
            return "info", f"training started: {event.label}, {event.total_steps} steps"
        case e.EvaluationCompleted():
            return "warning" if event.nonfinite else "info", describe_evaluation(event)
        case e.EvaluationRehearsed():
            return "info", (
                f"evaluation rehearsed on {event.rows} rows; the whole takes about "
                f"{format_seconds(event.expected_seconds)}"
            )
        case e.CheckpointFailed():
            return "error", (
                f"checkpoint at {event.step} could not be saved: {event.reason}; the training goes on and tries again "
                f"in {format_span(event.retry_seconds)}"
            )
        case e.NonFiniteFound():
            return "error" if event.certain else "warning", describe_nonfinite(event)
        case e.FiniteAgain():
            count = "1 step was" if event.steps == 1 else f"{event.steps} steps were"
            return "info", f"finite again from step {event.step} on; {count} not"
        case e.DeviceBusyMeasured() if event.idle_fraction is not None:
            return (
                "info",
                f"the device is idle for {format_share(event.idle_fraction)} of a step ({event.steps} profiled)",
            )
        case e.LeversFound() if event.levers and event.levers[0].kind == "not_finite":
            lever = event.levers[0]
            return "warning", f"not finite: {lever.lever} ({lever.evidence})"
        case e.LeversFound() if event.levers:
            lever = event.levers[0]
            short = format_span(max(1.0, event.short_seconds))  # nobody is late by 0s
            return "warning", f"late by {short}: {lever.lever} ({lever.evidence})"
        case e.SettingsChanged():
            return "info", describe_change(event)
        case e.Stalled():
            return "error", (
                f"no sign of life for {format_span(event.seconds)} in {event.phase}, where "
                f"{format_span(event.budget_seconds)} is the most expected; the stacks are in worker.log"
            )
        case e.WorkerSuspended():
            return "warning", f"the worker is suspended (SIGSTOP): `kill -CONT -- -{event.pid}` lets it go on"
        case e.ClockMoved():
            return "warning", describe_move(event)
        case e.CheckpointSaved():
            name = "model saved" if event.final else f"checkpoint {event.step}"
            return "info", f"{name}: {format_size(event.bytes)}, {format_seconds(event.seconds)}"
        case e.TrainingFinished():
            return describe_end(event)
        case e.CommandRefused():
            return "warning", f"{event.command.replace('_', ' ')} refused: {event.reason}"
        case e.CommandApplied():
            return ("info", f"{event.command.replace('_', ' ')}: {event.detail}") if event.detail else None
        case e.Paused():
            return "info", "paused"
        case e.Resumed():
            return "info", "resumed"
        case e.WorkerLost():
            after = "; starting it again" if event.restarting else ""
            return "error", f"the worker was lost: {event.reason}{after}"
        case e.Notice():
            return event.level, event.text
        case e.AlertSent():
            return "info", f"alert: {event.alert}"
        case e.EventsDropped():
            return "warning", f"{event.count} events could not be written"
        case e.RunFinished():
            level = {"ok": "info", "stopped": "info", "late": "warning"}.get(event.outcome, "error")
            return level, f"run finished: {event.outcome}" + (f", {event.reason}" if event.reason else "")
        case _:
            return None


def phase_words(phase: str) -> str:
    """What a phase is called for a person."""
    return PHASE_WORDS.get(phase, phase)


def loss_words(event: e.EvaluationCompleted) -> str:
    """`1.187`, `not finite`, or `–` where the model told none."""
    return "not finite" if event.nonfinite else format_figure(event.loss)


def plan_words(plan: Plan) -> str:
    """`balanced, 4h 10m`: what a plan came to."""
    row = plan.row
    total = format_span(row.estimate.p50_seconds) if row is not None and row.estimate is not None else "–"
    return f"{plan.selected}, {total}"


def describe_evaluation(event: e.EvaluationCompleted) -> str:
    """What an evaluation found, in one line."""
    found = [f"loss {loss_words(event)}", *(f"{name} {format_figure(value)}" for name, value in event.metrics.items())]
    found[0] += left_out_words(event)
    if event.unanswered:
        found.append(f"{event.unanswered} of {event.answers} not answered")
    if event.unscored:
        answers = event.answers if event.answers is not None else event.rows
        found.append(f"{event.unscored} of {answers} not scored")
    best = ", the best so far" if event.best else ""
    what = "eval" if event.kind == "full" else "fast eval"
    return f"{what} {event.step}: {', '.join(found)}, {format_seconds(event.seconds)}{best}"


NONFINITE_WORDS: dict[e.NonFinite, str] = {
    "loss": "the loss is not finite", "gradient_norm": "the gradient norm is not finite",
    "weights": "the weights are not finite",
}  # fmt: skip


def describe_nonfinite(event: e.NonFiniteFound) -> str:
    """What is not finite, since when, and what was the last that was."""
    where = f" ({event.where})" if event.where else ""
    last = f", the last finite step is {event.last_finite_step}" if event.last_finite_step is not None else ""
    verdict = ": the training has diverged" if event.certain else ""
    return f"{NONFINITE_WORDS[event.what]}{where} since step {event.since}{last}{verdict}"


def left_out_words(event: e.EvaluationCompleted) -> str:
    """What the loss is not over, such as ` (4 of 10 left out)`; empty where it is over all rows."""
    return f" ({event.left_out} of {event.rows + event.left_out} left out)" if event.left_out else ""


def describe_change(event: e.SettingsChanged) -> str:
    """What is set anew, as it would be typed."""
    written = {path: str(value).lower() if isinstance(value, bool) else value for path, value in event.values.items()}
    values = ", ".join(f"{path} = {'unset' if value == '' else value}" for path, value in written.items())
    return f"from step {event.step} on {values} ({event.reason})"


def describe_end(event: e.TrainingFinished) -> Described:
    """How far a training came, and why no further."""
    if event.reason == "steps":
        return "info", f"training finished: {event.steps} steps in {format_span(event.seconds)}"
    reasons = {"deadline": "the deadline came", "patience": "no better evaluation came", "stop": "it was stopped",
               "diverged": "it diverged"}  # fmt: skip
    of = f" of {event.total_steps}" if event.total_steps is not None else ""
    level = {"deadline": "warning", "diverged": "error"}.get(event.reason, "info")
    return level, (
        f"training finished after {event.steps}{of} steps in {format_span(event.seconds)}: {reasons[event.reason]}"
    )


def describe_prediction(event: e.MemoryPredicted) -> Described:
    """What was predicted of a candidate's memory, or why nothing could be."""
    if event.predicted_bytes is None:
        return "warning", f"memory of {event.label} cannot be predicted: {event.reason}"
    size, largest = format_size(event.predicted_bytes), event.largest_micro_batch_size
    if event.trial is None:
        return "info", f"{event.label}: {PREDICTED}{size}{_most_that_fits(largest, event.effective_batch_size)}"
    limit = event.limit_bytes
    fits = limit is None or event.predicted_bytes <= limit if largest is None else event.micro_batch_size <= largest
    return "info", f"#{event.trial} {PREDICTED}{size}" + ("" if fits else f", {TOO_MUCH}")


def _most_that_fits(largest: int | None, effective: int | None) -> str:
    if largest is None:
        return ""
    if largest == effective:
        return f", even mb{largest} fits, which is the whole effective batch"
    return f", at most mb{largest} fits"


def describe_result(trial: int, result: TrialResult) -> Described:
    """A trial's result in one line."""
    measured = result.measurement
    if result.status is TrialStatus.OK and measured is not None:
        peak = result.memory.peak_bytes if result.memory is not None else None
        return "info", (
            f"#{trial} ok: {format_count(measured.samples_per_second)} samples/s, "
            f"{format_count(measured.tokens_per_second)} tok/s, peak {format_size(peak)}"
        )
    levels = {TrialStatus.FAILED: "error", TrialStatus.PRUNED: "info"}
    return levels.get(result.status, "warning"), f"#{trial} {result.status.value.replace('_', ' ')}: {result.reason}"


def trial_of(event: e.AnyEvent) -> int | None:
    """The candidate that an event is about; None for what concerns the whole run."""
    if isinstance(event, e.CandidateAdded | e.CandidateEdited):
        return event.candidate.id
    trial: int | None = getattr(event, "trial", None)
    return trial


def describe_move(event: e.ClockMoved) -> str:
    """What became of the wall clock, and what follows for the run."""
    long = format_span(abs(event.seconds))
    if event.cause == "slept":
        return f"the machine slept for {long}: no time of the run, but the deadline is that much nearer"
    if event.cause == "suspended":
        return f"the worker was suspended for {long}: no time of the run, but the deadline is that much nearer"
    forward, nearer = ("forward", "nearer") if event.seconds > 0 else ("back", "further away")
    return f"the wall clock was set {forward} by {long}: the deadline is that much {nearer}"
