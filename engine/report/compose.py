"""From a run's state to the report of its training; nothing else is asked."""

from __future__ import annotations

import msgspec

from speedtui.engine.advise.costs import Cost, largest_costs
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.events import EvaluationCompleted
from speedtui.engine.report.books import books_rows, closed_books
from speedtui.engine.report.record import EstimateComparison, TrainingReport
from speedtui.engine.schedule.count import Made
from speedtui.engine.schedule.steps import counts_of
from speedtui.engine.state import RunState, TrainingState
from speedtui.engine.timing.verdict import FinalVerdict, judge_ended
from speedtui.engine.units import plural

PAUSE_WORTH_A_WORD = 0.01
"""Share of the time it took from which on a pause is told beside the accuracy."""


class RunExpectation(msgspec.Struct, frozen=True, kw_only=True):
    """What the run was ordered with; it is in no event."""

    estimate: Estimate | None = None
    profile: str | None = None
    since: float | None = None
    """The run's time that the estimate counts from; None finds it in the state."""


def training_report(state: RunState, expected: RunExpectation | None = None) -> TrainingReport:
    """The report of the state's training, as far as it has come.

    Raises:
        ValueError: the run has no training.
    """
    training = state.training
    if training is None:
        raise ValueError("the run has no training")
    expected = expected or RunExpectation()
    finished, books = training.finished, closed_books(state)
    phases = books.phases if books is not None else {}
    return TrainingReport(
        state=state,
        training=training,
        profile=expected.profile,
        steps=finished.steps if finished is not None else training.step,
        total_steps=(finished.total_steps if finished is not None else None) or training.total_steps,
        end_reason=finished.reason if finished is not None else None,
        ended_at=_ended_at(state, training),
        training_seconds=finished.seconds if finished is not None else None,
        first_loss=finished.first_loss if finished is not None else None,
        last_loss=finished.last_loss if finished is not None else training.smoothed_loss,
        tokens_per_second=_rate(training),
        verdict=_verdict(state, training),
        comparison=compare(state, training, expected),
        books=books_rows(books) if books is not None else (),
        wall_seconds=books.wall if books is not None else 0.0,
        costs=costs_of(state),
        best=_best(training),
        first_batches_seconds=phases.get("first_batch", 0.0),
        away_seconds=phases.get("away", 0.0),
        paused_seconds=phases.get("paused", 0.0),
        model_path=finished.model_path if finished is not None else None,
    )


def _ended_at(state: RunState, training: TrainingState) -> float:
    finished = training.finished
    return state.wall(finished.t) if finished is not None else state.now


def _rate(training: TrainingState) -> float | None:
    seconds = training.step_totals.seconds
    return training.tokens / seconds if training.tokens is not None and seconds > 0 else None


def _verdict(state: RunState, training: TrainingState) -> FinalVerdict | None:
    if state.window is None or training.finished is None:
        return None
    return judge_ended(_ended_at(state, training), state.window, training.finished.reason)


def _best(training: TrainingState) -> EvaluationCompleted | None:
    """As the training judged it; where it judged none, the one with the lowest loss."""
    with_loss = [done for done in training.evaluations if done.loss is not None]
    return training.best or min(with_loss, key=lambda done: (done.loss, done.step), default=None)


def compare(state: RunState, training: TrainingState, expected: RunExpectation) -> EstimateComparison:
    """The estimate beside the time; an accuracy only where both are of the whole, done once."""
    estimate = expected.estimate or _estimate_of_study(state, training)
    finished, first = training.finished, training.first_eta
    since = _since(state) if expected.since is None else expected.since
    away = _seconds(state, "away")
    actual = finished.t - since - away if finished is not None else None
    running = first.t + first.p50_seconds - since if first is not None and first.p50_seconds is not None else None
    why_not = _why_not_comparable(training)
    accurate = estimate is not None and actual is not None and actual > 0 and not why_not
    return EstimateComparison(
        estimate=estimate,
        actual_seconds=actual,
        accuracy=accuracy(estimate.p50_seconds if estimate is not None else None, actual) if accurate else None,
        note=why_not or _caveat(state, training, actual),
        running_step=training.first_eta_step if running is not None else None,
        running_seconds=running,
    )


def accuracy(estimate_seconds: float | None, actual_seconds: float | None) -> float | None:
    """estimate / actual: 1 is exact, above 1 the run was faster than expected; None where one is not known."""
    return round(estimate_seconds / actual_seconds, 4) if estimate_seconds and actual_seconds else None


def _since(state: RunState) -> float:
    """A demo's training begins when its plan is made; any other begins with the run."""
    if state.job == "demo" and state.plan is not None:
        return max(state.plan.made_at - state.started_at, 0.0)
    return 0.0


def _estimate_of_study(state: RunState, training: TrainingState) -> Estimate | None:
    """What a study of the same run expected of the candidate it trains; the model is in memory already."""
    row = state.study.row(training.trial) if state.study is not None and training.trial is not None else None
    estimate = row.result.estimate if row is not None and row.result is not None else None
    return estimate.without_loading() if estimate is not None else None


def _why_not_comparable(training: TrainingState) -> str:
    finished = training.finished
    if finished is None:
        return "the training has no end"
    if finished.reason != "steps":
        return f"it ended after {finished.steps} of {finished.total_steps or training.total_steps} steps"
    if training.steps_again:
        return f"it was interrupted, and {plural(training.steps_again, 'step')} were made twice"
    return ""


def _caveat(state: RunState, training: TrainingState, actual: float | None) -> str:
    paused = _seconds(state, "paused")
    notes = ["settings were changed on the way"] if training.changed else []
    if _seconds(state, "away"):
        notes.append("it was interrupted; the time without a worker is left out")
    if actual and paused > PAUSE_WORTH_A_WORD * actual:
        notes.append("the time it was paused is in it")
    return "; ".join(notes)


def _seconds(state: RunState, phase: str) -> float:
    return state.books.phases.get(phase, 0.0) if state.books is not None else 0.0


def costs_of(state: RunState) -> tuple[Cost, ...]:
    """The steps and the three largest besides, the largest first.

    Empty where the books are of more than the training, as in a demo, or the configuration is of another version.
    """
    books, training, settings = closed_books(state), state.training, _settings(state)
    if state.job != "train" or books is None or training is None or settings is None or not training.step:
        return ()
    cores = state.hardware.host.cores if state.hardware is not None else None
    return tuple(largest_costs(books, settings, _made(state, settings, training), cores=cores))


def _settings(state: RunState) -> Settings | None:
    """As the run had them at its end."""
    try:
        return recorded_settings(state.config, state.run, state.laid_over)
    except ConfigError:
        return None


def _made(state: RunState, settings: Settings, training: TrainingState) -> Made:
    finals = sum(saved.final for saved in training.checkpoints)
    return Made(
        steps=training.step,
        epoch_steps=_epoch_steps(state, settings, training),
        full=training.full_evaluations.count,
        loss=training.loss_evaluations.count,
        saves=max(training.checkpoint_totals.count - finals, 0),
    )


def _epoch_steps(state: RunState, settings: Settings, training: TrainingState) -> int:
    """By the rows that were loaded; else by the steps and epochs that were announced."""
    if state.model is not None:
        return counts_of(settings, state.model.train_rows).epoch_steps
    return max(round(training.total_steps / training.epochs), 1) if training.epochs else training.total_steps
