"""How many rows an evaluation takes at a time, and in which order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import default_collate

from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.workload import Workload
from speedtui.engine.workload.base import DataFacts
from speedtui.engine.workload.evaluation_batch import evaluation_order, evaluation_rows, generation_rows
from tests.engine.workload.small import LLAMA, T5, changed, load, make_trainer, settings_of

WORDS = [1, 3, 9, 2, 14, 5, 8, 4]


@pytest.fixture(scope="module", params=["causal-lm", "seq2seq"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Workload]:
    """Training and evaluation on rows of eight lengths; the longest evaluated is as long as the longest trained."""
    file = tmp_path_factory.mktemp("data") / "rows.jsonl"
    file.write_text("".join(json.dumps({"question": "one " * n, "answer": "two " * n}) + "\n" for n in WORDS))
    model = {"architecture": LLAMA if request.param == "causal-lm" else T5, "kind": request.param}
    settings = settings_of(file, model=model, data={"eval": str(file)}, effective_batch_size=16)
    return settings, load(settings)


def test_what_is_asked_for_is_taken(loaded: tuple[Settings, Workload]) -> None:
    settings, workload = loaded
    asked = changed(settings, "schedule", eval_batch_size=3, generation_batch_size=5)
    assert (evaluation_rows(asked, workload), generation_rows(asked, workload)) == (3, 5)


def test_the_tokens_at_a_time_follow_from_what_training_takes(loaded: tuple[Settings, Workload]) -> None:
    settings, workload = loaded
    for micro in (1, 2, 4, 8, 16):
        sized = changed(settings, "train", micro_batch_size=micro)
        assert evaluation_rows(sized, workload) == micro  # no row is longer than the longest trained
        saving = changed(sized, "train", gradient_checkpointing=True)
        assert generation_rows(saving, workload) <= generation_rows(sized, workload)
    few, many = (changed(settings, "schedule", max_new_tokens=n, beams=b) for n, b in ((4, 1), (64, 8)))
    assert generation_rows(many, workload) < generation_rows(few, workload)
    assert generation_rows(changed(settings, "schedule", max_new_tokens=100_000), workload) == 1


def test_a_recipes_rows_count_as_those_it_trains_on() -> None:
    model = torch.nn.Linear(1, 1)
    rows: list[Any] = [{"x": torch.zeros(1)}] * 4
    workload = Workload(
        name="recipe", model=model, tokenizer=None, train_dataset=rows, eval_dataset=rows,
        collator=default_collate, lengths=None, facts=DataFacts(train_rows=4), padding="recipe",
    )  # fmt: skip
    settings = changed(Settings(schedule=ScheduleSettings(generate=True)), "train", micro_batch_size=4)
    assert (evaluation_rows(settings, workload), generation_rows(settings, workload)) == (4, 4)
    assert evaluation_order(rows).tolist() == [0, 1, 2, 3]


def test_the_longest_rows_are_evaluated_first(loaded: tuple[Settings, Workload], tmp_path: Path) -> None:
    settings, workload = loaded
    trainer = make_trainer(settings, workload, tmp_path)
    widths = [batch["input_ids"].shape[1] for batch in trainer.get_eval_dataloader()]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) > 2


def test_an_evaluation_out_of_memory_takes_fewer_rows_and_says_so(
    loaded: tuple[Settings, Workload], tmp_path: Path
) -> None:
    """The model refuses more than two rows as torch's allocator does; more cannot be had without a small device."""
    settings, workload = loaded
    trainer = make_trainer(settings, workload, tmp_path)
    said: list[str] = []
    trainer.args.per_device_eval_batch_size = 8
    trainer._notice = said.append

    def refuse(module: Any, args: Any, inputs: dict[str, Any]) -> None:
        if len(inputs["input_ids"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    handle = workload.model.register_forward_pre_hook(refuse, with_kwargs=True)
    assert trainer.evaluate()["eval_loss"] > 0
    handle.remove()
    assert said == [
        "evaluating 8 rows at a time runs out of memory; it goes on with 4",
        "evaluating 4 rows at a time runs out of memory; it goes on with 2",
    ]
    assert trainer.args.per_device_eval_batch_size == 2
