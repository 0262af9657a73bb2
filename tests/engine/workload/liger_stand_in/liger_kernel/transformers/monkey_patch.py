"""As liger-kernel 0.8: functions and classes of the model's file, a method of its class, methods and attributes of its
modules. What it computes is a little off, so that a trace of it shows."""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn
from transformers.models.llama import modeling_llama

OFF = 1.001
plain_rotation = modeling_llama.apply_rotary_pos_emb
plain_forward = modeling_llama.LlamaForCausalLM.forward
plain_mlp = modeling_llama.LlamaMLP.forward


class LigerRMSNorm(nn.Module):
    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        variance = hidden.float().pow(2).mean(-1, keepdim=True)
        own: Any = self
        return own.weight * (OFF * hidden.float() * torch.rsqrt(variance + own.variance_epsilon)).to(hidden.dtype)


def liger_rotary_pos_emb(query: torch.Tensor, key: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    return plain_rotation(query * OFF, key, *args, **kwargs)


def lce_forward(self: Any, *args: Any, **kwargs: Any) -> Any:
    return plain_forward(self, *args, **kwargs)


def mlp_forward(self: Any, hidden: torch.Tensor) -> torch.Tensor:
    return plain_mlp(self, hidden) * OFF  # type: ignore[no-any-return]


def apply_liger_kernel_to_llama(model: Any = None) -> None:
    file: Any = modeling_llama
    file.apply_rotary_pos_emb, file.LlamaRMSNorm = liger_rotary_pos_emb, LigerRMSNorm
    file.LlamaForCausalLM.forward = lce_forward
    model.forward = MethodType(lce_forward, model)
    for layer in model.model.layers:
        layer.mlp.__dict__["forward"] = MethodType(mlp_forward, layer.mlp)
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            norm.offset, norm.in_place, norm.variance_epsilon = 0.0, True, norm.variance_epsilon or 1e-6
            norm.__dict__["forward"] = LigerRMSNorm.forward.__get__(norm, norm.__class__)
            norm.__dict__["_get_name"] = (lambda self: "LigerRMSNorm").__get__(norm, norm.__class__)


MODEL_TYPE_TO_APPLY_LIGER_FN = {"llama": apply_liger_kernel_to_llama}


def _apply_liger_kernel_to_instance(model: Any, **kwargs: Any) -> None:
    MODEL_TYPE_TO_APPLY_LIGER_FN[model.config.model_type](model=model, **kwargs)
