"""A model in training made to write for a while, and put back as it was."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import GenerationConfig
from transformers.utils import logging

SAMPLING = ("temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff")
"""Flags of a search that draws; beside `do_sample=False` transformers warns of each."""
BEAM_ONLY = ("early_stopping", "length_penalty")


def base_of(model: nn.Module) -> Any:
    """The model that generates: without the wrapper of a compiler or of an adapter, whose layers are in it."""
    model = getattr(model, "_orig_mod", model)
    return model.get_base_model() if isinstance(model, PeftModel) else model


@contextmanager
def answering(model: nn.Module, autocast: torch.dtype | None) -> Iterator[Any]:
    """The base model in evaluation mode, without gradients or recomputation, with a cache; all as before afterwards."""
    base = base_of(model)
    training = [module for module in model.modules() if module.training]
    recomputing = [module for module in base.modules() if getattr(module, "gradient_checkpointing", False) is True]
    parameter = next(base.parameters(), None)
    device = "cpu" if parameter is None else parameter.device.type
    try:
        model.eval()
        for module in recomputing:
            module.gradient_checkpointing = False
        with _cache(base), _silence(), torch.no_grad(), torch.autocast(device, autocast, enabled=autocast is not None):
            yield base
    finally:
        for module in recomputing:
            module.gradient_checkpointing = True
        for module in training:  # each by itself: a recipe may keep a part of its model in evaluation mode
            module.training = True


@contextmanager
def _cache(base: Any) -> Iterator[None]:
    config: Any = getattr(base, "config", None)
    if not hasattr(config, "use_cache"):
        yield
        return
    before = config.use_cache
    config.use_cache = True
    try:
        yield
    finally:
        config.use_cache = before


@contextmanager
def _silence() -> Iterator[None]:
    """Without transformers' advice, which is for who calls it."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)


@contextmanager
def configured(base: Any, config: GenerationConfig) -> Iterator[None]:
    """The model with another generation config: what is not in the one it is called with, it takes from its own."""
    before = getattr(base, "generation_config", None)
    base.generation_config = config
    try:
        yield
    finally:
        base.generation_config = before


def generation_config(
    base: Any, *, beams: int, max_new_tokens: int, pad: int, stops: list[int]
) -> GenerationConfig:  # fmt: skip
    """The model's own with a search that draws nothing: the same texts each time.

    What belongs to the model stays: forced and suppressed tokens, penalties, its own end tokens beside `stops`.
    """
    own: GenerationConfig | None = getattr(base, "generation_config", None)
    config: Any = copy.deepcopy(own) if own is not None else GenerationConfig()  # type: ignore[no-untyped-call]
    for name in SAMPLING if beams > 1 else (*SAMPLING, *BEAM_ONLY):
        setattr(config, name, None)
    config.do_sample, config.num_beams, config.use_cache = False, beams, True
    config.num_return_sequences, config.return_dict_in_generate = 1, False
    config.max_length, config.max_new_tokens = None, max_new_tokens
    if (config.min_length or 0) > max_new_tokens:
        config.min_length = None
    config.pad_token_id = pad
    own_stops = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    config.eos_token_id = sorted({*stops, *(int(stop) for stop in own_stops if stop is not None)}) or None
    if config.decoder_start_token_id is None:
        config.decoder_start_token_id = getattr(base.config, "decoder_start_token_id", None)
    return config  # type: ignore[no-any-return]  # its fields are untyped
