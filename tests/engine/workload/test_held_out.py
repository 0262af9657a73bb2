"""A share of the training rows is held out and evaluated on: the same rows every time, and never trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from speedtui.engine.config.check import check
from speedtui.engine.config.settings import DataSettings, ScheduleSettings, Settings
from speedtui.engine.errors import DataError
from speedtui.engine.evaluate.evaluator import Evaluator
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.data import answer_of
from speedtui.engine.workload.data_cache import DataCache
from speedtui.engine.workload.held_out import Part
from speedtui.engine.workload.load import reload_data
from speedtui.engine.workload.recipe import data_differs, rebuild_needed
from speedtui.engine.workload.samples import evaluation_table, training_table
from tests.engine.workload.conftest import WriteRows
from tests.engine.workload.small import LLAMA, T5, changed, load, settings_of

ROWS = [{"question": f"say {n}", "answer": "word " * (n % 5 + 1) + str(n), "n": n} for n in range(40)]
METRIC = """\
def score(prediction, reference, row):
    with open({said!r}, "a") as file:
        file.write(f"{{row['n']}} {{reference}}\\n")
    return 1.0
"""


@pytest.fixture
def rows_file(write_rows: WriteRows) -> Path:
    return write_rows("rows.jsonl", ROWS)


def held(settings: Settings) -> tuple[list[int], list[int]]:
    """Numbers of the rows that are trained on, and of those that are evaluated on."""
    tables = training_table(settings), evaluation_table(settings)
    trained, evaluated = ([row["n"] for row, _ in table.answered_rows(whole=True)] for table in tables)
    return trained, evaluated


@pytest.mark.parametrize("rows", [2, 3, 10, 41, 1000])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.3, 0.5])
def test_the_parts_have_no_row_in_common_and_leave_none_out(write_rows: WriteRows, rows: int, share: float) -> None:
    path = write_rows("rows.jsonl", ['{"text": "a"}'] * rows)
    kept, out = (Part(share=share, seed=7, held_out=held_out).of(path) for held_out in (False, True))
    assert [a != b for a, b in zip(kept, out, strict=True)] == [True] * rows
    assert sum(out) == max(round(share * rows), 1)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "saved"])
def test_the_same_rows_are_held_out_of_every_kind_of_file(tmp_path: Path, ending: str) -> None:
    from datasets import Dataset

    data, path = Dataset.from_list([{"text": str(n)} for n in range(20)]), tmp_path / f"rows.{ending}"
    {"jsonl": data.to_json, "csv": data.to_csv, "parquet": data.to_parquet, "saved": data.save_to_disk}[ending](path)
    settings = Settings(data=DataSettings(train=str(path), text="text", validation_share=0.2))
    evaluated = [answer_of(content) for _, content in evaluation_table(settings).answered_rows(whole=False)]
    assert evaluated == ["1", "9", "12", "19"]  # the least of the seed's first 20 draws: a split outlives every version


def test_another_seed_holds_out_other_rows_and_the_same_seed_the_same(rows_file: Path) -> None:
    settings = settings_of(rows_file, model={"architecture": LLAMA}, data={"validation_share": 0.25})
    trained, evaluated = held(settings)
    assert sorted(trained + evaluated) == list(range(40))
    assert held(changed(settings, "train", micro_batch_size=2)) == (trained, evaluated)
    assert held(changed(settings, "train", seed=43))[1] != evaluated
    assert held(changed(settings, "data", eval_rows=3)) == (trained, evaluated[:3])


@pytest.mark.parametrize("other", [{}, {"packing": True}])
@pytest.mark.parametrize("model", [LLAMA, T5], ids=["llama", "t5"])
def test_what_is_trained_on_and_evaluated_on_are_those_rows(
    rows_file: Path, model: dict[str, Any], other: dict[str, Any]
) -> None:
    kind = "seq2seq" if model is T5 else "causal-lm"
    if kind == "seq2seq" and other:
        other = {"max_length": 24}
    data = {"validation_share": 0.25, **other}
    settings = settings_of(rows_file, model={"architecture": model, "kind": kind}, data=data)
    workload = load(settings)
    assert (workload.facts.train_samples, workload.facts.eval_rows, workload.facts.held_out_rows) == (30, 10, 10)
    dataset: Any = workload.eval_dataset
    assert dataset.numbers.tolist() == list(range(10))
    decoded = "".join(
        workload.tokenizer.decode(dataset[n]["labels" if kind == "seq2seq" else "input_ids"])  # type: ignore[union-attr]
        for n in range(10)
    )
    assert [n for n in range(40) if f" {n}<" in decoded] == held(settings)[1]


def test_the_metric_sees_the_rows_that_were_evaluated(rows_file: Path, tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    (tmp_path / "metric.py").write_text(METRIC.format(said=str(said)))
    settings = settings_of(rows_file, model={"architecture": LLAMA}, data={"validation_share": 0.1, "eval_rows": 3})
    schedule = ScheduleSettings(generate=True, max_new_tokens=2, metric=f"{tmp_path / 'metric.py'}:score")
    settings = msgspec.structs.replace(settings, schedule=schedule)
    check(settings, "x")
    workload = load(settings)
    evaluator = Evaluator(
        settings, workload, torch.device("cpu"), phases=PhaseClock(), report=silent, notice=lambda text: None
    )
    try:
        assert evaluator.score(workload.model, schedule).samples == 3
    finally:
        evaluator.close()
    expected = [f"{n} {ROWS[n]['answer']}" for n in held(settings)[1]]
    assert sorted(said.read_text().splitlines()) == sorted(expected)


def test_evaluations_are_asked_for_without_a_file_of_their_own(rows_file: Path) -> None:
    settings = settings_of(rows_file, model={"architecture": LLAMA}, data={"validation_share": 0.1})
    for schedule in ({"patience": 2}, {"save_only_best": True}, {"generate": True}):
        check(msgspec.structs.replace(settings, schedule=ScheduleSettings(**schedule)), "x")  # type: ignore[arg-type]


def test_another_share_or_seed_is_other_data(rows_file: Path, model_folder: Path) -> None:
    one = settings_of(rows_file, model={"path": str(model_folder)}, data={"validation_share": 0.1})
    workload = load(one)
    cache = DataCache(workload, one, silent)
    for other in (changed(one, "data", validation_share=0.5), changed(one, "train", seed=1)):
        assert not rebuild_needed(one, other)
        assert data_differs(one, other)
        made = cache.get(other)
        assert made is not cache.get(one)
        assert made.facts == reload_data(workload, other, silent).facts
    assert cache.get(changed(one, "data", max_length=47)) is cache.get(one)  # nothing is cut by either
    drawn = changed(one, "train", seed=1)
    assert rebuild_needed(changed(one, "model", architecture=LLAMA), changed(drawn, "model", architecture=LLAMA))


def test_rows_added_to_the_file_are_counted_anew(rows_file: Path) -> None:
    part = Part(share=0.25, seed=1, held_out=True)
    assert (part.rows(rows_file), len(part.of(rows_file))) == (10, 40)
    rows_file.write_text(rows_file.read_text() * 2)
    assert (part.rows(rows_file), len(part.of(rows_file))) == (20, 80)


def test_a_share_that_leaves_nothing_to_train_on_is_refused(write_rows: WriteRows) -> None:
    path = write_rows("one.jsonl", ROWS[:1])
    with pytest.raises(DataError, match=r"data\.validation_share 0\.05 of 1 row leaves none to train on"):
        Part(share=0.05, seed=1, held_out=False).of(path)
