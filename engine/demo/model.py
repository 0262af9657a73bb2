"""The demo's model: a small Llama with random weights and a tokenizer of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from speedtui.engine.config.settings import ModelSettings
from speedtui.engine.workload.architecture import build_architecture, train_tokenizer, wrap_tokenizer
from speedtui.engine.workload.imports import quiet_libraries

VOCABULARY = 1024
"""Enough for every word and number of the corpus as one token."""

ARCHITECTURE: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 160,
    "intermediate_size": 448,
    "num_hidden_layers": 4,
    "num_attention_heads": 5,
    "num_key_value_heads": 5,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}
"""1.4 million parameters: a step of 16 samples takes a fraction of a second on one core."""


def save_model(folder: Path, texts: Iterable[str], seed: int) -> None:
    """Trains the tokenizer on the texts and writes both as `from_pretrained` reads them.

    Raises:
        OSError: the folder cannot be written.
    """
    quiet_libraries()
    tokenizer = wrap_tokenizer(train_tokenizer(iter(texts), VOCABULARY))
    settings = ModelSettings(architecture=ARCHITECTURE)
    model = build_architecture(settings, tokenizer, torch.device("cpu"), seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
