"""Predictions in the user's cache folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.config.settings import ModelSettings
from speedtui.engine.memory.peak_model import MemoryRequest, Prediction
from speedtui.engine.workload.cache import cache_folder, key_of, prune, replacing, touch
from speedtui.engine.workload.packages import installed

VERSION = 4
"""Counts changes in how a peak is predicted."""
PACKAGES = ("torch", "transformers", "peft", "accelerate")
"""Whose code is run on fake tensors."""


def key_of_request(request: MemoryRequest) -> str | None:
    """The same for all requests with the same answer; None where what it depends on cannot be told from here.

    That is a recipe, which may read anything, and a model that is yet to be downloaded.
    """
    settings = request.settings
    model, train = settings.model, settings.train
    identity = _identity(model)
    if model.kind == "python" or identity is None:
        return None
    adapter = (train.lora.r, train.lora.dropout > 0, train.lora.target_modules) if train.method == "lora" else None
    lengths = settings.data.max_length if settings.data.packing else request.longest_tokens
    parts = [
        VERSION, [installed(name) for name in PACKAGES], identity, model.kind, model.dtype, model.attention, adapter,
        train.gradient_checkpointing, train.bf16, train.fp16, train.liger,
        train.optimizer, train.max_grad_norm > 0, settings.data.packing,
        lengths, request.longest_target_tokens, request.device, request.capability,
        request.masked,
        request.vocabulary if model.architecture and "vocab_size" not in model.architecture else None,
    ]  # fmt: skip
    if model.quantize != "none":
        parts += [model.quantize, installed("bitsandbytes")]
    return key_of(msgspec.to_builtins(parts))


def kept(key: str | None) -> Prediction | None:
    """What was predicted before; None where nothing was, or it cannot be read."""
    if key is None:
        return None
    path = _path(key)
    try:
        prediction = msgspec.json.decode(path.read_bytes(), type=Prediction)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return None
    touch(path)
    return msgspec.structs.replace(prediction, seconds=0.0)


def keep(key: str | None, prediction: Prediction) -> None:
    """For the next time; a cache that cannot be written is no reason to fail."""
    if key is None:
        return
    path = _path(key)
    try:
        with replacing(path) as file:
            file.write(msgspec.json.encode(prediction))
    except OSError:
        return
    prune(path.parent)


def _path(key: str) -> Path:
    return cache_folder("memory") / f"{key}.json"


def _identity(model: ModelSettings) -> Any:
    """What tells one model from another: its fields, or its config's content and, where it brings some, its code."""
    if model.architecture:
        return model.architecture
    path = Path(model.path or "")
    if not path.is_dir():
        config = _downloaded(model.path or "")
        return None if config is None or model.trust_remote_code else [model.path, config]
    files = [path / "config.json", *(sorted(path.glob("*.py")) if model.trust_remote_code else [])]
    try:
        return [[file.name, file.read_text(encoding="utf-8", errors="replace")] for file in files]
    except OSError:
        return None


def _downloaded(name: str) -> str | None:
    """The config of a hub id in the hub's local cache."""
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        file = try_to_load_from_cache(name, "config.json")
        return Path(file).read_text(encoding="utf-8") if isinstance(file, str) else None
    except (HFValidationError, OSError):
        return None
