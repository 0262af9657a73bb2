"""Base models in 4 and 8 bits, by bitsandbytes: how they are loaded, and what their weights consist of.

A quantized weight is a parameter of packed numbers. The scales to read it with are neither parameters nor buffers:
4-bit ones hang on the weight, 8-bit ones move to the layer's state with its first forward pass.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.errors import ModelError
from speedtui.engine.units import format_share
from speedtui.engine.workload.precision import autocast_dtype

BITS = {"nf4": 4, "int8": 8}


def require_quantizable(settings: ModelSettings, config: Any) -> None:
    """Refuses weights that are stored in other bits than those asked for.

    `config`: the model's, as transformers reads it.

    Raises:
        ModelError: saying which bits.
    """
    stored, wanted = stored_quantization(config), settings.quantize
    name = settings.path or f"model.architecture {(settings.architecture or {}).get('model_type')}"
    if wanted == "none" and stored in BITS:
        raise ModelError(f"{name}: its weights are stored in {stored}", f'Set model.quantize = "{stored}".')
    if wanted != "none" and stored not in (None, wanted):
        hint = f' or set model.quantize = "{stored}".' if stored in BITS else "."
        raise ModelError(
            f'{name}: its weights are stored in {stored}, of which model.quantize "{wanted}" cannot be made',
            f"Take the model that was not quantized yet{hint}",
        )


def stored_quantization(config: Any) -> str | None:
    """What a stored model's weights are in: nf4 or int8 by bitsandbytes, else its method's name; None: as they are."""
    stored = getattr(config, "quantization_config", None)
    if stored is None:
        return None
    fields: dict[str, Any] = stored if isinstance(stored, dict) else stored.to_dict()
    if fields.get("load_in_4bit"):
        return str(fields.get("bnb_4bit_quant_type", "fp4"))
    if fields.get("load_in_8bit"):
        return "int8"
    return str(fields.get("quant_method", "another quantization"))


def quantization(settings: ModelSettings, config: Any) -> Any:
    """The `BitsAndBytesConfig` of a model; None where it is not quantized. One that is stored so keeps its own.

    nf4 quantizes its scales too: of 4.5 bits a weight that leaves 4.13 (arXiv:2305.14314, section 3).
    """
    stored = getattr(config, "quantization_config", None)
    if settings.quantize == "none":
        return None
    from transformers import BitsAndBytesConfig

    new: Any = BitsAndBytesConfig
    if stored is not None:
        return new.from_dict(stored) if isinstance(stored, dict) else stored
    if settings.quantize == "int8":
        return new(load_in_8bit=True)
    return new(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, settings.dtype),
    )  # fmt: skip


def freeze(model: Any, name: str) -> Any:
    """The loaded model as adapters are put on it: frozen, and float32 where it is not quantized.

    Raises:
        ModelError: none of its layers could be quantized.
    """
    from peft.utils import other

    if not any(is_quantized(weight) for weight in model.parameters()):
        raise ModelError(
            f"{name}: model.quantize found no linear layer but the output layer", 'Set model.quantize = "none".'
        )
    prepare: Any = other.prepare_model_for_kbit_training
    prepared = prepare(model, use_gradient_checkpointing=False)  # which each trial switches by itself
    for module in prepared.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # else evaluating repacks weights, which then train nothing
    return prepared


def set_compute_dtype(model: nn.Module, settings: Settings) -> None:
    """What 4-bit layers compute in: that of autocast, else `model.dtype`; 8-bit ones go by what they are given."""
    dtype = autocast_dtype(settings.train) or getattr(torch, settings.model.dtype)
    layer: Any
    for layer in model.modules():
        if _of_4_bits(_weight(layer)):
            layer.compute_dtype = dtype


def multiplies_in_half(model: nn.Module) -> bool:
    """Whether some of its products are of 16 bits without autocast: by its weights, or by what packed ones compute in.

    8-bit layers round what they are given to float16 first (bitsandbytes' MatMul8bitLt).
    """
    half = (torch.float16, torch.bfloat16)
    if any(weight.dtype in half or _of_8_bits(weight) for weight in model.parameters()):
        return True
    return any(getattr(layer, "compute_dtype", None) in half for layer in model.modules() if _of_4_bits(_weight(layer)))


def _weight(module: nn.Module) -> Any:
    """The parameter of that name of a module's own, of scripted ones too; None where there is none."""
    return dict(module.named_parameters(recurse=False)).get("weight")


def held_tensors(model: nn.Module) -> list[torch.Tensor]:
    """All that a model holds: parameters, buffers, and what quantized weights are read with."""
    return [*model.parameters(), *model.buffers(), *(tensor for _, tensor in scale_tensors(model))]


def scale_tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, tensor) of what quantized weights are read with; the name begins with that of the weight."""
    for name, module in model.named_modules():
        weight: Any = _weight(module)
        place = f"{name}.weight"
        if _of_4_bits(weight):
            yield from _of_state(place, weight.quant_state)
        elif _of_8_bits(weight):
            scales = _scales(module)
            if scales is not None:
                yield f"{place}.SCB", scales


def _of_state(place: str, state: Any) -> Iterator[tuple[str, torch.Tensor]]:
    for key, value in vars(state).items():
        if isinstance(value, torch.Tensor):
            yield f"{place}.{key}", value
        elif key == "state2" and value is not None:
            yield from _of_state(f"{place}.{key}", value)


def _scales(module: Any) -> torch.Tensor | None:
    """Of 8 bits: with the weight, or with the layer's state once it was used."""
    for holder in (module.weight, getattr(module, "state", None)):
        scales = getattr(holder, "SCB", None)
        if isinstance(scales, torch.Tensor):
            return scales
    return None


