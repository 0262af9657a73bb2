"""The largest costs of a training, with what would make each smaller, from the run's state."""

from __future__ import annotations

from speedtui.engine.advise.costs import Cost, largest_costs
from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.report.books import closed_books
from speedtui.engine.state import RunState, TrainingState
from speedtui.engine.timing.counts import counts_of
from speedtui.engine.timing.made import Made


def costs_of(state: RunState) -> tuple[Cost, ...]:
    """The steps and the three largest besides, the largest first.

    Empty where the books are of more than the training, as in a demo, or the configuration is of another version.
    """
    books, training, settings = closed_books(state), state.training, _settings(state)
    if state.job != "train" or books is None or training is None or settings is None or not training.step:
        return ()
    return tuple(largest_costs(books, settings, _made(state, settings, training)))


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
