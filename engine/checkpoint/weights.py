"""Saved tensors by name, read one at a time, and laid strictly over a model's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from speedtui.engine.checkpoint.facts import decode_json
from speedtui.engine.errors import ModelError

WHOLE = ("model.safetensors", "pytorch_model.bin")
"""transformers' names; safetensors first, as transformers reads them."""
SHOWN = 3
"""Names in a message: enough to see what they have in common."""


class SavedTensor:
    """A tensor in a file: its shape is known, its elements are read when asked for."""

    def __init__(self, shape: tuple[int, ...], read: Callable[[], torch.Tensor]) -> None:
        self.shape, self.read = shape, read


@contextmanager
def open_tensors(files: list[Path]) -> Iterator[dict[str, SavedTensor]]:
    """All tensors of safetensors or torch files, by name.

    Raises:
        ModelError: a file is damaged or cannot be read.
    """
    with ExitStack() as opened:
        tensors: dict[str, SavedTensor] = {}
        for file in files:
            try:
                tensors |= _safetensors(file, opened) if file.suffix == ".safetensors" else _torch(file)
            except Exception as error:  # safetensors and pickle have errors of their own kinds
                raise ModelError(f"{file}: cannot be read: {error}", "Take a model folder that is whole.") from error
        yield tensors


def whole_files(folder: Path) -> list[Path]:
    """The files that hold a model's whole weights, of all shards; empty where there are none."""
    for name in WHOLE:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            return [folder / shard for shard in sorted(set(decode_json(index.read_bytes())["weight_map"].values()))]
    return []


def lay_over(tensors: Mapping[str, SavedTensor], own: Mapping[str, torch.Tensor]) -> str | None:
    """Copies every saved tensor over the model's own of that name; or says what does not match, and copies none.

    Of own tensors that share their memory one is enough: a tied one is saved once.
    """
    problem = _mismatch(tensors, own)
    if problem is not None:
        return problem
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor.read())
    return None


def lay_converted(model: nn.Module, folder: Path) -> str | None:
    """As `lay_over`, where transformers saves a model's tensors under other names than it has them, as of experts.

    The weights are in memory twice while this lasts.
    """
    own: Any = model
    loaded, info = type(own).from_pretrained(
        folder, config=own.config, dtype=own.dtype, output_loading_info=True, local_files_only=True
    )
    for key, words in (("missing_keys", "not in the folder"), ("unexpected_keys", "not in the model")):
        if info[key]:
            return f"{words}: {_shown(sorted(map(str, info[key])))}"
    if info["mismatched_keys"]:
        return f"of another shape: {_shown(sorted(map(str, info['mismatched_keys'])))}"
    return lay_over(
        {
            name: SavedTensor(tuple(tensor.shape), partial(_itself, tensor))
            for name, tensor in loaded.state_dict().items()
        },
        model.state_dict(),
    )


def untied(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state as safetensors takes it: of tensors that are one and the same the first alone, each in one piece.

    For a module that is none of transformers'; its ties are there again when it is built again.
    """
    kept: dict[tuple[int, tuple[int, ...], tuple[int, ...]], str] = {}
    for name, tensor in state.items():
        place = (tensor.data_ptr() or id(tensor), tuple(tensor.shape), tensor.stride())
        kept.setdefault(place, name)
    return {name: state[name].contiguous() for name in kept.values()}


def _safetensors(path: Path, opened: ExitStack) -> dict[str, SavedTensor]:
    file = opened.enter_context(safe_open(path, framework="pt"))
    return {
        name: SavedTensor(tuple(file.get_slice(name).get_shape()), partial(file.get_tensor, name))
        for name in file.keys()  # noqa: SIM118  # it is no mapping
    }


def _torch(path: Path) -> dict[str, SavedTensor]:
    loaded: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return {name: SavedTensor(tuple(tensor.shape), partial(_itself, tensor)) for name, tensor in loaded.items()}


def _itself(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _mismatch(tensors: Mapping[str, SavedTensor], own: Mapping[str, torch.Tensor]) -> str | None:
    strange = sorted(set(tensors) - set(own))
    if strange:
        return f"not in the model: {_shown(strange)}"
    loaded = {own[name].data_ptr() for name in tensors}
    lacking = sorted(name for name in set(own) - set(tensors) if own[name].data_ptr() not in loaded)
    if lacking:
        return f"not in the folder: {_shown(lacking)}"
    for name in sorted(tensors):
        if tensors[name].shape != tuple(own[name].shape):
            return f"{name} is {tensors[name].shape} in the folder and {tuple(own[name].shape)} in the model"
    return None


def _shown(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
