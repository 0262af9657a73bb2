"""A model's operations, counted on fake tensors and held against formulas."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.workload.base import DataFacts, Workload
from speedtui.engine.workload.flops import NotCounted, count_flops, math_precision, telling_row
from speedtui.engine.workload.model import attach_lora, set_gradient_checkpointing
from speedtui.engine.workload.weights_guard import hash_tensor

LAYERS, HIDDEN, HEADS, FEED, VOCABULARY = 2, 32, 2, 64, 50
LINEAR = LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * FEED) + HIDDEN * VOCABULARY
"""Weights of all matrices that a token is multiplied by, N of the formulas; looking up an embedding is none."""

ANGLES = (0, HIDDEN // HEADS)
"""Of a token, the table of its position's angles: some versions of transformers make it by a product."""


def llama(attention: str = "sdpa") -> Any:
    config = AutoConfig.for_model(
        "llama", hidden_size=HIDDEN, intermediate_size=FEED, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, vocab_size=VOCABULARY, max_position_embeddings=128,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention)


def stack(samples: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}


def of_rows(model: nn.Module, samples: list[Any], lengths: list[int] | None) -> Workload:
    return Workload(
        name="test", model=model, tokenizer=None, train_dataset=samples, eval_dataset=None, collator=stack,
        lengths=None if lengths is None else np.array(lengths, dtype=np.int32), padding="longest",
        facts=DataFacts(train_rows=len(samples)),
    )  # fmt: skip


def texts(model: nn.Module, *lengths: int) -> Workload:
    ids = [torch.arange(length) % VOCABULARY for length in lengths]
    samples = [{"input_ids": row, "attention_mask": torch.ones_like(row), "labels": row} for row in ids]
    return of_rows(model, samples, list(lengths))


def state(model: nn.Module) -> tuple[Any, ...]:
    tensors = {name: hash_tensor(tensor) for name, tensor in model.state_dict().items()}
    gradients = [parameter.grad is None for parameter in model.parameters()]
    return tensors, gradients, [module.training for module in model.modules()]


@pytest.mark.parametrize("length", [8, 40])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_full_fine_tuning_costs_six_times_its_weights_and_its_attention(length: int, attention: str) -> None:
    model = llama(attention)
    found = count_flops(model, texts(model, length))
    formula = 6 * LINEAR + 12 * LAYERS * HIDDEN * length  # PaLM, appendix B: 6 N + 12 L H Q T
    assert found.per_token is not None and found.per_token - formula in ANGLES
    assert found.per_sample == pytest.approx(found.per_token * length)


def test_frozen_weights_are_spared_their_own_gradient_alone() -> None:
    length, rank = 16, 2
    adapted = attach_lora(llama(), LoraSettings(r=rank))
    found = count_flops(adapted, texts(adapted, length))
    wide = LAYERS * rank * (4 * 2 * HIDDEN + 3 * (HIDDEN + FEED))
    below = 3 * (2 * HIDDEN * HIDDEN + 2 * rank * HIDDEN)  # nothing below the first layer has a gradient
    frozen = 4 * LINEAR + 6 * wide + 12 * LAYERS * HIDDEN * length - below
    assert found.per_token is not None and found.per_token - frozen in ANGLES


def test_what_is_only_recomputed_is_no_part_of_the_models_arithmetic() -> None:
    model = llama()
    plain = count_flops(model, texts(model, 24))
    set_gradient_checkpointing(model, True)
    model.train()
    assert count_flops(model, texts(model, 24)) == plain


@pytest.mark.parametrize("make", [llama, lambda: attach_lora(llama(), LoraSettings(r=2))])
def test_counting_leaves_the_model_as_it_was(make: Callable[[], nn.Module]) -> None:
    model = make()
    model.train()
    before = state(model)
    count_flops(model, texts(model, 12, 20))
    assert state(model) == before


