"""What of a model an adapter goes to: linear layers, and weights that belong to none, such as fused experts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from torch import nn
from transformers.pytorch_utils import Conv1D

from speedtui.engine.config.paths import nearest
from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.errors import ConfigError

ALL: Literal["all-linear"] = "all-linear"


class Targets(NamedTuple):
    """As peft takes them."""

    modules: list[str] | Literal["all-linear"]
    parameters: list[str]


def linear_names(model: nn.Module) -> list[str]:
    """Last parts of the linear layers' names, such as `q_proj`, each once."""
    return sorted({name.rpartition(".")[2] for name, module in model.named_modules() if _is_linear(module)})


def fused_names(model: nn.Module) -> list[str]:
    """Last parts of the names of weights that an adapter can go to and that are no layer, each once.

    Those with an axis for the expert: transformers keeps all experts of a layer in one, such as `gate_up_proj`.
    """
    return sorted({name.rpartition(".")[2] for name, weight in _weights_apart(model) if weight.ndim == 3})


def find_targets(model: nn.Module, settings: LoraSettings) -> Targets:
    """The targets that are asked for, each found in the model.

    peft ignores names that match nothing beside one that does, and fails half-way on a layer it cannot wrap.

    Raises:
        ConfigError: the model has no linear layer; a target does not exist or cannot have an adapter; fused experts
            are to have one with a dropout.
    """
    linear, fused = linear_names(model), fused_names(model)
    known = [*linear, *fused]
    if not known:
        raise ConfigError(
            f"train.lora: {type(model).__name__} has no linear layer for an adapter", 'Set train.method = "full".'
        )
    if settings.target_modules == ALL:
        return Targets(ALL, [])
    if not settings.target_modules:
        raise ConfigError("train.lora.target_modules is empty", _hint(known))
    found = Targets([], [])
    for target in settings.target_modules:
        _place(model, target, found, known)
    if found.parameters and settings.dropout:
        raise ConfigError(
            f"train.lora.dropout: {settings.dropout:g} does not go with {', '.join(found.parameters)}, which an "
            "adapter cannot drop anything of",
            "Set train.lora.dropout = 0, or leave them out of train.lora.target_modules.",
        )
    return found


def not_adaptable(model: nn.Module, settings: LoraSettings, error: Exception) -> ConfigError:
    """What peft refused, in one line."""
    hint = "Name other layers in train.lora.target_modules."
    if settings.dropout and "dropout" in str(error):
        hint = "Set train.lora.dropout = 0, or name layers without fused experts in train.lora.target_modules."
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return ConfigError(f"train.lora: {type(model).__name__} cannot have this adapter: {reason}", hint)


def _place(model: nn.Module, target: str, found: Targets, known: list[str]) -> None:
    """Puts a target where peft wants it."""
    modules = [module for name, module in model.named_modules() if _matches(name, target)]
    weights = [weight for name, weight in _weights_apart(model) if _matches(name, target)]
    every = [name for name, _ in model.named_parameters() if _matches(name, target)]
    if modules and not every and all(map(_is_linear, modules)):
        assert isinstance(found.modules, list)
        found.modules.append(target)
    elif weights and not modules and len(weights) == len(every):
        found.parameters.append(target)
    else:
        problem = "is not a linear layer" if modules or every else "is not in the model" + nearest(target, known)
        raise ConfigError(f"train.lora.target_modules: {target} {problem}", _hint(known))


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith("." + target)


def _weights_apart(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """(name, weight) of matrices, alone or one for each expert, of modules that torch has no layer for."""
    for name, module in model.named_modules():
        if type(module).__module__.startswith("torch.nn.") or _is_linear(module):
            continue
        for last, weight in module.named_parameters(recurse=False):
            if weight.ndim in (2, 3) and not last.endswith("bias"):
                yield f"{name}.{last}" if name else last, weight


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | Conv1D)


def _hint(known: list[str]) -> str:
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f'Take "all-linear" or some of: {shown}.'
