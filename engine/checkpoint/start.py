"""An earlier run's adapter or weights as what a training begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from torch import nn
from transformers import PreTrainedModel

from speedtui.engine.checkpoint.facts import decode_json
from speedtui.engine.checkpoint.weights import lay_converted, lay_over, open_tensors, whole_files
from speedtui.engine.errors import ModelError

ADAPTER = ("adapter_model.safetensors", "adapter_model.bin")
"""peft's names."""
ADAPTER_CONFIG = "adapter_config.json"
_SAME = {"r": ("r", "train.lora.r"), "lora_alpha": ("alpha", "train.lora.alpha")}
"""What of an adapter's config is part of the function that it computes: peft's name, ours, and the setting."""


def load_start(model: nn.Module, folder: Path, key: str = "model.start_from") -> str:
    """Loads a `model` folder over a model that is ready to be trained, strictly; returns what it was, for people.

    `key`: the setting that named the folder. A model that does not match is left as it was.

    Raises:
        ModelError: there is no such folder, it has no weights, or they are of another kind, rank, shape or name.
    """
    if not folder.is_dir():
        raise ModelError(f"{key}: {folder}: no such folder", "Name the model folder of an earlier run.")
    adapter = [folder / name for name in ADAPTER if (folder / name).is_file()]
    whole = whole_files(folder)
    if not adapter and not whole:
        raise ModelError(f"{key}: {folder}: no weights in it", "Name the model folder of an earlier run that finished.")
    if isinstance(model, PeftModel):
        return _load_adapter(model, folder, adapter[:1], key)
    return _load_whole(model, folder, whole, key)


def _load_adapter(model: PeftModel, folder: Path, files: list[Path], key: str) -> str:
    if not files:
        raise ModelError(
            f'{key}: {folder} holds whole weights, and train.method is "lora"',
            'Name it as model.path, so that the adapter is made for these weights, or set train.method = "full".',
        )
    config = _require_same_adapter(model, folder, key)
    own = _adapter_tensors(model)
    with open_tensors(files) as tensors:
        _require_match(lay_over(tensors, own), folder, key)
    return f"the adapter in {folder} (r {config['r']}, {len(own)} tensors)"


def _load_whole(model: nn.Module, folder: Path, files: list[Path], key: str) -> str:
    if not files:
        raise ModelError(
            f'{key}: {folder} holds an adapter, and train.method is "full"',
            'Set train.method = "lora", or merge the adapter into its model first.',
        )
    own = model.state_dict()
    with open_tensors(files) as tensors:
        convert = isinstance(model, PreTrainedModel) and not set(tensors) <= set(own)
        problem = None if convert else lay_over(tensors, own)
    if convert:
        try:
            problem = lay_converted(model, folder)
        except (OSError, ValueError, RuntimeError) as error:
            problem = f"cannot be loaded: {error}"
    _require_match(problem, folder, key)
    return f"the weights in {folder} ({len(own)} tensors)"


def _require_same_adapter(model: PeftModel, folder: Path, key: str) -> dict[str, Any]:
    try:
        config: dict[str, Any] = decode_json((folder / ADAPTER_CONFIG).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{key}: {folder / ADAPTER_CONFIG} cannot be read: {error}", "Take a model folder that is whole."
        ) from None
    own = model.peft_config[model.active_adapter]
    for name, (word, setting) in _SAME.items():
        there, here = config.get(name), getattr(own, name, None)
        if there != here:
            raise ModelError(
                f"{key}: {folder}: {word} {there} in the folder, {setting} = {here}", f"Set {setting} = {there}."
            )
    return config


def _adapter_tensors(model: PeftModel) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = get_peft_model_state_dict(
        model, adapter_name=model.active_adapter, save_embedding_layers=False
    )
    return tensors


def _require_match(problem: str | None, folder: Path, key: str) -> None:
    if problem is not None:
        raise ModelError(
            f"{key}: {folder}: {problem}", "The model and train.lora must be those that the folder was trained with."
        )
