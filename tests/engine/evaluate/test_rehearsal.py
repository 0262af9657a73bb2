"""Which rows are rehearsed, and what they tell of the whole evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from speedtui.engine.config.settings import ModelSettings, ScheduleSettings, Settings
from speedtui.engine.evaluate.rehearsal import expected_seconds, rehearsal_rows
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


def test_each_phase_grows_with_what_it_is_made_of(forty: Workload) -> None:
    rows = rehearsal_rows(forty, 4)
    schedule = ScheduleSettings(metric_threads=3, metric_timeout="60s")
    expected = expected_seconds(forty, rows, {"eval": 1.0, "generate": 2.0, "metric": 3.0}, schedule)
    assert expected["eval"] == pytest.approx(sum(tokens(forty, list(range(40)))) / sum(tokens(forty, rows)))
    assert expected["generate"] == pytest.approx(2 * 40 / 8)
    assert expected["metric"] == pytest.approx(3 * 14 / 3)  # 14 rounds of 3 for 40 samples, 3 for 8
    short = msgspec.structs.replace(schedule, metric_timeout="5s")
    assert expected_seconds(forty, rows, {"metric": 3.0}, short) == {"metric": 5.0}
    assert expected_seconds(forty, [], {"eval": 1.0}, schedule) == {}


def test_prompts_that_leave_less_room_count_for_less(asked: Asked, tmp_path: Path) -> None:
    rows = [{"question": "q" * size, "answer": "4"} for size in (10, 10, 30)]
    model = {**LLAMA, "max_position_embeddings": 40}
    workload = load(asked(model, rows=write_rows(tmp_path / "room.jsonl", rows), schedule={}))
    expected = expected_seconds(workload, [2], {"generate": 1.0}, ScheduleSettings(max_new_tokens=20))
    prompt = tokens(workload, [2])[0] - 2  # without the answer and its end
    assert 41 - prompt < 20
    assert expected["generate"] == pytest.approx((20 + 20 + 41 - prompt) / (41 - prompt))


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
    assert expected_seconds(workload, rows, {"eval": 1.0, "generate": 2.0}, ScheduleSettings()) == {
        "eval": 8.0, "generate": 16.0,
    }  # fmt: skip


def test_what_was_expected_comes_true(asked: Asked, tmp_path: Path) -> None:
    """A metric that takes the same time for each sample, so that the machine's other work hardly matters."""
    from tests.engine.evaluate.conftest import Made

    rows = [{"question": "why", "answer": "4"} for _ in range(40)]
    path = tmp_path / "metric.py"
    path.write_text("import time\ndef score(prediction):\n    time.sleep(0.1)\n    return 1\n")
    schedule = {"metric": f"{path}:score", "metric_threads": 4, "max_new_tokens": 2}
    settings = asked(T5, rows=write_rows(tmp_path / "same.jsonl", rows), schedule=schedule, micro_batch_size=2)
    one = Made(settings, load(settings))
    try:
        one.evaluator.prepare()
        rehearsed = rehearsal_rows(one.workload, 4)
        part = one.score(rehearsed)
        expected = expected_seconds(one.workload, rehearsed, {"metric": part.metric_seconds}, settings.schedule)
        began = time.perf_counter()
        whole = one.score()
        assert time.perf_counter() - began > whole.metric_seconds
        assert expected["metric"] / whole.metric_seconds == pytest.approx(1, abs=0.5)
    finally:
        one.evaluator.close()
