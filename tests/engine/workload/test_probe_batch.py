"""The worst micro-batch, and what counts as a token."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, default_collate

from speedtui.engine.workload import DataFacts, Workload
from speedtui.engine.workload.base import ThrottledProgress, silent
from speedtui.engine.workload.collate import PadRight
from speedtui.engine.workload.probe_batch import longest_index, sample_size, stress_dataset
from tests.engine.workload.small import tokens_of


def sample(length: int) -> dict[str, torch.Tensor]:
    ids = torch.arange(1, length + 1)
    return {"input_ids": ids, "labels": ids.clone()}


def workload(dataset: list[Any], collator: Any, lengths: list[int] | None = None) -> Workload:
    return Workload(
        name="tiny", model=nn.Linear(1, 1), tokenizer=None, train_dataset=dataset, eval_dataset=None,
        collator=collator, lengths=None if lengths is None else np.array(lengths, dtype=np.int32),
        facts=DataFacts(train_rows=len(dataset)), padding="longest" if lengths else "recipe",
    )  # fmt: skip


def test_samples_are_padded_on_the_right_to_the_longest() -> None:
    batch = PadRight(pad_id=9)([sample(3), sample(1)])
    assert batch["input_ids"].tolist() == [[1, 2, 3], [1, 9, 9]]
    assert batch["labels"].tolist() == [[1, 2, 3], [1, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_the_collator_can_be_sent_to_a_worker() -> None:
    assert pickle.loads(pickle.dumps(PadRight(pad_id=9))) == PadRight(pad_id=9)


def test_tokens_and_padding_are_told_apart() -> None:
    assert tokens_of(PadRight(pad_id=0)([sample(3), sample(1)])) == (4, 2)
    assert tokens_of({"input_ids": torch.ones(2, 5)}) == (10, 0)
    assert tokens_of({"pixels": torch.ones(2, 5)}) is None


def test_each_stress_batch_holds_the_longest_sample_and_one_pad_token() -> None:
    probe = stress_dataset(workload([sample(2), sample(7), sample(4)], PadRight(0), [2, 7, 4]), 4, 3)
    batches = list(DataLoader(probe, batch_size=4, collate_fn=PadRight(0)))
    assert [tokens_of(batch) for batch in batches] == [(27, 1)] * 3


def test_a_stress_batch_of_one_sample_has_no_padding() -> None:
    probe = stress_dataset(workload([sample(2), sample(7)], PadRight(0), [2, 7]), 1, 2)
    assert [len(probe[i]["input_ids"]) for i in range(len(probe))] == [7, 7]


def test_a_recipe_without_ids_is_duplicated() -> None:
    dataset = [{"x": torch.ones(2)}, {"x": torch.ones(5)}]
    probe = stress_dataset(workload(dataset, default_collate), 2, 1)
    assert [len(probe[i]["x"]) for i in range(2)] == [5, 5]


def test_a_collator_that_cannot_pad_gets_samples_of_one_length() -> None:
    probe = stress_dataset(workload([sample(3), sample(3)], default_collate), 2, 1)
    assert [len(probe[i]["input_ids"]) for i in range(2)] == [3, 3]


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_the_longest_sample_of_a_recipe_is_found_by_reading_all(count: int) -> None:
    dataset = [{"ids": list(range(i * 37 % 101)), "image": torch.ones(2, 2)} for i in range(count)]
    sizes = [sample_size(item) for item in dataset]
    assert longest_index(dataset, None, silent) == sizes.index(max(sizes))


def test_a_scan_ends_when_its_time_is_over() -> None:
    assert 0 <= longest_index([[1]] * 1000, None, silent, seconds=0.0) < 1000


def test_the_size_of_a_sample_counts_what_it_holds() -> None:
    assert sample_size({"a": torch.ones(2, 3), "b": [1, 2], "c": np.ones(4), "d": "text", "e": 5}) == 6 + 2 + 4 + 4
    assert sample_size(([1, 2], [3])) == 3


def test_quick_work_is_not_reported() -> None:
    seen: list[Any] = []
    progress = ThrottledProgress(lambda *told: seen.append(told), "counting", 10)
    for done in range(10):
        progress.at(done)
    progress.finish(10)
    assert seen == []
