"""A few batches of answers really written, as long as the right answers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.evaluate.generation import Generation, Written
from speedtui.engine.evaluate.timed_answers import (
    MOST_TOKENS,
    AnswerBatch,
    TimedAnswers,
    answer_batches,
    batches_to_time,
)
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.workload import Workload
from speedtui.engine.workload.evaluation_batch import generation_rows
from speedtui.engine.workload.memory import is_out_of_memory

if TYPE_CHECKING:
    from torch import nn


def time_answers(
    generation: Generation, settings: Settings, workload: Workload, model: nn.Module, schedule: ScheduleSettings
) -> TimedAnswers:
    """What answers cost, without their scores. Where so many rows at a time find no memory, half as many are timed.

    Raises:
        RecipeError: the recipe's own `generate` failed.
        Exception: what the model raises.
    """
    size = wanted = generation_rows(msgspec.structs.replace(settings, schedule=schedule), workload)
    written = None
    while written is None:
        chosen = batches_to_time(answer_batches(workload, schedule, size))
        try:
            written = _written(generation, model, schedule, chosen)
        except Exception as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            size //= 2
        if written is None:  # out here nothing holds the frames with their tensors any more
            release_memory(generation.device)
    most = size if size < wanted else None
    return TimedAnswers(written=tuple(zip(chosen, written, strict=True)), most_rows=most)


def _written(
    generation: Generation, model: nn.Module, schedule: ScheduleSettings, batches: Sequence[AnswerBatch]
) -> list[Written]:
    """After a token or two for nothing, since the first ones of a kind take longer. A recipe writes what it likes."""
    tokens = [min(batch.steps, MOST_TOKENS) or schedule.max_new_tokens for batch in batches]
    if batches and batches[0].steps:
        generation.timed(model, schedule, batches[0].rows, min(tokens[0], 2))
    return [
        generation.timed(model, schedule, batch.rows, most) for batch, most in zip(batches, tokens, strict=True)
    ]  # fmt: skip
