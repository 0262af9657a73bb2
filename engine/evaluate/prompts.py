"""What a language model is asked, and what one that has learned its data would answer.

How long an answer becomes decides what it costs. A model that has learned nothing yet writes until it is stopped; one
that has ends where the right answers end, and nearly all evaluations of a run are of one that has begun to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.workload import Workload
from speedtui.engine.workload.base import MapDataset
from speedtui.engine.workload.evaluation_batch import prompt_tokens_of
from speedtui.engine.workload.pairs import PairDataset
from speedtui.engine.workload.positions import positions_of
from speedtui.engine.workload.token_store import TokenDataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Prompts:
    """The prompts of a kind "causal-lm" or the sources of a kind "seq2seq", by row of the evaluation dataset."""

    def __init__(self, dataset: TokenDataset | PairDataset) -> None:
        self._dataset = dataset
        self.seq2seq = isinstance(dataset, PairDataset)
        self.lengths: NDArray[np.int32] = dataset.lengths if isinstance(dataset, PairDataset) else dataset.prompts
        """Tokens of each, (rows,), int32."""

    def batch(self, rows: Sequence[int], pad: int) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask`, (rows, longest), int64.

        Sources are padded on the right, as in training; prompts on the left, so that each answer follows its prompt.
        """
        prompts = [self._dataset[row]["input_ids"][: int(self.lengths[row])] for row in rows]
        width = max(map(len, prompts))
        ids = torch.full((len(rows), width), pad, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for place, prompt in enumerate(prompts):
            where = slice(0, len(prompt)) if self.seq2seq else slice(width - len(prompt), width)
            ids[place, where], mask[place, where] = prompt, 1
        return {"input_ids": ids, "attention_mask": mask}


def allowed_tokens(positions: int | None, prompt_tokens: int, max_new_tokens: int) -> int:
    """New tokens after a prompt: as many as wished, and no more than there are places; the last one needs none."""
    return max_new_tokens if positions is None else max(min(max_new_tokens, positions - prompt_tokens + 1), 1)


def answer_steps(workload: Workload, schedule: ScheduleSettings) -> NDArray[np.int64] | None:
    """New tokens of the answer to each row that is asked, (rows,), int64: as many as the right one has, its end
    included, and no more than `schedule.max_new_tokens` and the model's places allow. None where only a recipe knows.
    """
    limits = answer_limits(workload, schedule)
    return None if limits is None else np.minimum(right_lengths(workload.questions), limits)  # type: ignore[arg-type]


def answer_limits(workload: Workload, schedule: ScheduleSettings) -> NDArray[np.int64] | None:
    """New tokens that `schedule.max_new_tokens` and the model's places allow the answer to each row that is asked,
    (rows,), int64. None where only a recipe knows."""
    dataset: Any = workload.questions
    if prompt_tokens_of(dataset) is None:
        return None
    prompts = Prompts(dataset)
    positions = positions_of(workload.model)
    widths = np.zeros_like(prompts.lengths) if prompts.seq2seq else prompts.lengths
    allowed = [allowed_tokens(positions, int(width), schedule.max_new_tokens) for width in widths]
    return np.array(allowed, dtype=np.int64)


def right_lengths(dataset: MapDataset) -> NDArray[np.int64]:
    """Tokens of each row's right answer, at least 1, (rows,), int64: a target, or what is learned first after the
    prompt."""
    if isinstance(dataset, PairDataset):
        return np.maximum(dataset.target_lengths.astype(np.int64), 1)
    return np.array([max(len(_answer_of(dataset, row)), 1) for row in range(len(dataset))], dtype=np.int64)


def right_texts(workload: Workload, rows: Sequence[int]) -> list[str] | None:
    """The right answers as a metric gets what the model writes; None for a recipe that tells none."""
    if workload.references is not None:
        return [str(workload.references[row]) for row in rows]
    dataset: Any = workload.questions
    tokenizer = workload.tokenizer
    if tokenizer is None or prompt_tokens_of(dataset) is None:
        return None
    answers = [_answer_of(dataset, row) for row in rows]
    return [
        str(tokenizer.decode(ids.tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False))
        for ids in answers
    ]  # fmt: skip


def _answer_of(dataset: Any, row: int) -> NDArray[np.int64]:
    """Ids of the right answer; of a conversation the first that is learned, which is what is asked for."""
    labels = dataset[row]["labels"].numpy()
    if isinstance(dataset, PairDataset):
        return np.asarray(labels)
    labels = labels[int(dataset.prompts[row]) :]
    learned = labels >= 0
    begin = int(np.argmax(learned)) if learned.any() else len(labels)
    rest = learned[begin:]
    end = begin + (int(np.argmin(rest)) if not rest.all() else len(rest))
    return np.asarray(labels[begin:end])
