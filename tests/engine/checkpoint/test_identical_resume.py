"""A training that was interrupted goes on as if it had not been: the same losses, rates and weights, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.config.settings import LoraSettings, ModelSettings, Settings, TrainSettings
from speedtui.engine.trainer.loaders import kept_randomness
from tests.engine.checkpoint.resuming import Recorded, differences, make_recorded, train_resumed, train_whole
from tests.engine.workload.small import LLAMA, T5, changed, load, settings_of

ROWS = 19
"""10 micro-batches of 2, the last of 1 row; 4 steps of 3 micro-batches, the last of 1: nothing divides evenly."""
STEPS = 8
"""2 epochs of 4."""
STOPS = (4, 5)
"""At the first epoch's end, and within the second."""


DROPPING = {**LLAMA, "attention_dropout": 0.1}
LORA = {"method": "lora", "lora": LoraSettings(r=4, dropout=0.1)}


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    rows = [{"question": str(i), "answer": "ab " * (i * 7 % 9 + 1)} for i in range(ROWS)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def settings(rows: Path, architecture: dict[str, Any] = DROPPING, **train: Any) -> Settings:
    kind = {"kind": "seq2seq"} if architecture["model_type"] == "t5" else {}
    steps = {"epochs": 2.0, "effective_batch_size": 6, "micro_batch_size": 2, "lr_warmup_steps": 2, **train}
    data = {"packing": steps.pop("packing", False), "eval": str(rows)}
    return settings_of(rows, model={"architecture": architecture, **kind}, data=data, **steps)


@pytest.mark.parametrize(
    "case",
    [
        {},
        {**LORA, "group_by_length": True},
        {"lr_schedule": "constant", "loader_workers": 2, "lr_warmup_steps": 5},
        {
            **LORA,
            "packing": True,
            "micro_batch_size": 1,
            "effective_batch_size": 2,
            "epochs": 4.0,
            "lr_schedule": "linear",
        },
        {"architecture": {**T5, "dropout_rate": 0.1}, "group_by_length": True},
        {"architecture": {**DROPPING, "tie_word_embeddings": True}, "bf16": True, "optimizer": "adafactor"},
    ],
    ids=["full cosine", "lora grouped", "full constant workers", "lora packs", "pairs", "tied bf16"],
)
def test_a_resumed_training_ends_as_an_uninterrupted_one(rows_file: Path, tmp_path: Path, case: dict[str, Any]) -> None:
    wanted = settings(rows_file, **case)
    whole = train_whole(wanted, tmp_path, STOPS)
    assert whole.state.global_step > max(STOPS)
    for step in STOPS:
        assert differences(whole, train_resumed(wanted, tmp_path, step), step) == []


def test_the_comparison_knows_another_training(rows_file: Path, tmp_path: Path) -> None:
    wanted = settings(rows_file, **LORA, epochs=1.0)
    whole = train_whole(wanted, tmp_path, [2])
    (tmp_path / "checkpoint-2" / "rng_state.pth").unlink()
    assert differences(whole, train_resumed(wanted, tmp_path, 2), 2) != []


def test_evaluations_that_keep_randomness_do_not_change_the_training(rows_file: Path, tmp_path: Path) -> None:
    class Keeping(Recorded):
        def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
            with kept_randomness():
                return super().evaluate(*args, **kwargs)

    wanted = changed(settings(rows_file, **LORA, epochs=1.0), "data", eval_rows=2)
    plain = train_whole(wanted, tmp_path, [])
    evaluating = make_recorded(wanted, load(wanted), tmp_path, evaluates=True, kind=Keeping)
    evaluating.train()
    assert len(evaluating.state.log_history) >= STEPS / 2  # it has evaluated after every step
    assert differences(plain, evaluating, 0) == []
    bare = train_whole(wanted, tmp_path, [], evaluates=True)
    assert differences(plain, bare, 0) != []  # or there was nothing to keep


def test_a_training_that_had_reached_its_last_step_makes_no_further_one(rows_file: Path, tmp_path: Path) -> None:
    wanted = settings(rows_file, max_steps=6)
    whole = train_whole(wanted, tmp_path, [6])
    resumed = train_resumed(wanted, tmp_path, 6)
    assert resumed.state.global_step == 6
    assert differences(whole, resumed, 6) == []


def test_weights_that_are_saved_under_other_names_are_there_again(rows_file: Path, tmp_path: Path) -> None:
    wanted = settings(rows_file, {**DROPPING, "model_type": "mixtral", "num_local_experts": 2}, epochs=1.0)
    whole = train_whole(wanted, tmp_path, [2])
    assert differences(whole, train_resumed(wanted, tmp_path, 2), 2) == []


TIED_RECIPE = """
import torch
from torch import nn

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.drop = nn.Linear(4, 4), nn.Linear(4, 4), nn.Dropout(0.1)
        self.second.weight = self.first.weight

    def forward(self, x):
        return {"loss": self.second(self.drop(self.first(x))).square().mean()}

def build():
    return {"model": Tied(), "train_dataset": [{"x": torch.full((4,), i / 10)} for i in range(10)]}
"""


def test_a_recipes_tied_weights_can_be_saved_and_are_there_again(tmp_path: Path) -> None:
    path = tmp_path / "recipe.py"
    path.write_text(TIED_RECIPE)
    wanted = Settings(
        model=ModelSettings(kind="python", recipe=f"{path}:build"),
        train=TrainSettings(method="full", epochs=1.0, effective_batch_size=4, micro_batch_size=2),
    )
    whole = train_whole(wanted, tmp_path, [2])
    resumed = train_resumed(wanted, tmp_path, 2)
    assert differences(whole, resumed, 2) == []
    model: Any = resumed.model
    assert model.first.weight is model.second.weight
