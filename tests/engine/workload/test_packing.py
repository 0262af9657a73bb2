"""Samples laid end to end: which share a pack, and that they stay strangers in it."""

from __future__ import annotations

import copy
import math
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader
from transformers import AttentionInterface, AttentionMaskInterface, AutoTokenizer

from speedtui.engine.config.settings import ModelSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.errors import ConfigError
from speedtui.engine.events import Notice
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState
from speedtui.engine.trainer.loaded import tell_loaded
from speedtui.engine.workload.architecture import build_architecture
from speedtui.engine.workload.base import CountedBatch
from speedtui.engine.workload.collate import PadPacks, PadRight
from speedtui.engine.workload.model import set_gradient_checkpointing
from speedtui.engine.workload.packed import joined, require_isolation
from speedtui.engine.workload.packing import pack_lengths
from speedtui.engine.workload.probe_batch import stress_dataset
from tests.engine.workload.conftest import WriteRows
from tests.engine.workload.small import CPU, LLAMA, changed, known, load, make_trainer, settings_of, tokens_of

ROWS = [{"question": f"{i} + {i} =", "answer": "x" * (i * 7 % 23 + 1)} for i in range(40)]


def lognormal(count: int, limit: int) -> NDArray[np.int32]:
    return np.clip(np.random.default_rng(1).lognormal(4, 0.9, count), 2, limit).astype(np.int32)


def sample(tokens: int, first: int = 1) -> dict[str, torch.Tensor]:
    """The first third is a prompt, of which nothing is learned."""
    ids = torch.arange(first, first + tokens) % 290
    labels = ids.clone()
    labels[: tokens // 3] = -100
    return {"input_ids": ids, "labels": labels}


def built(tokenizer: Any, attention: str = "sdpa", **fields: Any) -> Any:
    settings = ModelSettings(architecture=known({**LLAMA, **fields}), attention=attention)  # type: ignore[arg-type]
    return build_architecture(settings, tokenizer, CPU, seed=1)


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(model_folder)


@pytest.mark.parametrize(("count", "limit"), [(1, 8), (2, 8), (500, 128), (3000, 512)])
def test_every_sample_is_in_one_pack_that_is_not_too_long(count: int, limit: int) -> None:
    lengths = lognormal(count, limit)
    packs = pack_lengths(lengths, limit, seed=3)
    assert sorted(packs.order.tolist()) == list(range(count))
    members = [packs.members(pack) for pack in range(len(packs))]
    assert np.concatenate(members).tolist() == packs.order.tolist()
    assert packs.lengths.tolist() == [int(lengths[rows].sum()) for rows in members]
    assert packs.lengths.max() <= limit
    assert packs.samples_per_pack == count / len(packs)
    assert packs.fill == pytest.approx(lengths.sum() / (len(packs) * limit))


def test_hardly_a_pack_is_wasted() -> None:
    lengths = lognormal(5000, 1024)
    packs = pack_lengths(lengths, 1024, seed=3)
    assert len(packs) <= math.ceil(lengths.sum() / 1024) * 1.01


def test_packs_depend_on_the_seed_alone() -> None:
    lengths = lognormal(400, 256)
    first = pack_lengths(lengths, 256, seed=3)
    assert first.order.tolist() == pack_lengths(lengths, 256, seed=3).order.tolist()
    assert first.order.tolist() != pack_lengths(lengths, 256, seed=4).order.tolist()


def test_samples_of_one_length_fill_packs_evenly() -> None:
    packs = pack_lengths(np.full(10, 3, dtype=np.int32), 10, seed=0)
    assert packs.lengths.tolist() == [9, 9, 9, 3]
    assert len(pack_lengths(np.full(4, 10, dtype=np.int32), 10, seed=0)) == 4


def test_no_samples_make_no_packs() -> None:
    packs = pack_lengths(np.zeros(0, dtype=np.int32), 10, seed=0)
    assert (len(packs), packs.fill, packs.samples_per_pack) == (0, 0.0, 0.0)


def test_a_sample_that_fits_no_pack_is_refused() -> None:
    with pytest.raises(ValueError, match="from 3 to 11 do not pack into 10"):
        pack_lengths(np.array([3, 11], dtype=np.int32), 10, seed=0)


def test_packs_are_padded_and_nothing_is_learned_at_a_border() -> None:
    batch = PadPacks(9)([joined([sample(3), sample(4, 20)]), joined([sample(2, 50)])])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 20, 21, 22, 23], [50, 51, 9, 9, 9, 9, 9]]
    assert batch["labels"].tolist() == [[-100, 2, 3, -100, 21, 22, 23], [-100, 51] + 5 * [-100]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2, 3], [0, 1, 0, 1, 2, 3, 4]]
    assert batch["cu_seq_lens_q"].tolist() == [0, 3, 7, 9, 14]
    assert batch["max_length_k"] == 5
    assert "attention_mask" not in batch
    assert tokens_of(batch) == (9, 5)


