"""A model without weights, from its config only."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig

from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.errors import ModelError
from speedtui.engine.memory.peak_model import MemoryRequest
from speedtui.engine.workload.architecture import DEFAULT_VOCABULARY, architecture_config
from speedtui.engine.workload.hub import check_source
from speedtui.engine.workload.model import attach_lora, set_attention, set_gradient_checkpointing
from speedtui.engine.workload.pretrained import DTYPES, auto_model, clear_errors, implementation
from speedtui.engine.workload.quantized import (
    freeze,
    quantize_empty,
    require_quantizable,
    set_compute_dtype,
    stored_quantization,
)

SPECIAL = 0
"""Id of every special token in a model that is only built to be looked at: in any vocabulary."""


def config_of(request: MemoryRequest) -> Any:
    """The transformers config that the workload would build or load its model with.

    Raises:
        ModelError: there is none.
    """
    model = request.settings.model
    config = _architecture(request) if model.architecture else _stored(model)
    if model.kind == "seq2seq":  # what it shifts its labels with; the workload takes them from the tokenizer
        for name in ("pad_token_id", "decoder_start_token_id"):
            if getattr(config, name, None) is None:
                setattr(config, name, SPECIAL)
    return config


def _architecture(request: MemoryRequest) -> Any:
    model = request.settings.model
    special = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), SPECIAL)
    return architecture_config(model, {"vocab_size": request.vocabulary or DEFAULT_VOCABULARY, **special})


def _stored(model: ModelSettings) -> Any:
    path = model.path or ""
    local = check_source(path, "model.path")
    with clear_errors(path, model):
        return AutoConfig.from_pretrained(path, trust_remote_code=model.trust_remote_code, local_files_only=local)


def build_model(config: Any, model: ModelSettings) -> nn.Module:
    """On the meta device, in training mode, as `load_pretrained` or `build_architecture` makes it.

    Raises:
        ModelError: it cannot be built without weights, or not quantized as it is asked for.
    """
    require_quantizable(model, config)
    if model.quantize == "none" and (stored := stored_quantization(config)):
        raise ModelError(f"its weights are stored in {stored}, whose layers are not known here")
    with clear_errors(_name(model), model), torch.device("meta"):
        built: nn.Module = auto_model(model).from_config(
            copy.deepcopy(config),
            dtype=DTYPES[model.dtype],
            attn_implementation=implementation(model.attention),
            trust_remote_code=model.trust_remote_code,
        )
    if model.path:
        _keep_in_float32(built, model.dtype)
    if model.quantize != "none":
        with clear_errors(_name(model), model):
            built = freeze(quantize_empty(built, model, config), _name(model))
    return built.train()


def _keep_in_float32(built: Any, dtype: str) -> None:
    """Layers which `from_pretrained`, though not `from_config`, leaves in float32, such as T5's `wo` in float16."""
    kept: set[str] = set()
    if dtype != "float32":
        kept |= set(getattr(built, "_keep_in_fp32_modules_strict", None) or ())
    if dtype == "float16":
        kept |= set(getattr(built, "_keep_in_fp32_modules", None) or ())
    for name, module in built.named_modules():
        if kept & set(name.split(".")):
            module.float()


def make_trainable(built: nn.Module, settings: Settings) -> nn.Module:
    """With the attention, adapter and checkpointing of the settings, as a trial makes it; adapters on the meta device.

    Raises:
        ConfigError: the model cannot have one of them.
    """
    set_attention(built, settings.model.attention)
    set_compute_dtype(built, settings)
    with torch.device("meta"):
        trained: nn.Module = attach_lora(built, settings.train.lora) if settings.train.method == "lora" else built
    set_gradient_checkpointing(trained, settings.train.gradient_checkpointing)
    config: Any = getattr(trained, "config", None)
    if hasattr(config, "use_cache"):
        config.use_cache = False  # as the Trainer does: keys and values that nobody reads would be copied
    return trained


def _name(model: ModelSettings) -> str:
    return f"model.architecture {model.architecture['model_type']}" if model.architecture else str(model.path)
