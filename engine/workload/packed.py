"""Samples packed into rows of a dataset, and proof that a model keeps them apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from speedtui.engine.clean import clean
from speedtui.engine.errors import ConfigError, first_line
from speedtui.engine.workload.collate import IGNORED, PadPacks
from speedtui.engine.workload.failures import is_the_devices
from speedtui.engine.workload.packing import Packs, pack_lengths
from speedtui.engine.workload.token_store import TokenDataset

FIRST, SECOND = 7, 5
"""Tokens of the samples that the proof is made on: as few as make a border and something on both of its sides."""


class PackedDataset:
    """Packs by index: `input_ids`, `labels` (-100 where not learned), `position_ids`, each (tokens,), int64.

    Nothing is predicted across a border: the first token of a sample has no label. Positions begin at 0 with it.
    """

    def __init__(self, samples: TokenDataset, max_length: int, seed: int) -> None:
        self.packs: Packs = pack_lengths(samples.lengths, max_length, seed)
        self.lengths = self.packs.lengths
        """Tokens of each pack, (packs,), int32."""
        self._samples = samples

    def __len__(self) -> int:
        return len(self.packs)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return joined([self._samples[int(sample)] for sample in self.packs.members(index)])


def joined(samples: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """One pack of samples with `input_ids` and `labels`, (tokens,), int64."""
    labels = [sample["labels"].clone() for sample in samples]
    for of_sample in labels:
        of_sample[0] = IGNORED
    return {
        "input_ids": torch.cat([sample["input_ids"] for sample in samples]),
        "labels": torch.cat(labels),
        "position_ids": torch.cat([torch.arange(len(sample["input_ids"])) for sample in samples]),
    }


def require_isolation(model: nn.Module, name: str, autocast: torch.dtype | None = None) -> None:
    """Refuses a model to which a sample of a pack is not the same as the sample alone.

    No list of model types could be kept up: it depends on the model's code, on the attention implementation and on
    layers with a state of their own (Mamba, convolutions). So two packs of two samples are sent through the model,
    and the gradient of the second sample's outputs is followed back to the embeddings. Elsewhere than in that sample
    it must be zero, and exactly so: what is masked has a weight of zero in any precision. `autocast`: what the training
    is autocast to, since flash attention takes nothing wider than half precision.

    Raises:
        ConfigError: the model mixes samples, or does not take packs at all.
    """
    if leak := _leak(model, autocast):
        raise ConfigError(
            f"data.packing: {name} ({type(model).__name__}) {leak}",
            "Set data.packing = false; train.group_by_length saves padding with any model.",
        )


def _leak(model: nn.Module, autocast: torch.dtype | None) -> str:
    """What is wrong, as the end of a sentence; empty where nothing is."""
    was_training = model.training
    model.eval()  # without dropout: it would draw from the training's random numbers
    try:
        gradient = _embedding_gradient(model, autocast)
    except Exception as error:
        if is_the_devices(error):
            raise
        return f"does not take packed samples: {clean(first_line(error), 200)}"
    finally:
        model.train(was_training)
    own = gradient[0, FIRST : FIRST + SECOND]
    if not own.any():
        return "does not show where its outputs come from"
    if gradient.count_nonzero() > own.count_nonzero():
        return "lets a packed sample see the one before it"
    return ""


def _embedding_gradient(model: Any, autocast: torch.dtype | None) -> torch.Tensor:
    """Of the second sample's outputs in the first of two packs: (2, sequence, hidden)."""
    embeddings = model.get_input_embeddings()
    kept: list[torch.Tensor] = []

    def keep(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1]

    sizes = ((FIRST, SECOND), (SECOND, FIRST + 2))  # the first pack is padded
    batch = PadPacks(0)([joined([_sample(size, embeddings.num_embeddings) for size in pack]) for pack in sizes])
    device = embeddings.weight.device
    inputs = {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in batch.items()}
    del inputs["labels"]
    handle = embeddings.register_forward_hook(keep)
    try:
        with torch.autocast(device.type, autocast, enabled=autocast is not None):
            logits = model(**inputs).logits
    finally:
        handle.remove()
    outputs = logits[0, FIRST : FIRST + SECOND].float().square().sum()
    return torch.autograd.grad(outputs, kept[0])[0]


def _sample(tokens: int, vocabulary: int) -> dict[str, torch.Tensor]:
    ids = torch.arange(tokens) * tokens % vocabulary
    return {"input_ids": ids, "labels": ids}