def test_a_sample_keeps_its_own_labels_when_it_is_packed() -> None:
    alone = sample(3)
    joined([alone, alone])
    assert alone["labels"].tolist() == sample(3)["labels"].tolist()


def test_samples_that_are_not_packed_are_padded_as_ever() -> None:
    rows = [sample(3), sample(5)]
    packs, plain = PadPacks(9)(rows), PadRight(9)(rows)
    assert packs.keys() == plain.keys()
    assert all(torch.equal(packs[key], plain[key]) for key in plain)


def test_a_batch_of_packs_can_be_sent_and_copied_with_its_counts() -> None:
    batch = PadPacks(9)([joined([sample(3), sample(4)]), joined([sample(2)])])
    for other in (pickle.loads(pickle.dumps(batch)), copy.copy(batch)):
        assert tokens_of(other) == (9, 5)
    assert tokens_of(CountedBatch({"input_ids": torch.ones(2, 3)})) == (6, 0)  # rebuilt by a library


SINGLE = 5e-6
"""What two losses may differ by: transformers computes them in float32 whatever the model's own precision is."""
LIVELY = {"initializer_range": 0.3}
"""Weights with which attention matters; with the default's of 0.02 a model hardly looks at what came before."""

GROUPS = [[sample(9), sample(5, 40), sample(12, 80)], [sample(7, 120), sample(4, 160)]]


def alone(model: Any, samples: list[dict[str, torch.Tensor]]) -> tuple[float, int]:
    """(token-weighted mean of the samples' own losses, tokens learned)."""
    losses, counts = [], []
    for one in samples:
        labels = one["labels"].clone()
        labels[0] = -100
        losses.append(model(input_ids=one["input_ids"][None], labels=labels[None]).loss.item())
        counts.append(int((labels != -100).sum()))
    return float(np.average(losses, weights=counts)), sum(counts)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("micro", [1, 2])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_loss_of_packs_is_that_of_their_samples_alone(
    tokenizer: Any, attention: str, micro: int, checkpointing: bool
) -> None:
    model = built(tokenizer, attention, **LIVELY).double()
    groups = GROUPS[:micro]
    expected, _ = alone(model, [one for group in groups for one in group])
    set_gradient_checkpointing(model, checkpointing)
    loss = model(**PadPacks(0)([joined(group) for group in groups])).loss
    assert loss.item() == pytest.approx(expected, abs=SINGLE)
    naive = joined(GROUPS[0])
    naive["position_ids"] = torch.arange(len(naive["input_ids"]))
    mixed = model(**PadPacks(0)([naive])).loss.item()
    assert mixed != pytest.approx(alone(model, GROUPS[0])[0], abs=1000 * SINGLE)  # or the test could not fail


