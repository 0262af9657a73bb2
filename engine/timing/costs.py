"""What a run's wall time has besides its training steps."""

from __future__ import annotations

import msgspec

from speedtui.engine.timing.durations import GUESS_SPREAD


class RunCosts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds each; None where it was not measured: an estimate then names it as left out."""

    load_seconds: float | None = None
    """From the start of the worker to a model and data ready to train, libraries imported. 0 where they are in
    memory already."""
    start_seconds: float | None = None
    """From there to the first step: the adapter, the trainer, the optimizer."""
    compile_seconds: float | None = None
    """What the first steps take longer than later ones of their length; 0 where nothing is compiled."""
    epoch_seconds: float | None = None
    """To begin an epoch: its order, the loader's workers, the first micro-batch."""
    eval_seconds: float | None = None
    """The loss over the whole evaluation set, once."""
    generate_seconds: float | None = None
    """Generation in one full evaluation, besides its loss; it counts where the schedule generates."""
    metric_seconds: float | None = None
    """Scoring what was generated, in one full evaluation; it counts where the schedule has a metric."""
    rehearsal_seconds: float | None = None
    """The part of a full evaluation that is made before the first step; it counts where the schedule has it."""
    answers_spread: float = GUESS_SPREAD
    """Relative standard deviation by which answers and their scores differ from what is expected of them."""
    answer_tokens: float | None = None
    """New tokens of a mean answer that `generate_seconds` is of; None where that is not known."""
    save_seconds: float | None = None
    """One checkpoint: weights or adapter, and the optimizer's state."""
    final_seconds: float | None = None
    """The final save of the model."""
