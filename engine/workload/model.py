"""What is done to a loaded model and undone after a trial: the adapter and gradient checkpointing."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.errors import ConfigError
from speedtui.engine.workload.imports import without_bitsandbytes
from speedtui.engine.workload.pretrained import flash_missing
from speedtui.engine.workload.quantized import cast_biases, is_quantized
from speedtui.engine.workload.targets import find_targets, not_adaptable

_SAVED = "speedtui_saved"
"""Attribute of an adapted model: what its base was like before."""


@dataclass(frozen=True)
class _BeforeAdapters:
    trainable: dict[str, bool]
    """`requires_grad` by the parameter's name."""
    hooks: dict[str, set[int]]
    """Ids of forward hooks by the module's name; peft adds one to the input embeddings."""
    biases: dict[str, torch.Tensor]
    """Those of quantized layers, by name, in the precision that they were loaded in."""


def attach_lora(model: nn.Module, settings: LoraSettings) -> PeftModel:
    """Wraps any module's linear layers, and fused experts, in adapters; base weights are frozen, adapters float32.

    Raises:
        ConfigError: a target module does not exist or cannot have an adapter; the model has no linear layer; peft
            cannot do what the settings ask for.
    """
    targets = find_targets(model, settings)
    _drop_input_hooks(model)  # peft sets them again where they are needed, and would lose the handles of these
    saved = _BeforeAdapters(
        trainable={name: parameter.requires_grad for name, parameter in model.named_parameters()},
        hooks={name: set(module._forward_hooks) for name, module in model.named_modules()},
        biases=cast_biases(model),
    )
    lora = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha or 2 * settings.r,
        lora_dropout=settings.dropout,
        target_modules=targets.modules,
        target_parameters=targets.parameters or None,
        task_type=_task_type(model),
    )
    with warnings.catch_warnings():
        # peft calls transformers' is_gradient_checkpointing, which is on its way out
        warnings.simplefilter("ignore", FutureWarning)
        # of fused experts it looks up ranks among layers alone, and says that it found none
        warnings.filterwarnings("ignore", "The following (rank|alpha)_pattern keys", RuntimeWarning)
        try:
            with nullcontext() if any(map(is_quantized, model.parameters())) else without_bitsandbytes():
                adapted = get_peft_model(model, lora)
        except (ValueError, TypeError) as error:
            _unwrap(model)  # what was wrapped before it came to the layer that cannot be
            _restore(model, saved)
            raise not_adaptable(model, settings, error) from error
    setattr(adapted, _SAVED, saved)
    return adapted


def _unwrap(model: nn.Module) -> None:
    """Puts each layer back in the place of what peft has put around it."""
    wrapped = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, BaseTunerLayer)]
    for name, layer in reversed(wrapped):  # the innermost first
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, layer.base_layer)
    if hasattr(model, "peft_config"):
        del model.peft_config


def _restore(base: nn.Module, saved: _BeforeAdapters) -> None:
    """What is trainable, its biases and its hooks, as they were."""
    for name, parameter in base.named_parameters():
        parameter.requires_grad_(saved.trainable[name])
        parameter.grad = None
        if name in saved.biases:
            parameter.data = saved.biases[name]
    for name, module in base.named_modules():
        for hook in set(module._forward_hooks) - saved.hooks[name]:
            del module._forward_hooks[hook]


def _task_type(model: nn.Module) -> str | None:
    """peft's name for what the model does: it decides which arguments reach an encoder-decoder."""
    if not hasattr(model, "prepare_inputs_for_generation"):
        return None
    encoder_decoder = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    return "SEQ_2_SEQ_LM" if encoder_decoder else "CAUSAL_LM"


def detach_lora(adapted: PeftModel) -> nn.Module:
    """The base model as it was: its layers, its weights to the bit, what is trainable; without gradients.

    Gradient checkpointing stays as it is, for `set_gradient_checkpointing` to switch.
    """
    saved: _BeforeAdapters = getattr(adapted, _SAVED)
    base: nn.Module = adapted.unload()
    _restore(base, saved)
    return base


def set_attention(model: nn.Module, attention: str) -> None:
    """Switches the attention implementation where the model has one and it is another; "auto" is its own choice.

    Raises:
        ConfigError: it is a flash attention that cannot be had here.
    """
    config: Any = getattr(model, "config", None)
    switch = getattr(model, "set_attn_implementation", None)
    if switch is None:
        return
    if attention == "auto":
        attention = own_attention_of(model)
    if getattr(config, "_attn_implementation", attention) != attention:
        try:
            switch(attention)
        except ImportError as error:
            missing = flash_missing(attention, error)
            if not missing:
                raise
            raise ConfigError(missing, 'Set model.attention = "auto".') from error


def own_attention_of(model: Any) -> str:
    """What a loaded model of transformers runs with by its own choice."""
    return "sdpa" if getattr(model, "_supports_sdpa", False) else "eager"


def set_gradient_checkpointing(model: nn.Module, on: bool) -> None:
    """Switches recomputation of activations, for a model with or without an adapter.

    Raises:
        ConfigError: it is to be switched on and the model cannot do it.
    """
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    if not on:
        _switch_off(base)
        return
    if not hasattr(base, "gradient_checkpointing_enable"):
        raise _unsupported(base)
    _drop_input_hooks(base)  # enabling sets them, and a second time would lose the handles of the first
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the new name does not exist in transformers 5.0
            base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    except ValueError:
        raise _unsupported(base) from None
    if hasattr(base, "enable_input_require_grads") and not _has_input_hooks(base):
        base.enable_input_require_grads()


def _switch_off(base: Any) -> None:
    switched_on = any(getattr(module, "gradient_checkpointing", False) is True for module in base.modules())
    if switched_on and hasattr(base, "gradient_checkpointing_disable"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            base.gradient_checkpointing_disable()
    _drop_input_hooks(base)


def _drop_input_hooks(base: Any) -> None:
    if _has_input_hooks(base):
        base.disable_input_require_grads()


def _has_input_hooks(base: Any) -> bool:
    return bool(getattr(base, "_require_grads_hooks", None) or getattr(base, "_require_grads_hook", None))


def _unsupported(base: nn.Module) -> ConfigError:
    return ConfigError(
        f"train.gradient_checkpointing: {type(base).__name__} does not support it",
        "Set train.gradient_checkpointing = false, or give the model a gradient_checkpointing_enable method.",
    )


def loss_of(outputs: Any) -> torch.Tensor | None:
    """The loss in what a model's forward returned: under "loss", as `.loss`, or first; None where there is none."""
    if isinstance(outputs, dict):
        loss = outputs.get("loss")
    else:
        loss = getattr(outputs, "loss", None)
        if loss is None and isinstance(outputs, tuple | list) and outputs:
            loss = outputs[0]
    return loss if isinstance(loss, torch.Tensor) and loss.numel() == 1 else None
