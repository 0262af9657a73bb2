"""Adapters and gradient checkpointing leave no trace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from speedtui.engine.checkpoint.start import load_start
from speedtui.engine.config.settings import LoraSettings, TrainSettings
from speedtui.engine.errors import ConfigError
from speedtui.engine.trainer.loaded import trained_of
from speedtui.engine.workload.model import attach_lora, detach_lora, loss_of, set_gradient_checkpointing
from speedtui.engine.workload.targets import Targets
from speedtui.engine.workload.weights_guard import hash_tensor


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


EXPERTS: dict[str, dict[str, int]] = {
    "mixtral": {"num_local_experts": 4},
    "qwen3_moe": {"num_experts": 4, "moe_intermediate_size": 16, "head_dim": 16},
    "gpt_oss": {"num_local_experts": 4, "head_dim": 16},
}


def experts(model_type: str) -> Any:
    config = AutoConfig.for_model(
        model_type, hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, vocab_size=100, num_experts_per_tok=2, **EXPERTS[model_type],
    )  # fmt: skip
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager")


def adapted_weights(adapted: nn.Module) -> dict[str, int]:
    """Elements of the weights that have an adapter, by the last part of their name."""
    found: dict[str, int] = {}
    for name, module in adapted.named_modules():
        if getattr(module, "lora_A", None):
            fused = getattr(module, "parameter_name", None)
            weight: Any = module.get_param() if hasattr(module, "get_param") else module.base_layer.weight
            last = fused or name.rpartition(".")[2]
            found[last] = found.get(last, 0) + weight.numel()
    return found


@pytest.mark.parametrize("model_type", EXPERTS)
def test_fused_experts_that_are_named_are_adapted_train_and_leave_no_trace(model_type: str, tmp_path: Path) -> None:
    model = experts(model_type)
    before, names = all_hashes(model), [name for name, _ in model.named_parameters()]
    sizes = {name.rpartition(".")[2]: 0 for name in names}
    for name, weight in model.named_parameters():
        sizes[name.rpartition(".")[2]] += weight.numel()
    adapted = attach_lora(model, LoraSettings(r=2, target_modules=["q_proj", "gate_up_proj", "down_proj"]))
    found = adapted_weights(adapted)
    assert found.keys() == {"q_proj", "gate_up_proj", "down_proj"}
    assert (found["gate_up_proj"], found["down_proj"]) == (sizes["gate_up_proj"], sizes["down_proj"])
    trained = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
    assert all("lora_" in name for name in trained)
    ids = tokens()
    losses = train_a_little(adapted, steps=4, **ids)
    assert losses[-1] < losses[0]
    assert all(p.abs().sum() > 0 for name, p in trained.items() if "lora_B" in name)
    adapted.save_pretrained(tmp_path)
    other = attach_lora(experts(model_type), LoraSettings(r=2, target_modules=["q_proj", "gate_up_proj", "down_proj"]))
    load_start(other, tmp_path)
    with torch.no_grad():
        left, right = loss_of(adapted.eval()(**ids)), loss_of(other.eval()(**ids))
    assert left is not None and right is not None and left.item() == right.item()
    base = detach_lora(adapted)
    assert all_hashes(base) == before
    assert sorted(name for name, _ in base.named_parameters()) == sorted(names)


@pytest.mark.parametrize("model_type", ["mixtral", "qwen3_moe"])
def test_all_linear_and_the_names_it_stands_for_reach_the_same_weights(model_type: str) -> None:
    whole = adapted_weights(attach_lora(experts(model_type), LoraSettings(r=2)))
    named = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj", "gate.weight"]
    spelled = adapted_weights(attach_lora(experts(model_type), LoraSettings(r=2, target_modules=named)))
    assert whole == spelled
    assert sum(whole.values()) > 0.5 * sum(p.numel() for p in experts(model_type).parameters())


def test_fused_experts_are_among_the_names_that_can_be_taken() -> None:
    with pytest.raises(ConfigError, match=r"gate_up_prj is not in the model; did you mean gate_up_proj\?") as caught:
        attach_lora(experts("mixtral"), LoraSettings(target_modules=["q_proj", "gate_up_prj"]))
    assert caught.value.hint == (
        'Take "all-linear" or some of: k_proj, lm_head, o_proj, q_proj, v_proj, down_proj, gate_up_proj.'
    )
    for target in ("weight", "embed_tokens", "embed_tokens.weight", "experts", "input_layernorm"):
        with pytest.raises(ConfigError, match=f"{target} is not a linear layer"):
            attach_lora(experts("mixtral"), LoraSettings(target_modules=["q_proj", target]))


@pytest.mark.parametrize("targets", [["q_proj", "gate_up_proj"], "all-linear"])
def test_an_adapter_of_fused_experts_with_a_dropout_is_refused_in_one_line(targets: Any) -> None:
    with pytest.raises(ConfigError, match="dropout") as caught:
        attach_lora(experts("mixtral"), LoraSettings(target_modules=targets, dropout=0.1))
    assert "\n" not in caught.value.message
    assert caught.value.hint.startswith("Set train.lora.dropout = 0")


@pytest.mark.parametrize("targets", [["q_proj", "gate_up_proj"], "all-linear"])
def test_a_refused_adapter_leaves_no_trace(targets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = experts("mixtral")
    before, layers = all_hashes(model), [(name, type(module)) for name, module in model.named_modules()]
    monkeypatch.setattr("speedtui.engine.workload.model.find_targets", lambda *_: Targets(targets, ["gate_up_proj"]))
    with pytest.raises(ConfigError, match="dropout"):
        attach_lora(model, LoraSettings(r=2, dropout=0.1))
    assert [(name, type(module)) for name, module in model.named_modules()] == layers
    assert all_hashes(model) == before and hooks(model) == 0
    assert all(p.requires_grad for p in model.parameters())
    monkeypatch.undo()
    adapted = attach_lora(model, LoraSettings(r=2))
    train_a_little(adapted, **tokens())
    assert all_hashes(detach_lora(adapted)) == before


def test_the_parameters_that_are_trained_are_counted_with_the_adapter(model: Any) -> None:
    before, random = all_hashes(model), torch.get_rng_state()
    whole = sum(p.numel() for p in model.parameters())
    for rank in (1, 4):
        lora = LoraSettings(r=rank)
        counted = trained_of(model, TrainSettings(lora=lora)).parameters
        adapted = attach_lora(model, lora)
        assert counted == sum(p.numel() for p in adapted.parameters() if p.requires_grad)
        assert 0 < counted < whole
        model = detach_lora(adapted)
        torch.set_rng_state(random)
    assert trained_of(model, TrainSettings(method="full")).parameters == whole
    assert trained_of(model, TrainSettings(lora=LoraSettings(target_modules=["nothing"]))).parameters is None
    assert torch.equal(torch.get_rng_state(), random) and all_hashes(model) == before


def listed(hint: str) -> list[str]:
    """The names in a hint, as they would be copied."""
    return re.findall(r'"(\w+)"', hint)


def test_experts_that_all_linear_leaves_out_are_told_with_what_would_reach_them() -> None:
    model = experts("gpt_oss")
    whole, fused = sum(p.numel() for p in model.parameters()), ("gate_up_proj", "down_proj")
    apart = sum(p.numel() for name, p in model.named_parameters() if name.endswith(fused))
    (note,) = trained_of(model, TrainSettings(lora=LoraSettings(r=2))).notes
    assert note.lacking
    assert note.text == (
        "train.lora: all-linear leaves out the fused experts down_proj and gate_up_proj, "
        f"{apart / whole:.0%} of the model"
    )
    named = LoraSettings(r=2, target_modules=listed(note.hint))
    assert trained_of(model, TrainSettings(lora=named)).notes == []
    linear = adapted_weights(attach_lora(experts("gpt_oss"), LoraSettings(r=2)))
    assert adapted_weights(attach_lora(model, named)).keys() == {*linear, *fused}


@pytest.mark.parametrize("model_type", ["mixtral", "qwen3_moe"])
def test_a_rank_that_is_not_the_one_that_was_set_is_told(model_type: str) -> None:
    model = experts(model_type)
    told = [(note.text, note.lacking) for note in trained_of(model, TrainSettings(lora=LoraSettings(r=3))).notes]
    adapted = attach_lora(model, LoraSettings(r=3))
    other = {
        (getattr(module, "parameter_name", None), module.r["default"])
        for module in adapted.modules()
        if getattr(module, "lora_A", None) and module.r["default"] != 3
    }
    assert other == {("gate_up_proj", 6)}
    assert told == [("train.lora: gate_up_proj gets rank 6 and not 3: it holds 2 layers fused into one", False)]
    named = LoraSettings(r=3, target_modules=["gate_up_proj"])
    assert trained_of(experts(model_type), TrainSettings(lora=named)).notes == []


def test_a_model_without_experts_has_nothing_to_tell(model: Any) -> None:
    assert trained_of(model, TrainSettings(lora=LoraSettings(r=2))).notes == []


def test_mamba_says_which_layers_it_can_have_an_adapter_on() -> None:
    config = AutoConfig.for_model("mamba", hidden_size=16, state_size=4, num_hidden_layers=2, vocab_size=64)
    model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(ConfigError) as caught:
        attach_lora(model, LoraSettings(r=2))
    assert caught.value.message == (
        "train.lora: MambaForCausalLM cannot have an adapter on out_proj, whose weights its kernels read past it"
    )
    named = listed(caught.value.hint)
    assert named == ["dt_proj", "in_proj", "x_proj"]
    assert adapted_weights(attach_lora(model, LoraSettings(r=2, target_modules=named))).keys() == set(named)
