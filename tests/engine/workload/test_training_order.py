"""The real training reads its rows in the order that a prediction counts over, also after it was interrupted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.workload.base import token_counts
from speedtui.engine.workload.order import epoch_order
from tests.engine.workload.conftest import WriteRows
from tests.engine.workload.small import T5, WatchedTrainer, changed, load, make_trainer, settings_of, tokens_of, train

ROWS = 23
"""No multiple of a micro-batch or of an effective batch."""


@pytest.fixture
def rows_file(write_rows: WriteRows) -> Path:
    lengths = [(i * 7) % ROWS for i in range(ROWS)]
    return write_rows(
        "rows.jsonl", ({"question": f"{i}", "answer": "ab " * (n % 9 + 1)} for i, n in enumerate(lengths))
    )


@pytest.fixture
def settings(rows_file: Path, model_folder: Path) -> Settings:
    return settings_of(rows_file, model={"path": str(model_folder)}, epochs=3.0, effective_batch_size=6,
                       micro_batch_size=3, learning_rate=1e-3)  # fmt: skip


def seen(trainer: WatchedTrainer) -> list[list[int]]:
    """The dataset's rows of each micro-batch, known by their tokens."""
    rows: Any = trainer.train_dataset
    index = {tuple(rows[i]["input_ids"].tolist()): i for i in range(len(rows))}
    assert len(index) == len(rows)
    lines = []
    for batch in trainer.batches:
        kept = [row[mask.bool()] for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
        lines.append([index[tuple(row.tolist())] for row in kept])
    return lines


def expected(settings: Settings, epochs: int) -> list[list[int]]:
    workload = load(settings)
    micro = settings.train.micro_batch_size
    group = micro if settings.train.group_by_length else None
    batches = []
    for epoch in range(epochs):
        order = epoch_order(
            len(workload.train_dataset), workload.row_tokens, seed=settings.train.seed, epoch=epoch, group=group
        ).tolist()
        batches += [order[at : at + micro] for at in range(0, len(order), micro)]
    return batches


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("grouped", [False, True], ids=["shuffled", "grouped"])
def test_every_epoch_is_read_in_the_order_that_is_foretold(
    settings: Settings, tmp_path: Path, grouped: bool, workers: int
) -> None:
    settings = changed(settings, "train", group_by_length=grouped, loader_workers=workers)
    trainer = train(settings, tmp_path)
    assert trainer.state.global_step == 3 * 4
    assert seen(trainer) == expected(settings, 3)


def test_packs_and_pairs_are_read_in_the_order_that_is_foretold(
    settings: Settings, rows_file: Path, tmp_path: Path
) -> None:
    pairs = settings_of(rows_file, model={"kind": "seq2seq", "architecture": T5}, epochs=2.0, effective_batch_size=4,
                        micro_batch_size=2, group_by_length=True)  # fmt: skip
    for number, wanted in enumerate((pairs, changed(settings, "data", packing=True))):
        wanted = changed(wanted, "train", epochs=2.0)
        workload = load(wanted)
        trainer = train(wanted, tmp_path / str(number))
        batches = expected(wanted, 2)
        assert len(batches) == len(trainer.batches)
        for rows, batch in zip(batches, trainer.batches, strict=True):
            wanted_batch = workload.collator([workload.train_dataset[row] for row in rows])
            assert torch.equal(batch["input_ids"], wanted_batch["input_ids"])
            assert torch.equal(batch["labels"], wanted_batch["labels"])


@pytest.mark.parametrize(("stopped_after", "grouped"), [(2, False), (2, True), (4, True), (7, False), (7, True)])
def test_a_resumed_training_goes_on_as_if_it_had_not_been_interrupted(
    settings: Settings, tmp_path: Path, stopped_after: int, grouped: bool
) -> None:
    settings = changed(settings, "train", group_by_length=grouped)
    whole = make_trainer(settings, load(settings), tmp_path, save_at=stopped_after)
    whole.train()
    resumed = make_trainer(settings, load(settings), tmp_path)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{stopped_after}"))
    assert resumed.state.global_step == whole.state.global_step == 12
    assert len(resumed.losses) < len(whole.losses)
    assert resumed.losses == whole.losses[-len(resumed.losses) :]
    assert seen(resumed) == seen(whole)[-len(resumed.losses) :]
    shutil.rmtree(tmp_path / f"checkpoint-{stopped_after}")


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_seq2seq_training_is_resumed_exactly(rows_file: Path, tmp_path: Path, method: str) -> None:
    settings = settings_of(rows_file, model={"kind": "seq2seq", "architecture": T5}, max_steps=7, method=method,
                           effective_batch_size=6, micro_batch_size=2, group_by_length=True)  # fmt: skip
    torch.manual_seed(5)  # adapters are drawn from the process's own numbers
    whole = make_trainer(settings, load(settings), tmp_path, save_at=5)
    whole.train()
    resumed = make_trainer(settings, load(settings), tmp_path)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert resumed.losses == whole.losses[-len(resumed.losses) :]
    assert 0 < len(resumed.losses) < len(whole.losses)


def test_a_packed_training_is_resumed_exactly(settings: Settings, tmp_path: Path) -> None:
    settings = changed(changed(settings, "data", packing=True), "train", micro_batch_size=1, effective_batch_size=2)
    whole = make_trainer(settings, load(settings), tmp_path, save_at=3)
    whole.train()
    resumed = make_trainer(settings, load(settings), tmp_path)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert resumed.losses == whole.losses[-len(resumed.losses) :]
    assert 0 < len(resumed.losses) < len(whole.losses)


def test_grouping_leaves_less_padding_in_the_real_batches(settings: Settings, tmp_path: Path) -> None:
    padding = []
    for grouped in (False, True):
        trainer = train(changed(settings, "train", group_by_length=grouped, epochs=4.0), tmp_path)
        counts = [tokens_of(batch) for batch in trainer.batches]
        padding.append(sum(count[1] for count in counts if count is not None))
    assert padding[1] < padding[0] / 2


@pytest.mark.parametrize("lengths", [[1], [4, 4, 4, 4, 4]], ids=["one row", "rows of one length"])
@pytest.mark.parametrize("packing", [False, True], ids=["samples", "packs"])
def test_the_smallest_datasets_train(
    write_rows: WriteRows, model_folder: Path, tmp_path: Path, lengths: list[int], packing: bool
) -> None:
    path = write_rows("rows.jsonl", ({"question": f"{i}", "answer": "a" * n} for i, n in enumerate(lengths)))
    settings = settings_of(path, model={"path": str(model_folder)}, data={"packing": packing}, epochs=2.0,
                           effective_batch_size=16, micro_batch_size=4, group_by_length=True)  # fmt: skip
    trainer = train(settings, tmp_path)
    assert trainer.state.global_step == 2
    assert all(torch.tensor(trainer.losses).isfinite())


class KeywordModel(nn.Module):
    """A recipe's own module that takes whatever is in the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)

    def forward(self, **batch: torch.Tensor) -> dict[str, torch.Tensor]:
        assert set(batch) == {"x", "labels"}, set(batch)
        return {"loss": (self.head(batch["x"]) - batch["labels"]).square().mean()}


def test_a_recipes_module_gets_its_batch_and_its_losses_are_averaged(tmp_path: Path) -> None:
    from speedtui.engine.log.clock import RunClock
    from speedtui.engine.meter.meter import Meter
    from speedtui.engine.meter.phases import PhaseClock
    from speedtui.engine.trainer.arguments import training_arguments
    from tests.engine.workload.small import CPU

    rows = [{"x": torch.full((1,), float(i)), "labels": torch.ones(1)} for i in range(8)]
    steps = []
    for micro in (2, 8):
        torch.manual_seed(0)
        recipe = Settings(model=ModelSettings(kind="python", recipe="recipe.py:build"))
        recipe = changed(recipe, "train", effective_batch_size=8, micro_batch_size=micro, max_steps=1)
        trainer = WatchedTrainer(
            model=KeywordModel(), args=training_arguments(recipe, tmp_path, CPU), train_dataset=rows,
            meter=Meter(PhaseClock(), RunClock(), lambda step: None, token_counts=token_counts),
        )  # fmt: skip
        trainer.batches, trainer.losses = [], []
        trainer.train()
        steps.append(sum(trainer.losses))
    assert steps[0] == pytest.approx(steps[1], rel=1e-5)


def test_a_dataset_of_unknown_lengths_cannot_be_grouped(settings: Settings, tmp_path: Path) -> None:
    workload = load(settings)
    workload.train_dataset = [workload.train_dataset[i] for i in range(4)]
    with pytest.raises(ConfigError, match=r"train\.group_by_length needs the lengths"):
        make_trainer(changed(settings, "train", group_by_length=True), workload, tmp_path).train()