def test_gradients_of_a_pack_are_those_of_its_samples(tokenizer: Any) -> None:
    model = built(tokenizer, **LIVELY).double()
    _, total = alone(model, GROUPS[0])
    for one in GROUPS[0]:
        labels = one["labels"].clone()
        labels[0] = -100
        loss = model(input_ids=one["input_ids"][None], labels=labels[None]).loss
        (loss * int((labels != -100).sum()) / total).backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    model(**PadPacks(0)([joined(GROUPS[0])])).loss.backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def varlen(module: nn.Module, query: Any, key: Any, value: Any, mask: Any, scaling: float, **kwargs: Any) -> Any:
    """Attention by flash attention's convention: rows end to end, borders from its arguments and nowhere else."""
    rows, heads, width, size = query.shape
    flat = [t.transpose(1, 2).reshape(rows * width, t.shape[1], size).transpose(0, 1) for t in (query, key, value)]
    borders = kwargs["cu_seq_lens_q"].tolist()
    assert borders == kwargs["cu_seq_lens_k"].tolist()
    parts = []
    for start, end in pairwise(borders):
        assert end - start <= kwargs["max_length_q"]
        q, k, v = (t[:, start:end] for t in flat)
        parts.append(nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling))
    return torch.cat(parts, dim=1).transpose(0, 1).reshape(rows, width, heads, size), None


def test_flash_attention_is_told_the_borders_of_every_row(tokenizer: Any) -> None:
    AttentionInterface.register("varlen_reference", varlen)
    AttentionMaskInterface.register("varlen_reference", lambda **kwargs: None)
    expected, _ = alone(built(tokenizer, **LIVELY).double(), [one for group in GROUPS for one in group])
    model = built(tokenizer, **LIVELY).double()
    model.set_attn_implementation("varlen_reference")
    loss = model(**PadPacks(0)([joined(group) for group in GROUPS])).loss
    assert loss.item() == pytest.approx(expected, abs=SINGLE)


@pytest.mark.parametrize("fields", [
    {},
    {"model_type": "mistral", "sliding_window": 4},
    {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2},
])  # fmt: skip
def test_models_that_keep_samples_apart_are_taken(tokenizer: Any, fields: dict[str, Any]) -> None:
    model = built(tokenizer, **fields)
    before = torch.random.get_rng_state()
    require_isolation(model, "tiny")
    require_isolation(model, "tiny", torch.bfloat16)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("fields", [
    {"model_type": "bloom", "n_layer": 2, "n_head": 2},
    {"model_type": "opt", "ffn_dim": 64, "word_embed_proj_dim": 32},
    {"model_type": "lfm2", "layer_types": ["conv", "full_attention"]},
])  # fmt: skip
def test_models_that_would_mix_samples_are_refused(tokenizer: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="lets a packed sample see the one before it") as caught:
        require_isolation(built(tokenizer, "eager", **fields), "tiny")
    assert "data.packing = false" in caught.value.hint


def test_a_model_that_knows_no_positions_is_refused() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(50, 4)

        def get_input_embeddings(self) -> nn.Module:
            return self.table

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.table(input_ids)
            return out

    with pytest.raises(ConfigError, match=r"tiny \(Plain\) does not take packed samples: .*unexpected keyword"):
        require_isolation(Plain(), "tiny")


def test_a_packed_workload_trains_on_packs_and_evaluates_samples(
    write_rows: WriteRows, model_folder: Path, tmp_path: Path
) -> None:
    path = write_rows("rows.jsonl", ROWS)
    plain = settings_of(path, model={"path": str(model_folder)}, epochs=1.0, micro_batch_size=2, effective_batch_size=4)
    plain = changed(plain, "data", eval=str(path))
    packed = changed(plain, "data", packing=True)
    before, after = load(plain), load(packed)
    assert before.lengths is not None and after.lengths is not None
    assert after.packed
    assert after.facts.train_rows == len(after.train_dataset) == len(after.lengths) < 40
    assert after.facts.train_samples == before.facts.train_rows == after.facts.eval_rows == 40
    assert after.facts.packed_samples_per_pack == 40 / len(after.train_dataset)
    assert after.facts.packed_fill == pytest.approx(after.lengths.sum() / (len(after.lengths) * 48))
    for fact in ("longest_tokens", "mean_tokens", "total_tokens", "cut_rows", "dropped_rows"):
        assert getattr(after.facts, fact) == getattr(before.facts, fact)
    trainer = make_trainer(packed, after, tmp_path)
    trainer.train()
    assert trainer.state.global_step == math.ceil(math.ceil(len(after.lengths) / 2) / 2)
    seen = [tokens_of(after.collator([after.train_dataset[i]])) for i in range(len(after.lengths))]
    assert [tokens for tokens, _ in seen if tokens] == after.lengths.tolist()  # type: ignore[misc]
    assert sum(int((batch["labels"] != -100).sum()) for batch in trainer.batches) > 0
    assert all("attention_mask" not in batch for batch in trainer.batches)
    assert math.isfinite(trainer.evaluate()["eval_loss"])