def reading_facts(weight: torch.Tensor) -> str:
    """How a 4-bit weight is read besides its tensors; empty for any other. What it is read into is no part of it."""
    state = getattr(weight, "quant_state", None)
    return "" if state is None else f"{state.quant_type} {state.blocksize} {tuple(state.shape)} {state.nested}"


def parameter_count(parameters: Iterable[torch.Tensor]) -> int:
    """Elements of all, those of packed ones as they were before."""
    return sum(_elements(parameter) for parameter in parameters)


def _elements(parameter: torch.Tensor) -> int:
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else math.prod(state.shape)


def quantized_words(model: nn.Module, quantize: str) -> str:
    """How much of a model is quantized, for people."""
    packed = parameter_count(weight for weight in model.parameters() if is_quantized(weight))
    share = packed / parameter_count(model.parameters())
    return f"{quantize}: {format_share(share)} of the parameters are in {BITS[quantize]} bits, the others in float32"


def cast_biases(model: nn.Module) -> dict[str, torch.Tensor]:
    """The biases that bitsandbytes puts others in the place of, of the type that a layer is given, by name."""
    return {
        f"{name}.bias": module.bias.data
        for name, module in model.named_modules()
        if is_quantized(_weight(module)) and isinstance(module.bias, nn.Parameter)
    }


def quantize_empty(model: Any, settings: ModelSettings, config: Any) -> nn.Module:
    """A model on the meta device with the layers that `from_pretrained` would give it, without their memory."""
    from bitsandbytes import functional
    from transformers.quantizers.auto import AutoHfQuantizer

    functional.quantize_4bit(torch.zeros(1, 64), compress_statistics=True)  # it keeps its first table: a real one
    quantizer: Any = AutoHfQuantizer.from_config(quantization(settings, config), pre_quantized=False)
    quantizer.preprocess_model(model, device_map={"": "cpu"})
    for module in model.modules():
        weight: Any = _weight(module)
        if hasattr(weight, "quant_storage"):
            packed, state = functional.quantize_4bit(
                weight.data, blocksize=weight.blocksize, compress_statistics=weight.compress_statistics,
                quant_type=weight.quant_type, quant_storage=weight.quant_storage,
            )  # fmt: skip
            module.weight = type(weight)(
                packed, requires_grad=False, quant_state=state, blocksize=weight.blocksize, bnb_quantized=True,
                compress_statistics=weight.compress_statistics, quant_type=weight.quant_type,
            )  # fmt: skip
        elif hasattr(weight, "has_fp16_weights"):
            packed, scales, _ = functional.int8_vectorwise_quant(weight.data.to(torch.float16))
            module.weight = type(weight)(packed, requires_grad=False, CB=packed, SCB=scales)
    quantized: nn.Module = quantizer.postprocess_model(model)
    return quantized


def carry_scales(weight: Any, stand_in: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Hangs on a stand-in what a quantized weight is read with, each tensor changed."""
    if _of_4_bits(weight):
        stand_in.quant_state = _changed(weight.quant_state, change)
    elif _of_8_bits(weight):
        stand_in.has_fp16_weights = False
        stand_in.CB, stand_in.SCB = stand_in.detach(), change(weight.SCB)


def _changed(state: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    changed = copy.copy(state)
    for key, value in vars(state).items():
        if isinstance(value, torch.Tensor):
            setattr(changed, key, change(value))
        elif key == "state2" and value is not None:
            changed.state2 = _changed(value, change)
    return changed


def is_quantized(weight: Any) -> bool:
    """Whether this is a weight in 4 or 8 bits, also where a stand-in carries its scales."""
    return _of_4_bits(weight) or _of_8_bits(weight)


def _of_4_bits(weight: Any) -> bool:
    return getattr(weight, "quant_state", None) is not None


def _of_8_bits(weight: Any) -> bool:
    return isinstance(weight, nn.Parameter) and weight.dtype == torch.int8 and hasattr(weight, "has_fp16_weights")
