"""The report of a training as text: aligned, at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from speedtui.engine.advise.costs import Cost
from speedtui.engine.advise.words import value_words
from speedtui.engine.config.settings import Scalar
from speedtui.engine.output import text_width
from speedtui.engine.report.books import GROUPS, BooksRow, rounded
from speedtui.engine.report.record import TrainingReport
from speedtui.engine.report.words import (
    accuracy_words,
    deadline_words,
    each_words,
    end_words,
    evaluation_words,
    gain_words,
    learned_words,
    rows_words,
    use_words,
)
from speedtui.engine.state.event_words import phase_words
from speedtui.engine.units import format_count, format_seconds, format_share, format_size, format_span, plural

LABEL = 12
"""Columns of what a line is about."""
BAR = 28
"""Columns of the longest bar in the books: with the figures before it 80 in all."""


def render_training(report: TrainingReport) -> str:
    """The whole report; ends without a newline."""
    parts = [render_facts(report), render_books(report.books, report.wall_seconds), render_costs(report.costs)]
    return "\n\n".join(part for part in parts if part)


def render_facts(report: TrainingReport) -> str:
    """What it came to, a line each."""
    facts = [
        ("training", _training(report)),
        ("device", use_words(report.training)),
        ("rows", rows_words(report.state.model) if report.state.model is not None else ""),
        ("loss", learned_words(report)),
        ("evaluation", _best(report)),
        ("", _evaluations(report)),
        ("checkpoints", _saves(report)),
        ("epochs", _gaps(report)),
        ("trouble", _trouble(report)),
        ("changed", ", ".join(f"{path} = {_value(value)}" for path, value in report.training.changed.items())),
        ("estimate", accuracy_words(report.comparison)),
        ("deadline", deadline_words(report) if report.state.window is not None else ""),
        ("model", report.model_path or ""),
    ]
    return "\n".join(line for name, text in facts if text for line in _fact(name, text))


def _fact(name: str, text: str) -> list[str]:
    if name == "model":  # a path is for copying
        return [f"{name:<{LABEL}}{text}"]
    return textwrap.wrap(
        text, text_width(), initial_indent=f"{name:<{LABEL}}", subsequent_indent=" " * LABEL, break_long_words=False
    )


def _value(value: Scalar) -> str:
    return value_words(value) or "unset"


def _training(report: TrainingReport) -> str:
    done = f"{report.steps:,} steps" if report.steps == report.total_steps else (
        f"{report.steps:,} of {report.total_steps:,} steps"
    )  # fmt: skip
    took = f" in {format_span(report.training_seconds)}" if report.training_seconds is not None else ""
    return f"{done}{took} with {report.training.label}: {end_words(report)}{_speed(report)}"


def _speed(report: TrainingReport) -> str:
    mean = report.training.step_totals.mean_seconds
    if mean is None:
        return ""
    rate = f", {format_count(report.tokens_per_second)} tok/s" if report.tokens_per_second is not None else ""
    return f"; {format_seconds(mean)} a step{rate}"


def _best(report: TrainingReport) -> str:
    best = report.best
    return f"best at step {best.step:,}: {evaluation_words(best)}" if best is not None else ""


def _evaluations(report: TrainingReport) -> str:
    full, fast = report.training.full_evaluations, report.training.loss_evaluations
    if not full.count and not fast.count:
        return ""
    return each_words(full) + (f"; loss alone {each_words(fast)}" if fast.count else "")


def _saves(report: TrainingReport) -> str:
    training = report.training
    if not training.checkpoint_totals.count:
        return ""
    size = training.checkpoints[-1].bytes if training.checkpoints else None
    writing = f", {format_seconds(training.write_totals.seconds)} of it writing" if training.write_totals.count else ""
    final = "; the final model is one of them" if any(saved.final for saved in training.checkpoints) else ""
    return f"{each_words(training.checkpoint_totals)}{writing}; the last {format_size(size)}{final}"


def _gaps(report: TrainingReport) -> str:
    training = report.training
    if not training.gap_totals.count and not report.first_batches_seconds:
        return ""
    gaps = (
        f"from one to the next, with evaluations and checkpoints: {each_words(training.gap_totals)}; "
        if training.gap_totals.count
        else ""
    )
    return f"{gaps}first batches {format_seconds(report.first_batches_seconds)}"


def _trouble(report: TrainingReport) -> str:
    training, state = report.training, report.state
    restarts = plural(state.restarts, "restart")
    away = f"{format_span(report.away_seconds)} without a worker"
    idle = state.moves.idle_seconds
    stood = f"{format_span(idle)} asleep or suspended"
    stalls = f"{plural(state.stall_totals.count, 'stall')} of {format_span(state.stall_totals.seconds)} in all"
    failed = f"{plural(training.checkpoint_failures, 'checkpoint')} could not be saved"
    told = [
        (restarts, state.restarts), (away, report.away_seconds >= 0.5), (stood, idle >= 0.5),
        (stalls, state.stall_totals.count), (failed, training.checkpoint_failures),
    ]  # fmt: skip
    return ", ".join(text for text, there in told if there)


def render_books(rows: Sequence[BooksRow], wall_seconds: float) -> str:
    """Where the time went: seconds and per cent of every phase, which add up to the whole."""
    if not rows:
        return ""
    seconds, shares = rounded([row.seconds for row in rows]), rounded([row.share * 100 for row in rows])
    lines = [f"{'where the time went':<26}{'seconds':>12}  {'%':>6}"]
    for group, _ in GROUPS:
        inside = [i for i, row in enumerate(rows) if row.group == group]
        if len(inside) > 1 and group != GROUPS[-1][0]:
            lines.append(_line(group, sum(seconds[i] for i in inside), sum(shares[i] for i in inside), ""))
        indent = "  " if len(inside) > 1 and group != GROUPS[-1][0] else ""
        lines += [
            _line(indent + phase_words(rows[i].phase), seconds[i], shares[i], _bar(rows[i].share)) for i in inside
        ]
    total = _line("total", sum(seconds), sum(shares), f"{format_span(wall_seconds)} of wall time")
    return "\n".join([*lines, total])


def _line(name: str, seconds: float, share: float, after: str) -> str:
    return f"  {name:<24}{seconds:>12,.1f}  {share:>6.1f}  {after}".rstrip()


def _bar(share: float) -> str:
    return "█" * round(min(max(share, 0.0), 1.0) * BAR)


def render_costs(costs: Sequence[Cost]) -> str:
    """The largest costs with what would make each smaller."""
    if not costs:
        return ""
    lines = ["largest costs"]
    for place, cost in enumerate(costs, 1):
        figures = f"{format_span(cost.seconds):>9}  {format_share(cost.share):>5}"
        head = f"  {place}  {cost.name:<20}{figures}  "
        text = "; ".join(words for words in (cost.lever, gain_words(cost.gain_seconds)) if words)
        lines += textwrap.wrap(text, text_width(), initial_indent=head, subsequent_indent=" " * len(head)) or [
            head.rstrip()
        ]
    return "\n".join(lines)
