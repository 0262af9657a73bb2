"""Which rows are rehearsed, and what they tell of the whole evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.evaluate.rehearsal import expected_loss_seconds, rehearsal_rows
from speedtui.engine.workload import Workload
from tests.engine.evaluate.conftest import write_rows
from tests.engine.workload.small import LLAMA, T5, load

Asked = Callable[..., Settings]


@pytest.fixture
def forty(asked: Asked, tmp_path: Path) -> Workload:
    """Forty rows; row n has about n words."""
    rows = [{"question": "why " * (1 + (n * 7) % 40), "answer": "4"} for n in range(40)]
    return load(asked(LLAMA, rows=write_rows(tmp_path / "forty.jsonl", rows), schedule={}, data={"max_length": 200}))


def tokens(workload: Workload, rows: list[int]) -> list[int]:
    dataset: Any = workload.eval_dataset
    return [len(dataset[row]["input_ids"]) for row in rows]


def test_the_longest_and_the_median_are_rehearsed(forty: Workload) -> None:
    rows = rehearsal_rows(forty, 4)
    every = sorted(tokens(forty, list(range(40))), reverse=True)
    assert tokens(forty, rows) == [*every[:4], *every[18:22]]
    assert len(set(rows)) == 8
    assert rehearsal_rows(forty, 4, batches=1) == rows[:4]
    assert tokens(forty, rehearsal_rows(forty, 4, batches=3)) == [*every[:4], *every[9:13], *every[18:22]]


def test_no_row_is_rehearsed_twice(forty: Workload, asked: Asked) -> None:
    assert sorted(rehearsal_rows(forty, 30)) == sorted(set(rehearsal_rows(forty, 30)))
    assert len(rehearsal_rows(forty, 100)) == 40
    few = load(asked(T5, schedule={}))
    assert sorted(rehearsal_rows(few, 8)) == list(range(6))
    assert rehearsal_rows(load(asked(T5, schedule={}, data={"eval": None})), 8) == []


def test_the_loss_grows_with_the_tokens(forty: Workload) -> None:
    rows = rehearsal_rows(forty, 4)
    whole = sum(tokens(forty, list(range(40)))) / sum(tokens(forty, rows))
    assert expected_loss_seconds(forty, rows, 1.0) == pytest.approx(whole)
    assert expected_loss_seconds(forty, [], 1.0) == 0.0


def test_a_recipes_longest_sample_is_among_the_rehearsed(tmp_path: Path) -> None:
    path = tmp_path / "recipe.py"
    path.write_text(
        dedent("""
        import torch
        def build():
            samples = [{"x": torch.ones(1 + i % 7 + 50 * (i == 31))} for i in range(64)]
            return {"model": torch.nn.Linear(1, 1), "train_dataset": samples, "eval_dataset": samples}
    """)
    )
    workload = load(Settings(model=ModelSettings(kind="python", recipe=f"{path}:build")))
    rows = rehearsal_rows(workload, 4)
    assert rows == [31, 0, 1, 2, 3, 4, 5, 6]
    assert expected_loss_seconds(workload, rows, 1.0) == 8.0
