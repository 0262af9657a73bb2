"""Models and tokenizers from a folder or the hub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from speedtui.engine.config.settings import ModelSettings
from speedtui.engine.errors import ModelError
from speedtui.engine.workload.hub import check_source, require_model_in
from speedtui.engine.workload.memory import is_out_of_memory

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_pretrained(settings: ModelSettings, device: torch.device) -> PreTrainedModel:
    """`settings.path` through `from_pretrained`, on the device, in training mode.

    Raises:
        ModelError: no such folder or hub id, not a causal language model, broken files, attention not available.
    """
    path = settings.path or ""
    local = check_source(path, "model.path")
    if Path(path).is_dir():
        require_model_in(Path(path))
    with clear_errors(path, settings):
        model = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=DTYPES[settings.dtype],
            attn_implementation=settings.attention,
            trust_remote_code=settings.trust_remote_code,
            local_files_only=local,
        )
    return place(model, device)


def place(model: Any, device: torch.device) -> PreTrainedModel:
    """The model on the device, in training mode."""
    placed: PreTrainedModel = model.to(device).train()
    return placed


def load_tokenizer(settings: ModelSettings) -> PreTrainedTokenizerBase:
    """The tokenizer of `settings.tokenizer`, by default of `settings.path`, with a pad token.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    key = "model.tokenizer" if settings.tokenizer else "model.path"
    path = settings.tokenizer or settings.path or ""
    local = check_source(path, key)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            path, trust_remote_code=settings.trust_remote_code, local_files_only=local
        )
    except Exception as error:  # the tokenizer libraries raise what they like, bare Exception included
        absent = "instantiate the backend tokenizer" in str(error)  # ten lines on where it has looked
        raise ModelError(
            f"{path}: no tokenizer that can be loaded: {'it holds none' if absent else _first_line(error)}",
            "Set model.tokenizer to a folder or hub id that has one.",
        ) from error
    with_pad_token(tokenizer)
    return tokenizer


def with_pad_token(tokenizer: PreTrainedTokenizerBase) -> None:
    """Pads with the end-of-sequence token where there is no other: padding is masked and not learned."""
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        tokenizer.pad_token = tokenizer.eos_token


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuses a tokenizer with ids the model has no embedding for; on a GPU they would poison the device.

    Raises:
        ModelError: naming both sizes.
    """
    embeddings: Any = model.get_input_embeddings()
    rows = int(embeddings.num_embeddings)
    if rows < len(tokenizer):
        raise ModelError(
            f"{name}: the model knows {rows} tokens (vocab_size), the tokenizer has {len(tokenizer)}",
            "Take the tokenizer that belongs to the model, or set vocab_size in model.architecture.",
        )


@contextlib.contextmanager
def clear_errors(name: str, settings: ModelSettings) -> Iterator[None]:
    """Turns what transformers raises while it builds a model into one line.

    Raises:
        ModelError: with the original as its cause. Running out of memory is passed on as it is.
    """
    try:
        yield
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(f"{name}: {_missing_package(error, settings)}", _attention_hint(settings, error)) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{name}: cannot be loaded: {_first_line(error)}", _attention_hint(settings, error)) from error


def _missing_package(error: ImportError, settings: ModelSettings) -> str:
    if settings.attention == "flash_attention_2" and "lash" in str(error):
        return "model.attention flash_attention_2 needs the package flash-attn, which is not installed"
    return f"cannot be loaded: {_first_line(error)}"


def _attention_hint(settings: ModelSettings, error: Exception) -> str:
    text = str(error).lower()
    if "flash" in text:
        return 'Set model.attention = "sdpa", or install flash-attn.'
    if "scaled_dot_product_attention" in text or "attention implementation" in text:
        return 'Set model.attention = "eager".'
    if "trust_remote_code" in text:
        return "Set model.trust_remote_code = true if you trust the code in that repository."
    return "See worker.log for the whole error."


def _first_line(error: Exception) -> str:
    """Or the first two, where the first only announces the second."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    shown = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return f"{shown:.300}"
