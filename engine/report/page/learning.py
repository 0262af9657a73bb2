"""What the training learned: the loss, its evaluations, what a step took, what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from speedtui.engine.events import CheckpointSaved, EvaluationCompleted
from speedtui.engine.report.page.axes import seconds_labels
from speedtui.engine.report.page.charts import ChartMark, curve
from speedtui.engine.report.page.markup import EMPTY, Markup, cells, section, table, tag
from speedtui.engine.report.record import TrainingReport
from speedtui.engine.report.words import clock, each_words, evaluation_words, learned_words
from speedtui.engine.state.event_words import loss_words
from speedtui.engine.units import format_count, format_figure, format_seconds, format_size, plural

ROWS = 16
"""Of the evaluations; more of them are not read."""
LAST = 8
"""Of the checkpoints: more than are kept."""
T = TypeVar("T")


def loss_section(report: TrainingReport) -> Markup:
    """The training's loss with the evaluations on it."""
    marks = [
        ChartMark(
            x=done.step, y=done.loss, title=f"step {done.step:,}: {evaluation_words(done)}",
            label=f"best {format_figure(done.loss)}" if done is report.best else "",
        )
        for done in report.training.evaluations
        if done.loss is not None
    ]  # fmt: skip
    chart = curve(
        report.training.losses, last_step=report.total_steps, what="Loss by step", colour="steps", marks=marks
    )
    told = [learned_words(report), f"evaluations are the {plural(len(marks), 'dot')}" if marks else ""]
    return section("Loss", chart, note=_sentence(told))


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(part for part in parts if part)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def steps_section(report: TrainingReport) -> Markup:
    """What a step took over the run."""
    chart = curve(
        report.training.step_history, last_step=report.total_steps, what="Step time by step", colour="between",
        from_zero=True, labels=seconds_labels,
    )  # fmt: skip
    mean = report.training.step_totals.mean_seconds
    rate = f"{format_count(report.tokens_per_second)} tokens/s" if report.tokens_per_second is not None else ""
    return section("Step time", chart, note=_sentence([f"mean {format_seconds(mean)}" if mean else "", rate]))


def evaluations_section(report: TrainingReport) -> Markup:
    """A table of them, thinned where there were many, the best in bold."""
    training = report.training
    shown = _thinned(training.evaluations, report.best)
    if not shown:
        return EMPTY
    metrics = list(dict.fromkeys(name for done in training.evaluations for name in done.metrics))
    head = ["step", "time", "kind", "loss", *metrics, "rows", "took"]
    numbers = [True, True, False, *[True] * (len(metrics) + 3)]
    rows = [
        cells(_evaluation(done, metrics, report), numbers=numbers,
              class_="best" if report.best is not None and done.t == report.best.t else None)
        for done in shown
    ]  # fmt: skip
    full, fast = training.full_evaluations, training.loss_evaluations
    counts = [each_words(full) if full.count else "", f"loss alone {each_words(fast)}" if fast.count else ""]
    left_out = full.count + fast.count - len(shown)
    more = f"{left_out:,} more are not shown" if left_out > 0 else ""
    return section("Evaluations", table(head, rows, numbers=numbers), note=_sentence([*counts, more]))


def _evaluation(done: EvaluationCompleted, metrics: Sequence[str], report: TrainingReport) -> list[str]:
    values = [format_figure(done.metrics[name]) if name in done.metrics else "–" for name in metrics]
    kind = {"full": "full", "loss": "loss alone"}[done.kind]
    at = clock(report.state.wall(done.t), report.state.started_at)
    return [f"{done.step:,}", at, kind, loss_words(done), *values, _rows(done), format_seconds(done.seconds)]


def _rows(done: EvaluationCompleted) -> str:
    """Those that the loss is over, of how many where some are left out."""
    return f"{done.rows:,} of {done.rows + done.left_out:,}" if done.left_out else f"{done.rows:,}"


def _thinned(items: Sequence[T], wanted: T | None) -> list[T]:
    """About ROWS of them, evenly spaced, the first, the last and the wanted one among them."""
    if len(items) <= ROWS:
        return list(items)
    picked = {round(i * (len(items) - 1) / (ROWS - 1)) for i in range(ROWS)}
    return [item for i, item in enumerate(items) if i in picked or item is wanted]


def checkpoints_section(report: TrainingReport) -> Markup:
    """The last ones that were saved, the final model among them."""
    training = report.training
    shown = training.checkpoints[-LAST:]
    if not shown:
        return EMPTY
    numbers = [True, True, False, True, True, True]
    rows = [cells(_checkpoint(saved, report), numbers=numbers) for saved in shown]
    left_out = training.checkpoint_totals.count - len(shown)
    told = [
        each_words(training.checkpoint_totals),
        f"{format_seconds(training.write_totals.seconds)} of it writing files" if training.write_totals.count else "",
        f"{left_out:,} earlier ones are not shown" if left_out > 0 else "",
        f"{training.checkpoint_failures} could not be saved" if training.checkpoint_failures else "",
    ]
    head = ["step", "time", "why", "size", "took", "writing"]
    return section("Checkpoints", table(head, rows, numbers=numbers), note=_sentence(told))


def _checkpoint(saved: CheckpointSaved, report: TrainingReport) -> list[str]:
    why = "final model" if saved.final else saved.reason
    writing = format_seconds(saved.write_seconds)
    at = clock(report.state.wall(saved.t), report.state.started_at)
    return [f"{saved.step:,}", at, why, format_size(saved.bytes), format_seconds(saved.seconds), writing]


def gaps_section(report: TrainingReport) -> Markup:
    """Between the epochs."""
    training = report.training
    if not training.gap_totals.count:
        return EMPTY
    first = format_seconds(report.first_batches_seconds)
    text = f"{each_words(training.gap_totals)}, with the evaluations and checkpoints in them."
    text += f" Waiting for the first batches of all epochs took {first}."
    return section("Between epochs", tag("p", f"{text[:1].upper()}{text[1:]}"))
