"""Figures of a report as a person reads them; text and page share them."""

from __future__ import annotations

from datetime import datetime

from speedtui.engine.events import EndReason, EvaluationCompleted, ModelLoaded
from speedtui.engine.report.record import AccuracyGrade, EstimateComparison, TrainingReport
from speedtui.engine.row_counts import row_words
from speedtui.engine.state import Totals, TrainingState
from speedtui.engine.state.event_words import left_out_words, loss_words
from speedtui.engine.timing.verdict import FinalVerdict
from speedtui.engine.units import (
    format_figure,
    format_flops,
    format_seconds,
    format_share,
    format_span,
    plural,
    zone_beside,
)

END_WORDS: dict[EndReason, str] = {
    "steps": "all steps done",
    "deadline": "ended by the deadline",
    "patience": "ended early: no better evaluation within patience",
    "stop": "stopped on request",
    "diverged": "failed: it diverged",
}
VERDICT_WORDS: dict[FinalVerdict, str] = {"on_track": "in time", "tight": "in time, the margin used", "late": "late"}
JUDGEMENT_WORDS: dict[AccuracyGrade, str] = {
    "goal": "within the goal of 95-105 %",
    "good": "good (85-115 %), outside the goal of 95-105 %",
    "off": "off: 85-115 % is called good",
}


def clock(seconds: float, beside: float | None = None) -> str:
    """Time of day; with its date where it is another day than `beside`, and its zone where that has another offset.
    Both in seconds since the epoch."""
    moment = datetime.fromtimestamp(seconds)
    same_day = beside is not None and datetime.fromtimestamp(beside).date() == moment.date()
    return (f"{moment:%H:%M}" if same_day else f"{moment:%Y-%m-%d %H:%M}") + zone_beside(seconds, beside)


def end_words(report: TrainingReport) -> str:
    """Why it ended."""
    if report.end_reason is not None:
        return END_WORDS[report.end_reason]
    return {"stopped": "stopped", "failed": "failed"}.get(report.state.outcome or "", "without an end")


def each_words(totals: Totals) -> str:
    """`12 in 8m 12s, mean 41.0 s, largest 44.2 s`."""
    if not totals.count:
        return "none"
    if totals.count == 1:
        return f"1 of {format_seconds(totals.seconds)}"
    return (
        f"{totals.count:,} in {format_seconds(totals.seconds)}, mean {format_seconds(totals.mean_seconds)}, "
        f"largest {format_seconds(totals.largest_seconds)}"
    )


def learned_words(report: TrainingReport) -> str:
    """`5.736 at first, 3.112 at last`, and how many steps were not finite; said in every case."""
    training = report.training
    first = report.first_loss if report.first_loss is not None else training.losses[0][1] if training.losses else None
    broken, last = training.nonfinite, report.last_loss
    parts = [f"{format_figure(first)} at first"] if first is not None else []
    if broken is not None:
        parts.append(f"not finite from step {broken.since:,} on")
    elif last is not None:
        parts.append(f"{format_figure(last)} at last")
    counts = (
        (training.nonfinite_steps, "step", "not finite"),
        (training.nonfinite_gradients, "gradient norm", "not finite"),
        (training.skipped_steps, "step", "left out by the loss scaler"),
    )
    parts += [f"{plural(count, what)} {how}" for count, what, how in counts if count]
    return ", ".join(parts) or "none was told"


def rows_words(loaded: ModelLoaded) -> str:
    """What of the rows was held out, not learned or not evaluated; empty where all of them were learned, whole."""
    found = row_words(loaded)
    return f"{loaded.train_rows:,} to train, {loaded.eval_rows:,} to evaluate; {found}" if found else ""


def evaluation_words(done: EvaluationCompleted) -> str:
    """`loss 1.187, exact 0.610`."""
    found = [f"loss {loss_words(done)}{left_out_words(done)}"]
    found += [f"{name} {format_figure(value)}" for name, value in done.metrics.items()]
    return ", ".join([*found, f"{done.unanswered} of {done.answers} not answered"] if done.unanswered else found)


def use_words(training: TrainingState) -> str:
    """`MFU 41 % of 989 TFLOP/s (bfloat16), idle for 7 % of a step (3 profiled)`; empty where neither is known."""
    mfu, flops, busy = training.mfu, training.flops, training.device_busy
    words = []
    if flops is not None and mfu is not None:
        words.append(f"MFU {format_share(mfu)} of {format_flops(flops.peak)} ({flops.precision})")
    if busy is not None and busy.idle_fraction is not None:
        words.append(f"idle for {format_share(busy.idle_fraction)} of a step ({busy.steps} profiled)")
    return ", ".join(words)


def deadline_words(report: TrainingReport) -> str:
    """The window beside the end."""
    window, spare = report.state.window, report.spare_seconds
    if window is None or spare is None:
        return "none was set"
    margin = f" less a margin of {format_span(window.margin_seconds)}" if window.margin_seconds else ""
    gap = f"{format_span(abs(spare))} {'before' if spare >= 0 else 'after'} it"
    ended = "ended" if report.end_reason is not None or report.state.outcome is not None else "last heard of"
    verdict = f": {VERDICT_WORDS[report.verdict]}" if report.verdict is not None else ""
    deadline, end = clock(window.deadline, report.ended_at), clock(report.ended_at, window.deadline)
    return f"{deadline}{margin}; {ended} {end}, {gap}{verdict}"


def accuracy_words(comparison: EstimateComparison) -> str:
    """The estimate beside what it took, and how good that is."""
    estimate, actual = comparison.estimate, comparison.actual_seconds
    took = f", took {format_span(actual)}" if actual is not None else ""
    if estimate is None:
        return _running_words(comparison, took)
    text = f"{format_span(estimate.p50_seconds)} (9 in 10 within {format_span(estimate.p90_seconds)}){took}"
    judgement = comparison.judgement
    if comparison.accuracy is not None and judgement is not None:
        text += f": {comparison.accuracy * 100:.1f} %, {JUDGEMENT_WORDS[judgement]}"
    return f"{text}; {comparison.note}" if comparison.note else text


def _running_words(comparison: EstimateComparison, took: str) -> str:
    if comparison.running_seconds is None:
        return f"none was made{took}"
    return (
        f"none before the run; at step {comparison.running_step:,} it said {format_span(comparison.running_seconds)}"
        f"{took}"
    )


def gain_words(gain_seconds: float | None) -> str:
    """`saves 27m 10s`; nothing where no gain is known."""
    return f"saves {format_seconds(gain_seconds)}" if gain_seconds else ""
