"""The micro-batch that a memory probe would see, made of nothing but its lengths, and a recipe's own."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import torch
from accelerate import init_empty_weights
from torch import nn
from transformers import set_seed

from speedtui.engine.config.settings import ModelSettings, Settings, TrainSettings
from speedtui.engine.memory.peak_model import MemoryRequest
from speedtui.engine.workload.base import Collator, silent
from speedtui.engine.workload.collate import MASK, PadPacks, PadPairs, PadRight
from speedtui.engine.workload.probe_batch import StressDataset, longest_index, with_border, without_border
from speedtui.engine.workload.recipe import build_recipe

PAD = 0


class NewBatch(Protocol):
    """Makes micro-batches."""

    def __call__(self, micro_batch_size: int, /, *, bare: bool = False) -> Any:
        """A collated micro-batch of so many rows, on the CPU; `bare`: without padding, and of packs of one sample."""


def batches_of(request: MemoryRequest, vocabulary: int) -> NewBatch:
    """Micro-batches of the longest sample, one token shorter in the last row where there are two rows or more.

    A pack is as long as data.max_length allows.
    """
    settings = request.settings
    pair = settings.model.kind == "seq2seq"
    collator: Collator
    whole = None
    if pair:
        targets = request.longest_target_tokens or request.longest_tokens
        sample = {"input_ids": _ids(request.longest_tokens, vocabulary), "labels": _ids(targets, vocabulary)}
        collator = PadPairs(PAD)
    elif settings.data.packing:
        ids = _ids(settings.data.max_length, vocabulary)
        sample = with_border({"input_ids": ids, "labels": ids, "position_ids": torch.arange(len(ids))})
        whole = without_border(sample)
        collator = PadPacks(PAD)
    else:
        ids = _ids(request.longest_tokens, vocabulary)
        sample, collator = {"input_ids": ids, "labels": ids}, PadRight(PAD)
    return stress_batches(sample, collator, pair=pair, whole=whole, masked=request.masked)


def stress_batches(
    sample: Any, collator: Collator, *, pair: bool = False, whole: Any = None, masked: bool = True
) -> NewBatch:
    """Micro-batches as the memory probe has them.

    `whole`: the sample of bare ones, where it is another; `masked`: they keep the mask they are collated with.
    """

    def new(micro_batch_size: int, /, *, bare: bool = False) -> Any:
        rows = StressDataset(sample, collator, micro_batch_size, 1, pair=pair, bare=int(bare), whole=whole)
        batch = collator([rows[index] for index in range(micro_batch_size)])
        return batch if masked else {name: value for name, value in batch.items() if name != MASK}

    return new


def _ids(tokens: int, vocabulary: int) -> torch.Tensor:
    """Any that are no padding."""
    return torch.arange(tokens) % max(vocabulary - 1, 1) + (PAD + 1)


def recipe_of(settings: Settings) -> tuple[Callable[[], nn.Module], NewBatch]:
    """(makes the model anew, makes micro-batches of its longest sample); built once for all of its requests.

    Only parameters are without memory: data and buffers are made as they always are.

    Raises:
        RecipeError: it cannot be built in that way.
    """
    recipe = Settings(
        model=ModelSettings(kind="python", recipe=settings.model.recipe), recipe=settings.recipe,
        train=TrainSettings(seed=settings.train.seed),
    )  # fmt: skip
    model, batch = _built(msgspec.json.encode(recipe, order="deterministic"))
    return lambda: copy.deepcopy(model), batch


@functools.lru_cache(maxsize=1)
def _built(encoded: bytes) -> tuple[nn.Module, NewBatch]:
    settings = msgspec.json.decode(encoded, type=Settings)
    set_seed(settings.train.seed)
    with init_empty_weights():
        recipe = build_recipe(settings)
    if recipe.collator is None:  # never: build_recipe fills it in
        raise AssertionError("a built recipe has a collator")
    sample = recipe.train_dataset[longest_index(recipe.train_dataset, None, silent)]
    return recipe.model.train(), stress_batches(sample, recipe.collator)
