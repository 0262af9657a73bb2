"""Adapters and gradient checkpointing leave no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.errors import ConfigError
from speedtui.engine.workload.guard import hash_tensor
from speedtui.engine.workload.model import attach_lora, detach_lora, loss_of, set_gradient_checkpointing


class TwoLayers(nn.Module):
    """A model that is not from transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.block = nn.ModuleDict({"inner": nn.Linear(4, 4)})
        self.head = nn.Linear(4, 1)
        self.head.requires_grad_(False)

    def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.head(self.block["inner"](self.table(ids))).square().mean()}


@pytest.fixture
def model(model_folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(model_folder)


def all_hashes(model: nn.Module) -> dict[str, str]:
    return {name: hash_tensor(tensor) for name, tensor in model.state_dict().items()}


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def train_a_little(model: Any, steps: int = 2, **batch: torch.Tensor) -> list[float]:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = loss_of(model(**batch))
        assert loss is not None
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def tokens() -> dict[str, torch.Tensor]:
    ids = torch.arange(24).reshape(2, 12)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}


def test_a_sweep_of_ranks_leaves_every_base_tensor_bit_identical(model: Any) -> None:
    before, layers = all_hashes(model), [name for name, _ in model.named_modules()]
    for checkpointing in (False, True):
        for rank in (1, 4, 16):
            adapted = attach_lora(model, LoraSettings(r=rank, dropout=0.1))
            set_gradient_checkpointing(adapted, checkpointing)
            train_a_little(adapted, **tokens())
            set_gradient_checkpointing(adapted, False)
            model = detach_lora(adapted)
            assert all_hashes(model) == before
    assert [name for name, _ in model.named_modules()] == layers
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert hooks(model) == 0


def test_an_adapter_trains_and_only_it(model: Any) -> None:
    adapted = attach_lora(model, LoraSettings(r=4))
    trained = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    assert adapted.peft_config["default"].lora_alpha == 8
    losses = train_a_little(adapted, steps=5, **tokens())
    assert losses[-1] < losses[0]


def test_adapters_of_a_bfloat16_model_are_float32(model: Any) -> None:
    adapted = attach_lora(model.to(torch.bfloat16), LoraSettings(r=2))
    assert {p.dtype for p in adapted.parameters() if p.requires_grad} == {torch.float32}


def test_any_module_can_be_adapted_and_gets_its_frozen_layers_back() -> None:
    model = TwoLayers()
    before = all_hashes(model)
    adapted = attach_lora(model, LoraSettings(r=2, target_modules=["inner"]))
    train_a_little(adapted, ids=torch.tensor([0, 1]))
    base = detach_lora(adapted)
    assert all_hashes(base) == before
    frozen = [name for name, p in base.named_parameters() if not p.requires_grad]
    assert frozen == ["head.weight", "head.bias"]


def test_an_unknown_target_names_the_linear_layers(model: Any) -> None:
    with pytest.raises(ConfigError, match=r"q_prj is not in the model; did you mean q_proj\?") as caught:
        attach_lora(model, LoraSettings(target_modules=["v_proj", "q_prj"]))
    assert "down_proj, gate_proj" in caught.value.hint


def test_a_target_that_is_no_linear_layer_is_refused_before_anything_is_changed(model: Any) -> None:
    with pytest.raises(ConfigError, match="mlp is not a linear layer"):
        attach_lora(model, LoraSettings(target_modules=["q_proj", "mlp"]))
    assert not any("lora" in name for name, _ in model.named_modules())


def test_a_model_without_linear_layers_cannot_be_adapted() -> None:
    with pytest.raises(ConfigError, match="Embedding has no linear layer"):
        attach_lora(nn.Embedding(2, 2), LoraSettings())


def test_checkpointing_changes_no_loss(model: Any) -> None:
    plain = loss_of(model(**tokens()))
    set_gradient_checkpointing(model, True)
    set_gradient_checkpointing(model, True)
    recomputed = loss_of(model(**tokens()))
    assert plain is not None
    assert recomputed is not None
    assert plain.item() == recomputed.item()
    set_gradient_checkpointing(model, False)
    assert hooks(model) == 0
    assert not any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def test_checkpointing_that_was_on_before_the_adapter_leaves_no_hook(model: Any) -> None:
    set_gradient_checkpointing(model, True)
    adapted = attach_lora(model, LoraSettings(r=2))
    train_a_little(adapted, **tokens())
    base = detach_lora(adapted)
    set_gradient_checkpointing(base, False)
    assert hooks(base) == 0


def test_a_model_that_cannot_recompute_says_so() -> None:
    with pytest.raises(ConfigError, match="TwoLayers does not support it"):
        set_gradient_checkpointing(TwoLayers(), True)
    set_gradient_checkpointing(TwoLayers(), False)


def test_the_loss_is_found_in_what_models_return() -> None:
    loss = torch.tensor(2.0)

    class Output:
        def __init__(self) -> None:
            self.loss = loss

    assert loss_of({"loss": loss}) is loss
    assert loss_of(Output()) is loss
    assert loss_of((loss, "logits")) is loss
    assert loss_of({"logits": loss}) is None
    assert loss_of(torch.ones(3)) is None
