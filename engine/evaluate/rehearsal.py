"""A small part of an evaluation before the first step: which rows, and what it tells of the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.evaluate.prompts import Prompts, allowed_tokens, positions_of
from speedtui.engine.units import parse_duration
from speedtui.engine.workload import Workload
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.evaluation_batch import row_tokens_of
from speedtui.engine.workload.pairs import PairDataset
from speedtui.engine.workload.probe_batch import longest_index
from speedtui.engine.workload.token_store import TokenDataset

SCAN_SECONDS = 2.0
"""For finding a long sample of a recipe's by reading them."""


def rehearsal_rows(workload: Workload, batch_size: int, batches: int = 2) -> list[int]:
    """Rows of the evaluation dataset, each once: the longest batch, so that memory is found out, then others.

    The others are evenly from the longest to the median, the last one around it, so with two batches there is one
    of each. Of a recipe, whose lengths are not known, the longest sample that is found in a short time and the first
    ones of the dataset.
    """
    dataset = workload.eval_dataset
    if dataset is None or not len(dataset):
        return []
    lengths = row_tokens_of(dataset)
    wanted = min(batch_size * batches, len(dataset))
    if lengths is None:
        longest = longest_index(dataset, None, silent, seconds=SCAN_SECONDS)
        return list(dict.fromkeys([longest, *range(wanted)]))[:wanted]
    order = np.argsort(-lengths, kind="stable")
    median = max(len(order) // 2 - batch_size // 2, 0)
    rows: dict[int, None] = {}
    for batch in range(batches):
        first = round(median * batch / max(batches - 1, 1))
        rows.update(dict.fromkeys(order[first : first + batch_size].tolist()))
    return list(rows)


def expected_seconds(
    workload: Workload, rows: Sequence[int], phases: Mapping[str, float], schedule: ScheduleSettings
) -> dict[str, float]:
    """What the whole evaluation will take, by phase, from what its rehearsal on these rows took.

    - `eval`: by tokens, source and target together; by samples where lengths are not known (recipes).
    - `generate`: by new tokens allowed, added up over the samples, since nearly all of the time goes into them and
      batches are equally full. The rehearsed model has not learned to stop yet, so this is rather too much.
    - `metric`: by rounds of `schedule.metric_threads` samples at once, and no more than `schedule.metric_timeout`.

    What is not in `phases` is not in the result.
    """
    if workload.eval_dataset is None or not rows:
        return {}
    expected = {phase: seconds * _ratio(workload, rows, phase, schedule) for phase, seconds in phases.items()}
    if "metric" in expected:
        most = max(parse_duration(schedule.metric_timeout), phases["metric"])
        expected["metric"] = min(expected["metric"], most)
    return expected


def _ratio(workload: Workload, rows: Sequence[int], phase: str, schedule: ScheduleSettings) -> float:
    """The whole of what a phase's time goes by, over these rows' part of it."""
    dataset: Any = workload.eval_dataset
    if phase == "metric":
        return math.ceil(len(dataset) / schedule.metric_threads) / math.ceil(len(rows) / schedule.metric_threads)
    amounts = _allowed(workload, schedule) if phase == "generate" else row_tokens_of(dataset)
    if amounts is None:
        return len(dataset) / len(rows)
    return float(amounts.sum(dtype=np.int64) / amounts[list(rows)].sum(dtype=np.int64))


def _allowed(workload: Workload, schedule: ScheduleSettings) -> NDArray[np.int64] | None:
    """New tokens that each row's answer may have, (rows,), int64; None for a recipe."""
    dataset: Any = workload.eval_dataset
    if not isinstance(dataset, PairDataset | TokenDataset):
        return None
    prompts = Prompts(dataset)
    positions = positions_of(workload.model)
    widths = np.zeros_like(prompts.lengths) if prompts.seq2seq else prompts.lengths
    return np.array([allowed_tokens(positions, int(width), schedule.max_new_tokens) for width in widths])
