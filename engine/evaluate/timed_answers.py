"""The batches in which an evaluation writes its answers, and which of them are written to see what they take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.evaluate.generation import Generation, Written
from speedtui.engine.evaluate.prompts import Prompts, answer_limits, right_lengths
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.workload import Workload
from speedtui.engine.workload.evaluation_batch import generation_rows
from speedtui.engine.workload.failures import is_out_of_memory
from speedtui.engine.workload.positions import positions_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

BATCHES = (0.5, 0.0, 0.95, 0.25)
"""Which of an evaluation's batches are written, by their place from the longest prompts to the shortest."""
MOST_TOKENS = 48
"""Of a batch that is timed: a token costs what the one before it did, a little more with each that is kept."""
MOST_SCORED = 64
"""Rows that are scored: what a query or a program takes differs by more than that many show little of."""


class AnswerBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that are answered together."""

    rows: tuple[int, ...]
    """Of the rows that are asked."""
    width: int
    """Tokens of the longest prompt; 0 where lengths are unknown."""
    steps: int
    """New tokens of the longest right answer: how often the model is run after the prompts; 0 where unknown."""
    most_steps: int = 0
    """What may be written besides: a search with beams goes on after the right answer, for as long as another beam
    could still win, and often to the tokens that are allowed. Without beams as many as `steps`."""


class TimedAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """What was written and scored, and what it took."""

    written: tuple[tuple[AnswerBatch, Written], ...]
    """Empty where the model has room for no prompt."""
    most_rows: int | None = None
    """Rows of a batch that found memory where those asked for did not; None where they did."""
    scored_seconds: float | None = None
    """Of a row's score beside the others; None without a metric, or where it could not be timed."""
    problem: str = ""
    """Why there is no figure for the metric; empty where there is one, or no metric."""


def answer_batches(workload: Workload, schedule: ScheduleSettings, size: int) -> list[AnswerBatch]:
    """The batches in which an evaluation writes its answers, the longest prompts first."""
    dataset = workload.questions
    limits = answer_limits(workload, schedule)
    if dataset is None or limits is None:
        rows = range(len(dataset or ()))
        return [AnswerBatch(rows=tuple(rows[at : at + size]), width=0, steps=0) for at in range(0, len(rows), size)]
    steps = np.minimum(right_lengths(dataset), limits)
    prompts = Prompts(dataset)  # type: ignore[arg-type]  # else there were no limits
    widths, known = prompts.lengths, positions_of(workload.model)
    order = np.argsort(-widths, kind="stable")
    if known is not None and not prompts.seq2seq:
        order = order[widths[order] <= known]  # longer ones are not answered
    most = limits if schedule.beams > 1 else steps
    return [_batch(order[at : at + size], widths, steps, most) for at in range(0, len(order), size)]


def _batch(
    rows: NDArray[np.int64], widths: NDArray[np.int32], steps: NDArray[np.int64], most: NDArray[np.int64]
) -> AnswerBatch:
    return AnswerBatch(
        rows=tuple(rows.tolist()), width=int(widths[rows].max()), steps=int(steps[rows].max()),
        most_steps=int(most[rows].max()),
    )  # fmt: skip


def batches_to_time(batches: Sequence[AnswerBatch]) -> list[AnswerBatch]:
    """A few of them, full ones where there are any; each once. None where no prompt is answered."""
    if not batches:
        return []
    full = [batch for batch in batches if len(batch.rows) == len(batches[0].rows)]
    places = dict.fromkeys(min(int(share * len(full)), len(full) - 1) for share in BATCHES)
    return [full[place] for place in places]


def rows_to_score(count: int) -> list[int]:
    """Evenly over an evaluation set of so many rows."""
    wanted = min(count, MOST_SCORED)
    return [at * count // wanted for at in range(wanted)]


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
