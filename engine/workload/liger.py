"""Kernels of the package liger-kernel: put into a loaded model, and taken out of it and of transformers again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from speedtui.engine.errors import ConfigError
from speedtui.engine.workload.packages import require_liger_package

_WRITTEN_OVER = "speedtui_liger"
"""Attribute of a model with such kernels: what they took the place of."""
_ABSENT = object()
Place = tuple[Any, str, Any]
"""(module, class or file; an attribute of it; its value before, `_ABSENT` where there was none)."""


def require_liger(device: torch.device) -> None:
    """Refuses the kernels where there are none.

    Raises:
        ConfigError: on the CPU, for which they are not written.
        UsageError: the package is not installed.
    """
    if device.type != "cuda":
        raise ConfigError("train.liger needs a GPU: its kernels are written in Triton", "Set train.liger = false.")
    require_liger_package()


def apply_liger(model: nn.Module) -> None:
    """Puts the kernels into a model of transformers, before it has an adapter.

    Raises:
        ConfigError: the package knows no such model.
    """
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN, _apply_liger_kernel_to_instance

    config: Any = getattr(model, "config", None)
    kind = getattr(config, "model_type", type(model).__name__)
    if kind not in MODEL_TYPE_TO_APPLY_LIGER_FN:  # it would log that, and leave the model as it is
        raise ConfigError(f"train.liger: liger-kernel knows no model of type {kind}", "Set train.liger = false.")
    before = [(owner, dict(vars(owner))) for owner in _owners(model)]
    try:
        _apply_liger_kernel_to_instance(model=model)
    except BaseException:
        _put_back(_written_over(before))
        raise
    vars(model)[_WRITTEN_OVER] = _written_over(before)


def remove_liger(model: nn.Module) -> None:
    """The model and the code of its kind as they were; nothing where it has no such kernels."""
    _put_back(vars(model).pop(_WRITTEN_OVER, []))


def _owners(model: nn.Module) -> Iterator[Any]:
    """What liger-kernel writes into: the modules, and the files of their classes with all classes in them.

    What it left in a file would be in every model of that kind, for as long as the process lives.
    """
    yield from model.modules()
    names = {type(module).__module__ for module in model.modules()}
    for file in (sys.modules[name] for name in names if name.startswith("transformers.models.")):
        yield file
        yield from (value for value in vars(file).values() if isinstance(value, type) and value.__module__ in names)


def _written_over(before: list[tuple[Any, dict[str, Any]]]) -> list[Place]:
    places: list[Place] = []
    for owner, attributes in before:
        now = vars(owner)
        for name in now.keys() | attributes.keys():
            old = attributes.get(name, _ABSENT)
            if now.get(name, _ABSENT) is not old:
                places.append((owner, name, old))
    return places


def _put_back(places: list[Place]) -> None:
    for owner, name, old in places:
        if old is not _ABSENT:
            setattr(owner, name, old)
        elif name in vars(owner):
            delattr(owner, name)
