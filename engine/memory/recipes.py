"""A recipe's model without weights, and its own micro-batches."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import msgspec
from accelerate import init_empty_weights
from torch import nn
from transformers import set_seed

from speedtui.engine.config.settings import ModelSettings, Settings, TrainSettings
from speedtui.engine.memory.batch import NewBatch, stress_batches
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.probe_batch import longest_index
from speedtui.engine.workload.recipe import build_recipe


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
