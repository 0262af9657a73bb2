"""What of a model an adapter goes to: linear layers, and weights that belong to none, such as fused experts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from torch import nn
from transformers.pytorch_utils import Conv1D

from speedtui.engine.config.paths import nearest
from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.errors import ConfigError

ALL: Literal["all-linear"] = "all-linear"
READ_PAST_LAYERS = ("falcon_h1", "mamba", "mamba2", "falcon_mamba", "nemotron_h")
READ_PAST = ("out_proj", "conv1d")
"""Kinds of model, and their layers that peft refuses (`_check_lora_target_modules_mamba`), half of them wrapped."""


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
        ConfigError: the model has no linear layer; a target does not exist, cannot have an adapter or would not use
            it; fused experts are to have one with a dropout.
    """
    linear, fused = linear_names(model), fused_names(model)
    known = [*linear, *fused]
    if not known:
        raise ConfigError(
            f"train.lora: {type(model).__name__} has no linear layer for an adapter", 'Set train.method = "full".'
        )
    _require_reached(model, linear if settings.target_modules == ALL else [*settings.target_modules], linear)
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


class AdapterNote(NamedTuple):
    """What an adapter is, where its name does not say so."""

    text: str
    hint: str
    lacking: bool
    """Weights that somebody may take for adapted have no adapter."""


def adapter_notes(adapted: nn.Module, settings: LoraSettings) -> list[AdapterNote]:
    """Of "all-linear" in a mixture of experts: fused weights are no linear layers.

    For some kinds of model peft adapts them nevertheless, as the layers that they were before they were fused.
    """
    if settings.target_modules != ALL:
        return []
    reached = {name for module in adapted.modules() if (name := getattr(module, "parameter_name", None))}
    left = [name for name in fused_names(adapted) if name not in reached]
    notes = [_left_notes(adapted, left, settings)] if left else []
    config: Any = getattr(adapted, "peft_config", {}).get("default")
    for pattern, rank in (config.rank_pattern if config is not None else {}).items():
        what = f"train.lora: {pattern.rpartition('.')[2]} gets rank {rank} and not {settings.r}"
        notes.append(AdapterNote(f"{what}: it holds {rank // settings.r} layers fused into one", "", lacking=False))
    return notes


def _left_notes(adapted: nn.Module, left: list[str], settings: LoraSettings) -> AdapterNote:
    apart = sum(weight.numel() for name, weight in _weights_apart(adapted) if name.rpartition(".")[2] in left)
    share = apart / sum(p.numel() for p in adapted.parameters() if not p.requires_grad)
    reached = {name.rpartition(".")[2] for name, module in adapted.named_modules() if hasattr(module, "lora_A")}
    names = ", ".join(f'"{name}"' for name in sorted({*reached, *left}))
    dropout = ", and train.lora.dropout = 0" if settings.dropout else ""
    return AdapterNote(
        f"train.lora: all-linear leaves out the fused experts {' and '.join(left)}, {share:.0%} of the model",
        f"Set train.lora.target_modules = [{names}]{dropout} to adapt them too.",
        lacking=True,
    )


def not_adaptable(model: nn.Module, settings: LoraSettings, error: Exception) -> ConfigError:
    """What peft refused, in one line."""
    hint = "Name other layers in train.lora.target_modules."
    if settings.dropout and "dropout" in str(error):
        hint = "Set train.lora.dropout = 0, or name layers without fused experts in train.lora.target_modules."
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return ConfigError(f"train.lora: {type(model).__name__} cannot have this adapter: {reason}", hint)


def _require_reached(model: nn.Module, targets: list[str], linear: list[str]) -> None:
    """Refuses layers whose weights a model's own kernels read, so that an adapter around them does nothing."""
    if getattr(getattr(model, "config", None), "model_type", None) not in READ_PAST_LAYERS:
        return
    refused = [target for target in targets if target.rpartition(".")[2] in READ_PAST]
    if refused:
        head = _head(model)
        others = ", ".join(f'"{name}"' for name in linear if name not in (*READ_PAST, head))
        raise ConfigError(
            f"train.lora: {type(model).__name__} cannot have an adapter on {', '.join(refused)}, whose weights its "
            "kernels read past it",
            f"Set train.lora.target_modules = [{others}].",
        )


def _head(model: Any) -> str:
    """The output layer's last name, which all-linear leaves out; empty where there is none."""
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return next((name.rpartition(".")[2] for name, module in model.named_modules() if module is head), "")


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
