"""A training begins with what an earlier one left, or says why it cannot."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from speedtui.engine.checkpoint.fingerprint import model_fingerprint
from speedtui.engine.checkpoint.start import load_start
from speedtui.engine.checkpoint.weights import untied
from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.errors import ModelError
from speedtui.engine.trainer.loaders import kept_randomness
from speedtui.engine.workload.model import attach_lora

SIZES: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "vocab_size": 50,
}  # fmt: skip


def llama(**changes: Any) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**{**SIZES, **changes}))


def tied_llama() -> PreTrainedModel:
    return llama(tie_word_embeddings=True)


def mixtral() -> PreTrainedModel:
    return MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=2))


def t5() -> PreTrainedModel:
    return T5ForConditionalGeneration(T5Config(d_model=16, d_ff=16, d_kv=8, num_layers=1, num_heads=2, vocab_size=50))


def adapted(r: int = 8, base: PreTrainedModel | None = None, **lora: Any) -> Any:
    """With an adapter that does something."""
    model = attach_lora(base or llama(), LoraSettings(r=r, **lora))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    return model


def weights(model: nn.Module, part: str = "") -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if part in name}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_an_adapter_is_taken_over(tmp_path: Path) -> None:
    earlier, later = adapted(), adapted()
    earlier.save_pretrained(tmp_path)
    base = weights(later, "base_layer")
    assert load_start(later, tmp_path) == f"the adapter in {tmp_path} (r 8, 28 tensors)"
    assert_same(weights(later, "lora_"), weights(earlier, "lora_"))
    assert_same(weights(later, "base_layer"), base)
    assert all(p.requires_grad == ("lora_" in name) for name, p in later.named_parameters())


@pytest.mark.parametrize("make", [llama, tied_llama, mixtral, t5])
def test_whole_weights_are_taken_over(tmp_path: Path, make: Callable[[], PreTrainedModel]) -> None:
    earlier, later = make(), make()
    earlier.save_pretrained(tmp_path)
    load_start(later, tmp_path)
    assert_same(weights(later), weights(earlier))
    assert later.get_input_embeddings().weight is next(iter(later.parameters()))  # ties are as they were


def test_shards_and_a_recipes_own_file_are_taken_over(tmp_path: Path) -> None:
    earlier, later = llama(), llama()
    earlier.save_pretrained(tmp_path / "shards", max_shard_size="10KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    load_start(later, tmp_path / "shards")
    assert_same(weights(later), weights(earlier))
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    (tmp_path / "own").mkdir()
    torch.save(first.state_dict(), tmp_path / "own" / "pytorch_model.bin")
    load_start(second, tmp_path / "own")
    assert_same(weights(second), weights(first))


def test_tied_weights_of_a_recipe_are_saved_once_and_taken_over(tmp_path: Path) -> None:
    earlier, later = (nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)}) for _ in range(2))
    for model in (earlier, later):
        model["b"].weight = model["a"].weight
    state = untied(earlier.state_dict())
    assert list(state) == ["a.weight", "a.bias", "b.bias"]
    save_file(state, tmp_path / "model.safetensors")
    load_start(later, tmp_path)
    assert_same(weights(later), weights(earlier))


def saved(folder: Path, model: Any) -> Path:
    model.save_pretrained(folder)
    return folder


def damaged(folder: Path, model: Any) -> Path:
    file = saved(folder, model) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    return folder


def empty(folder: Path, model: Any) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("make", "there", "here", "said"),
    [
        (saved, lambda: adapted(8), lambda: adapted(16), "r 8 in the folder, train.lora.r = 16"),
        (saved, lambda: adapted(8, alpha=8), lambda: adapted(8), "alpha 8 in the folder, train.lora.alpha = 16"),
        (saved, adapted, llama, 'holds an adapter, and train.method is "full"'),
        (saved, llama, adapted, 'holds whole weights, and train.method is "lora"'),
        (saved, lambda: adapted(target_modules=["q_proj"]), adapted, "not in the folder: base_model.model.model"),
        (saved, adapted, lambda: adapted(target_modules=["q_proj"]), "not in the model: base_model.model.model"),
        (saved, lambda: adapted(base=llama(intermediate_size=64)), adapted, "in the folder and"),
        (saved, lambda: llama(vocab_size=60), llama, "is (60, 16) in the folder and (50, 16) in the model"),
        (saved, lambda: llama(num_hidden_layers=3), llama, "not in the model: model.layers.2"),
        (saved, lambda: llama(num_hidden_layers=1), llama, "not in the folder: model.layers.1"),
        (saved, t5, llama, "not in the"),
        (damaged, llama, llama, "cannot be read"),
        (empty, llama, llama, "no weights in it"),
        (lambda folder, model: folder, llama, llama, "no such folder"),
    ],
)  # fmt: skip
def test_what_does_not_match_is_refused_and_changes_nothing(
    tmp_path: Path, make: Callable[[Path, Any], Path], there: Callable[[], Any], here: Callable[[], Any], said: str
) -> None:
    folder, model = make(tmp_path / "earlier", there()), here()
    before = weights(model)
    with pytest.raises(ModelError) as refused:
        load_start(model, folder)
    assert str(folder) in refused.value.message
    assert said in refused.value.message
    assert refused.value.hint
    assert_same(weights(model), before)


def test_a_fingerprint_knows_the_model_and_not_its_weights() -> None:
    model = llama()
    first = model_fingerprint(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    assert model_fingerprint(model) == first == model_fingerprint(llama())
    others = [adapted(8), adapted(16), llama(num_hidden_layers=1), llama(hidden_size=32), llama().bfloat16()]
    frozen = llama()
    frozen.get_input_embeddings().requires_grad_(False)
    assert len({first, *map(model_fingerprint, [*others, frozen])}) == len(others) + 2


def test_random_numbers_go_on_as_if_nothing_had_been_between() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    wanted = [draw(), draw()]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    found = [draw()]
    with kept_randomness():
        draw()
    assert [*found, draw()] == wanted
