"""How long a sequence a model has places for."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from speedtui.engine.errors import ConfigError
from speedtui.engine.workload.base import Workload

_TABLES = ("wpe", "embed_positions", "position_embeddings", "position_embedding", "positions_embed", "pos_encoding")
"""What transformers calls a table with a row for each place, learned or computed beforehand; reading past its end is
an IndexError. A relative bias and rotary angles that are computed as they are needed have none."""


class Places(NamedTuple):
    """Tokens that a model can take; None where it sets no bound."""

    source: int | None
    """In the encoder; of a model that has none the same as `target`."""
    target: int | None
    """In the decoder."""

    @property
    def least(self) -> int | None:
        """What neither side may be longer than."""
        return min((side for side in self if side is not None), default=None)


def places_of(model: nn.Module) -> Places:
    """As the model's own tables have it, so that what cannot be read past is told from what only gets worse there."""
    encoder: list[int] = []
    decoder: list[int] = []
    for name, rows in _tables(model):
        (encoder if "encoder" in name.split(".") else decoder).append(rows)
    target = min(decoder, default=None)
    encodes = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    source = min(encoder, default=target if not encodes else None)
    return Places(source, target)


def positions_of(base: Any) -> int | None:
    """Tokens that the model is made for, by its config; None where it sets no bound, as T5.

    A model with places for more, such as one with rotary angles, was not trained on them.
    """
    config: Any = getattr(base, "config", None)
    if hasattr(config, "get_text_config"):
        config = config.get_text_config(decoder=True)
    known = getattr(config, "max_position_embeddings", None)
    return known if isinstance(known, int) and known > 0 else None


def require_places(workload: Workload, max_length: int) -> None:
    """Refuses rows that are longer than the model has places for.

    `max_length`: what they were cut to.

    Raises:
        ConfigError: naming both numbers.
    """
    places = places_of(workload.model)
    for key, side, longest, most in _sides(workload, places):
        if most is not None and longest > most:
            raise ConfigError(
                f"{key} {max_length}: the longest {side} has {longest} tokens, and {workload.name} has places for "
                f"{most}",
                f"Set data.max_length = {places.least}; longer ones are then cut.",
            )


def beyond_training(workload: Workload) -> tuple[int, int] | None:
    """(tokens of the longest row, positions in the config) where the model takes more than it was made for."""
    known = positions_of(workload.model)
    longest = max((longest for _, _, longest, _ in _sides(workload, Places(None, None))), default=0)
    return (longest, known) if known is not None and longest > known else None


def _sides(workload: Workload, places: Places) -> list[tuple[str, str, int, int | None]]:
    """(setting, what it is, tokens of the longest, places for it) of the rows that are trained and evaluated on."""
    facts, found = workload.facts, []
    if workload.lengths is None:
        return []
    pairs = workload.target_lengths is not None
    what = "source" if pairs else "row"
    if facts.longest_tokens is not None:
        found.append(("data.max_length", what, facts.longest_tokens, places.source))
    if facts.longest_target_tokens is not None:
        found.append(("data.max_length", "target", facts.longest_target_tokens, places.target))
    for name, side, most in (("lengths", what, places.source), ("target_lengths", "target", places.target)):
        lengths = getattr(workload.eval_dataset, name, None)
        if lengths is not None and len(lengths):
            found.append(("data.max_length", f"{side} of data.eval", int(lengths.max()), most))
    return found


def _tables(model: nn.Module) -> list[tuple[str, int]]:
    """(name, places) of each table of positions."""
    found = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and name.rpartition(".")[2] in _TABLES:
            found.append((name, module.num_embeddings - _offset(module)))
        if hasattr(module, "build_mpt_alibi_tensor"):  # slopes for all places of its config, and for no more
            found.append((name, int(module.config.max_seq_len)))
    for name, tensor in _plain_tensors(model):
        if name.rpartition(".")[2] in _TABLES and tensor.ndim == 2:
            found.append((name, int(tensor.shape[0])))
    return found


def _offset(table: nn.Embedding) -> int:
    """Rows before that of the first token: BART, OPT keep two; RoBERTa counts on from the one that pads."""
    offset = getattr(table, "offset", None)
    if isinstance(offset, int):
        return offset
    return table.padding_idx + 1 if table.padding_idx is not None else 0


def _plain_tensors(model: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Buffers, and tensors that a module holds without saying so."""
    found = dict(model.named_buffers())
    for name, module in model.named_modules():
        for attribute in _TABLES:
            tensor = vars(module).get(attribute)
            if isinstance(tensor, torch.Tensor):
                found[f"{name}.{attribute}"] = tensor
    return list(found.items())
