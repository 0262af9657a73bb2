"""How many rows an evaluation takes at a time, where the settings do not say it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speedtui.engine.config.settings import Settings
from speedtui.engine.workload.base import MapDataset, Workload
from speedtui.engine.workload.pairs import PairDataset
from speedtui.engine.workload.token_store import TokenDataset

LOSS_TIMES = 1
"""Tokens of an evaluation batch over those of the longest micro-batch, of which it is known, or will be, that it fits.
An evaluation needs less, having no gradients and nothing kept for them; how much less depends on the vocabulary."""
ANSWER_TIMES = 8
"""The same of generation, which keeps a layer's keys and values where training keeps some ten times as much."""
RECOMPUTED_ANSWER_TIMES = 2
"""With gradient checkpointing training keeps no more than the layers' inputs."""
MOST_ROWS = 64
"""More make no device faster that is worth it, and each batch takes as long as its longest answer."""


def evaluation_rows(settings: Settings, workload: Workload) -> int:
    """Rows of a batch of which the loss is computed: `schedule.eval_batch_size`, else what should fit.

    It follows from settings and lengths alone, so that a forecast counts the batches that the training makes.
    """
    asked = settings.schedule.eval_batch_size
    if asked is not None:
        return asked
    lengths = row_tokens_of(workload.eval_dataset)
    longest = int(lengths.max()) if lengths is not None and len(lengths) else None
    return _rows(settings, workload, longest, LOSS_TIMES)


def generation_rows(settings: Settings, workload: Workload) -> int:
    """Rows that are answered at a time: `schedule.generation_batch_size`, else what should fit.

    Each beam is a row of its own to the model, with its prompt and as many new tokens as there may be.
    """
    schedule = settings.schedule
    if schedule.generation_batch_size is not None:
        return schedule.generation_batch_size
    prompts = prompt_tokens_of(workload.questions)
    if prompts is None or not len(prompts):
        return _rows(settings, workload, None, LOSS_TIMES)
    times = RECOMPUTED_ANSWER_TIMES if settings.train.gradient_checkpointing else ANSWER_TIMES
    longest = (int(prompts.max()) + schedule.max_new_tokens) * schedule.beams
    return _rows(settings, workload, longest, times)


def evaluation_order(dataset: MapDataset) -> NDArray[np.int64]:
    """Rows in the order in which their loss is computed, (rows,), int64.

    The longest come first, so that batches have little padding and running out of memory comes at once; as they are
    where lengths are not known.
    """
    lengths = row_tokens_of(dataset)
    return np.arange(len(dataset)) if lengths is None else np.argsort(-lengths, kind="stable")


def row_tokens_of(dataset: Any) -> NDArray[np.int32] | None:
    """Tokens of each row, source and target together, (rows,), int32; None where only a recipe knows."""
    if isinstance(dataset, PairDataset):
        return dataset.lengths + dataset.target_lengths
    return dataset.lengths if isinstance(dataset, TokenDataset) else None


def prompt_tokens_of(dataset: Any) -> NDArray[np.int32] | None:
    """Tokens of each row before its answer, (rows,), int32; None where only a recipe knows."""
    if isinstance(dataset, PairDataset):
        return dataset.lengths
    return dataset.prompts if isinstance(dataset, TokenDataset) else None


def _rows(settings: Settings, workload: Workload, longest: int | None, times: int) -> int:
    """As many rows of the longest one's tokens as have `times` the tokens of the longest micro-batch.

    `longest`: None where lengths are not known; then each row counts as one of the training's.
    """
    micro, trained = settings.train.micro_batch_size, workload.row_tokens
    if longest is None or trained is None:
        rows = micro * times
    else:
        rows = micro * int(trained.max()) * times // max(longest, 1)
    return max(min(rows, max(MOST_ROWS, micro)), 1)