def test_an_attention_of_another_library_is_counted_as_torchs_own_and_put_back() -> None:
    model = llama()
    plain = count_flops(model, texts(model, 24))
    model.config._attn_implementation = "flash_attention_2"  # which is not installed: nothing could run with it
    assert count_flops(model, texts(model, 24)) == plain
    assert model.config._attn_implementation == "flash_attention_2"


@pytest.mark.parametrize("seed", range(30))
def test_the_row_that_is_counted_costs_a_token_what_all_rows_do(seed: int) -> None:
    chance = random.Random(seed)
    lengths = np.array([chance.randint(1, 400) for _ in range(300)], dtype=np.int32)
    linear, square = chance.uniform(0, 9), chance.uniform(0, 0.1)
    exact = (linear * lengths + square * lengths.astype(float) ** 2).sum() / lengths.sum()
    row = lengths[telling_row(lengths)]
    assert linear + square * row == pytest.approx(exact, rel=0.02)


class Convolutions(nn.Module):
    """A recipe's model with a layer that normalizes over the batch, and images instead of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.normal = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.head(self.normal(self.narrow(pixels).mean((2, 3)))).square().mean()}


def test_a_recipe_without_tokens_is_counted_by_the_sample() -> None:
    model = Convolutions()
    found = count_flops(model, of_rows(model, [{"pixels": torch.rand(3, 8, 8)}] * 4, None))
    convolution, head = 2 * 4 * 3 * 3 * 3 * 8 * 8, 2 * 4 * 2
    assert found.per_token is None
    assert found.per_sample == pytest.approx(2 * convolution + 3 * head)  # images have no gradient


class LooksAtValues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 1)

    def forward(self, values: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.head(values).sum() if values.sum().item() > 0 else self.head(-values).sum()}


class Adds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(4))

    def forward(self, values: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": (values + self.shift).sum()}


class Quantized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.packed = nn.Parameter(torch.zeros(4, dtype=torch.uint8), requires_grad=False)


class Calls(nn.Module):
    """A model with a product of its own beside one that torch can count."""

    def __init__(self, product: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.head = nn.Linear(4, 4)
        self.product = product

    def forward(self, values: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.product(self.head(values)).sum()}


def in_groups(values: torch.Tensor) -> torch.Tensor:
    """A product that torch has no formula for, as those of a mixture of experts."""
    return torch.addbmm(torch.zeros(4, 4), values.T.expand(3, 4, 2), values.expand(3, 2, 4))


@torch.library.custom_op("speedtui_tests::twice", mutates_args=())
def of_another_library(values: torch.Tensor) -> torch.Tensor:
    return values * 2


of_another_library.register_fake(torch.empty_like)
of_another_library.register_autograd(lambda context, gradient: gradient * 2)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (LooksAtValues(), "DataDependent"),
        (Adds(), "no matrices"),
        (Quantized(), "quantized"),
        (Calls(in_groups), "addbmm.default has no formula"),
        (Calls(of_another_library), "twice.default has no formula"),
    ],
)
def test_what_cannot_be_counted_says_why(model: nn.Module, reason: str) -> None:
    with pytest.raises(NotCounted, match=reason):
        count_flops(model, of_rows(model, [{"values": torch.rand(4)}] * 2, None))


def test_precision_is_that_of_the_products() -> None:
    model = llama()
    assert math_precision(model, autocast=torch.bfloat16, tf32=True) == "bfloat16"
    assert math_precision(model, autocast=None, tf32=False) == "float32"
    assert math_precision(model, autocast=None, tf32=True) == "tf32"
    adapted = attach_lora(llama().bfloat16(), LoraSettings(r=2))
    assert {p.dtype for p in adapted.parameters() if p.requires_grad} == {torch.float32}
    assert math_precision(adapted, autocast=None, tf32=False) == "bfloat16", "the adapter's own are next to nothing"
    mixed = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2).half()])
    assert math_precision(mixed, autocast=None, tf32=False) == ""