def test_training_on_packs_learns_as_training_on_their_samples(
    write_rows: WriteRows, model_folder: Path, tmp_path: Path
) -> None:
    """One step over everything: the same tokens, so the same loss, packed or not."""
    path = write_rows("rows.jsonl", ROWS)
    plain = settings_of(path, model={"path": str(model_folder)}, max_steps=1, effective_batch_size=40)
    packed = changed(plain, "data", packing=True)
    losses = []
    for settings in (plain, packed):
        workload = load(settings)
        rows = len(workload.train_dataset)
        trainer = make_trainer(changed(settings, "train", effective_batch_size=rows), workload, tmp_path)
        trainer.train()
        losses.append(sum(trainer.losses))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_what_a_row_is_now_is_said_once(write_rows: WriteRows, model_folder: Path, tmp_path: Path) -> None:
    path = write_rows("rows.jsonl", ROWS)
    log = EventLog(tmp_path / "events.jsonl", RunClock())
    for packing in (False, True):
        settings = settings_of(path, model={"path": str(model_folder)}, data={"packing": packing})
        order = Order(job="tune", started_at=0.0)
        context = JobContext(RunFolder(tmp_path), settings, order, log, RunState(), frozenset())
        tell_loaded(context, load(settings), settings, 0.0)
    log.close()
    notices = [event.text for event in read_events(tmp_path / "events.jsonl") if isinstance(event, Notice)]
    (text,) = notices
    assert text.startswith("packed: 40 rows in ")
    assert text.endswith("% full; a row of an effective batch is a pack")


def test_a_single_row_is_a_single_pack(write_rows: WriteRows, model_folder: Path, tmp_path: Path) -> None:
    path = write_rows("one.jsonl", ROWS[:1])
    settings = settings_of(path, model={"path": str(model_folder)}, data={"packing": True}, max_steps=2,
                           effective_batch_size=8, micro_batch_size=2)  # fmt: skip
    trainer = make_trainer(settings, load(settings), tmp_path)
    trainer.train()
    assert [batch["input_ids"].shape[0] for batch in trainer.batches] == [1, 1]


@pytest.mark.parametrize("micro", [1, 3])
def test_each_stress_batch_of_packs_has_a_border_and_one_pad_token(
    write_rows: WriteRows, model_folder: Path, micro: int
) -> None:
    path = write_rows("rows.jsonl", [*ROWS, {"question": "long", "answer": "z" * 200}])
    workload = load(settings_of(path, model={"path": str(model_folder)}, data={"packing": True}))
    assert workload.lengths is not None
    assert workload.lengths.max() == 48
    stress = stress_dataset(workload, micro, 2)
    batches = list(DataLoader(stress, batch_size=micro, collate_fn=workload.collator))  # type: ignore[arg-type]
    assert len(batches) == 2
    for batch in batches:
        assert batch["input_ids"].shape == (micro, 48)
        assert (batch["position_ids"].diff() != 1).any(dim=1).all()
        assert tokens_of(batch) == ((48, 0) if micro == 1 else (48 * micro - 1, 1))
        assert workload.model(**batch).loss.isfinite()


def test_padding_is_foretold_as_the_collator_makes_it(write_rows: WriteRows, model_folder: Path) -> None:
    path = write_rows("rows.jsonl", ROWS)
    workload = load(settings_of(path, model={"path": str(model_folder)}, data={"packing": True, "max_length": 40}))
    rows = np.arange(len(workload.train_dataset) // 2 * 2).reshape(-1, 2)
    for batch, tokens, padded in zip(rows, workload.tokens(rows), workload.padded_tokens(rows), strict=True):
        counted = tokens_of(workload.collator([workload.train_dataset[int(i)] for i in batch]))
        assert counted == (tokens, padded - tokens)
