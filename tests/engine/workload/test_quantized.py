"""Base models in 4 and 8 bits: what is loaded, what stays as it was, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from speedtui.engine.checkpoint.fingerprint import model_fingerprint
from speedtui.engine.config.check import check
from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.errors import ConfigError, ModelError, UsageError
from speedtui.engine.history.keys import evaluating_settings, settings_key, telling_settings
from speedtui.engine.search.candidates import label
from speedtui.engine.trainer.loaded import trained_of
from speedtui.engine.trial.prepared import make_trainable, restore_base
from speedtui.engine.workload.architecture import build_architecture
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_data
from speedtui.engine.workload.packages import require_training_packages
from speedtui.engine.workload.pretrained import load_pretrained, load_tokenizer
from speedtui.engine.workload.quantized import (
    cast_biases,
    held_tensors,
    multiplies_in_half,
    parameter_count,
    quantized_words,
    scale_tensors,
    set_compute_dtype,
)
from speedtui.engine.workload.weights_guard import Fingerprint, hash_tensor
from tests.engine.workload.small import CPU, changed, settings_of

QUANTIZED = ("nf4", "int8")
QWEN: dict[str, Any] = {
    "model_type": "qwen2", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
"""Its layers of attention have biases, which bitsandbytes casts in place."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """A Qwen of a hundred thousand random weights, biases that are no round numbers among them."""
    at = tmp_path_factory.mktemp("quantized") / "qwen"
    tokenizer = load_tokenizer(ModelSettings(path=str(model_folder)))
    model = build_architecture(ModelSettings(architecture=QWEN), tokenizer, CPU, seed=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_()
    model.save_pretrained(at)
    tokenizer.save_pretrained(at)
    return at


def model_of(folder: Path, quantize: str, **more: Any) -> Any:
    return load_pretrained(ModelSettings(path=str(folder), quantize=quantize, **more), CPU)  # type: ignore[arg-type]


def settings_for(folder: Path, quantize: str, **train: Any) -> Settings:
    return settings_of(folder, model={"path": str(folder), "quantize": quantize}, method="lora", **train)


def all_hashes(model: nn.Module) -> dict[str, str]:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers()), **dict(scale_tensors(model))}
    return {name: hash_tensor(tensor) for name, tensor in tensors.items()}


def some_steps(trained: Any, steps: int = 2, *, bf16: bool = False) -> list[float]:
    ids = torch.arange(24).reshape(2, 12) % 256 + 4
    optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(steps):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = trained(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def evaluate(trained: Any) -> Any:
    """A loss and an answer, as an evaluation computes them."""
    ids = torch.arange(8).reshape(1, 8) + 4
    trained.eval()
    with torch.no_grad():
        loss = trained(input_ids=ids, labels=ids).loss.item()
        answer = trained.generate(input_ids=ids, max_new_tokens=4, do_sample=False)
    trained.train()
    return loss, answer.tolist()


# -- loading -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantize", QUANTIZED)
def test_linear_layers_but_the_output_layer_are_quantized_and_all_else_is_float32(folder: Path, quantize: str) -> None:
    model = model_of(folder, quantize, dtype="bfloat16")
    packed = {name: p for name, p in model.named_parameters() if not p.is_floating_point()}
    linear = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert set(packed) == linear - {"lm_head.weight"}
    assert {p.dtype for p in packed.values()} == {torch.uint8 if quantize == "nf4" else torch.int8}
    assert {p.dtype for name, p in model.named_parameters() if name not in packed} == {torch.float32}
    assert not any(p.requires_grad for p in model.parameters())
    whole = AutoModelForCausalLM.from_pretrained(folder)
    assert parameter_count(model.parameters()) == sum(p.numel() for p in whole.parameters())
    share = parameter_count(packed.values()) / parameter_count(model.parameters())
    assert quantized_words(model, quantize).startswith(f"{quantize}: {share * 100:.0f} % of the parameters are in")


def test_nf4_has_its_scales_quantized_too_and_takes_little_more_than_half_a_byte_a_weight(folder: Path) -> None:
    model = model_of(folder, "nf4")
    layer = model.model.layers[0].mlp.up_proj
    assert layer.weight.quant_state.nested and layer.weight.quant_state.absmax.dtype == torch.uint8
    names = {name.rpartition("up_proj.")[2] for name, _ in scale_tensors(model) if "layers.0.mlp.up_proj" in name}
    assert names == {
        "weight.absmax", "weight.code", "weight.offset", "weight.state2.absmax", "weight.state2.code"
    }  # fmt: skip
    count = 128 * 64
    assert layer.weight.nbytes == count // 2
    assert layer.weight.quant_state.absmax.nbytes == count // 64
    whole = AutoModelForCausalLM.from_pretrained(folder).model.layers[0].mlp.up_proj.weight
    error = (dequantize_4bit(layer.weight, layer.weight.quant_state) - whole).abs().max() / whole.abs().max()
    assert 0 < error < 0.2


@pytest.mark.parametrize("quantize", QUANTIZED)
def test_random_weights_are_those_that_the_seed_gives_quantized(model_folder: Path, quantize: str) -> None:
    tokenizer = load_tokenizer(ModelSettings(path=str(model_folder)))
    first, second, other = (
        build_architecture(ModelSettings(architecture=QWEN, quantize=quantize), tokenizer, CPU, seed)  # type: ignore[arg-type]
        for seed in (1, 1, 2)
    )
    plain = build_architecture(ModelSettings(architecture=QWEN), tokenizer, CPU, seed=1)
    assert all_hashes(first) == all_hashes(second)
    assert all_hashes(first) != all_hashes(other)
    embeddings = [model.get_input_embeddings().weight for model in (first, plain)]
    assert torch.equal(*embeddings)


# -- training and what it leaves -----------------------------------------------------------------------


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("quantize", QUANTIZED)
def test_training_and_evaluating_an_adapter_leave_every_bit_of_the_base_as_it_was(
    folder: Path, quantize: str, bf16: bool
) -> None:
    model, settings = model_of(folder, quantize), settings_for(folder, quantize, bf16=bf16)
    before = all_hashes(model)
    whole, sampled = Fingerprint(model), set(before)
    for checkpointing in (True, False):
        kind = changed(settings, "train", gradient_checkpointing=checkpointing)
        trained = make_trainable(model, kind)
        losses = some_steps(trained, bf16=bf16)
        assert losses[1] < losses[0]
        evaluate(trained)
        base = restore_base(trained, kind)
        assert base is model
        after = all_hashes(model)
        assert {name for name in sampled if after[name] != before[name]} == set()
        assert whole.changed(model) == []


@pytest.mark.parametrize("quantize", QUANTIZED)
def test_an_evaluation_in_between_changes_nothing_of_the_steps_after_it(folder: Path, quantize: str) -> None:
    found = []
    for between in (lambda trained: None, evaluate):
        torch.manual_seed(0)
        trained = make_trainable(model_of(folder, quantize), settings_for(folder, quantize))
        first = some_steps(trained)
        between(trained)
        found.append(first + some_steps(trained))
    assert found[0] == found[1]


def test_4_bit_layers_compute_in_bfloat16_with_autocast_and_else_in_the_weights_own_precision(folder: Path) -> None:
    model = model_of(folder, "nf4")
    for bf16, dtype, expected in (
        (True, "float32", torch.bfloat16), (False, "float32", torch.float32), (False, "bfloat16", torch.bfloat16),
    ):  # fmt: skip
        settings = changed(settings_for(folder, "nf4", bf16=bf16), "model", dtype=dtype)
        trained = make_trainable(model, settings)
        assert {m.compute_dtype for m in model.modules() if hasattr(m, "compute_dtype")} == {expected}
        restore_base(trained, settings)


def test_what_a_model_multiplies_in_is_told_by_its_packed_layers_too(folder: Path) -> None:
    """Its parameters are float32 and packed numbers, whatever they compute in."""
    for quantize, dtype, expected in (
        ("none", "float32", False), ("none", "bfloat16", True), ("nf4", "float32", False), ("nf4", "bfloat16", True),
        ("int8", "float32", True),
    ):  # fmt: skip
        assert multiplies_in_half(model_of(folder, quantize, dtype=dtype)) is expected
    model = model_of(folder, "nf4")
    set_compute_dtype(model, settings_for(folder, "nf4", bf16=True))
    assert multiplies_in_half(model)


@pytest.mark.parametrize("quantize", QUANTIZED)
@pytest.mark.parametrize("what", ["weight", "scale"])
def test_a_changed_bit_of_a_quantized_weight_or_of_its_scales_is_noticed(
    folder: Path, quantize: str, what: str
) -> None:
    model = model_of(folder, quantize)
    fingerprint = Fingerprint(model)
    name = "model.layers.0.mlp.down_proj.weight"  # the first by name
    scales = dict(scale_tensors(model))
    scale = f"{name}.absmax" if quantize == "nf4" else f"{name}.SCB"
    tensor = model.get_parameter(name) if what == "weight" else scales[scale]
    tensor.data.view(-1)[3:4].view(torch.uint8)[0] ^= 1
    assert fingerprint.changed(model) == [name if what == "weight" else scale]


def test_scales_are_found_again_where_the_first_forward_pass_has_moved_them(folder: Path) -> None:
    model = model_of(folder, "int8")
    before = {name: hash_tensor(tensor) for name, tensor in scale_tensors(model)}
    evaluate(model)
    assert model.model.layers[0].mlp.up_proj.weight.SCB is None
    assert {name: hash_tensor(tensor) for name, tensor in scale_tensors(model)} == before


@pytest.mark.parametrize("quantize", QUANTIZED)
def test_a_models_fingerprint_in_checkpoints_is_the_same_before_and_after_a_step_and_tells_bits_apart(
    folder: Path, quantize: str
) -> None:
    trained = make_trainable(model_of(folder, quantize), settings_for(folder, quantize, bf16=True))
    before = model_fingerprint(trained)
    some_steps(trained, 1, bf16=True)
    assert model_fingerprint(trained) == before
    others = {
        model_fingerprint(make_trainable(model_of(folder, q), settings_for(folder, q))) for q in ("none", *QUANTIZED)
    }
    assert len(others) == 3 and before in others


def test_what_is_held_counts_scales_once(folder: Path) -> None:
    plain, quantized = (
        sum({t.untyped_storage()._cdata: t.nbytes for t in held_tensors(model_of(folder, q))}.values())
        for q in ("none", "nf4")
    )
    assert quantized < plain
    of_both = (trained_of(model_of(folder, q), settings_for(folder, q).train).parameters for q in ("none", "nf4"))
    assert len(set(of_both)) == 1


# -- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "train", "message"),
    [
        ({"kind": "python", "recipe": "r.py:build"}, {}, 'model.quantize "nf4" does not go with model.kind "python"'),
        ({"path": "m"}, {"method": "full"}, 'model.quantize "nf4" does not go with train.method "full"'),
    ],
)
def test_what_cannot_be_quantized_is_refused_before_anything_is_loaded(
    folder: Path, model: dict[str, Any], train: dict[str, Any], message: str
) -> None:
    settings = settings_of(folder, model={**model, "quantize": "nf4"}, **{"method": "lora", **train})
    with pytest.raises(ConfigError) as caught:
        check(settings, "speedtui.toml")
    assert message in caught.value.message and "\n" not in caught.value.message and caught.value.hint


def test_without_bitsandbytes_one_line_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "bitsandbytes" else object())
    with pytest.raises(UsageError, match=r'model\.quantize "int8": bitsandbytes is not installed') as caught:
        load_data(settings_for(folder, "int8"), silent)
    assert caught.value.hint == "pip install 'speedtui[quantize]'"


def test_a_bitsandbytes_that_is_too_old_is_refused_for_quantized_models_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "bitsandbytes-0.48.2.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: bitsandbytes\nVersion: 0.48.2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    require_training_packages(ModelSettings(path=str(folder)))
    with pytest.raises(UsageError, match=r"bitsandbytes 0\.48\.2 is too old: model\.quantize needs 0\.49"):
        require_training_packages(ModelSettings(path=str(folder), quantize="nf4"))


def test_a_model_without_a_layer_to_quantize_is_refused(model_folder: Path) -> None:
    nothing = ModelSettings(architecture={"model_type": "gpt2", "n_embd": 32, "n_layer": 0}, quantize="nf4")
    with pytest.raises(ModelError, match="found no linear layer but the output layer") as caught:
        build_architecture(nothing, load_tokenizer(ModelSettings(path=str(model_folder))), CPU, seed=1)
    assert caught.value.hint == 'Set model.quantize = "none".'


@pytest.fixture(scope="module")
def stored(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The same model, stored in other bits."""
    kinds = {
        "int8": BitsAndBytesConfig(load_in_8bit=True),
        "fp4": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="fp4"),
        "nf4": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    }

    def store(kind: str) -> Path:
        at = tmp_path_factory.mktemp(kind)
        AutoModelForCausalLM.from_pretrained(folder, quantization_config=kinds[kind]).save_pretrained(at)
        return at

    return store


@pytest.mark.parametrize(
    ("kind", "quantize", "message"),
    [
        ("nf4", "none", "its weights are stored in nf4"),
        ("nf4", "int8", 'its weights are stored in nf4, of which model.quantize "int8" cannot be made'),
        ("fp4", "nf4", 'its weights are stored in fp4, of which model.quantize "nf4" cannot be made'),
        ("int8", "nf4", 'its weights are stored in int8, of which model.quantize "nf4" cannot be made'),
    ],
)
def test_weights_that_are_stored_in_other_bits_are_refused(
    stored: Callable[[str], Path], kind: str, quantize: str, message: str
) -> None:
    with pytest.raises(ModelError) as caught:
        model_of(stored(kind), quantize)
    assert caught.value.message.endswith(message)
    assert ('model.quantize = "' in caught.value.hint) is (kind != "fp4")


@pytest.mark.parametrize("kind", QUANTIZED)
def test_weights_that_are_stored_in_these_bits_train_as_they_are(stored: Callable[[str], Path], kind: str) -> None:
    at = stored(kind)
    trained = make_trainable(model_of(at, kind), settings_for(at, kind))
    losses = some_steps(trained)
    assert losses[1] < losses[0]
    nested = {s.quant_state.nested for s in trained.parameters() if hasattr(s, "quant_state")}
    assert nested == ({False} if kind == "nf4" else set())


# -- what is told --------------------------------------------------------------------------------------


def test_a_label_and_what_is_remembered_tell_the_bits(folder: Path) -> None:
    plain, nf4, int8 = (settings_for(folder, quantize) for quantize in ("none", *QUANTIZED))
    assert " nf4 " in label(nf4) and " int8 " in label(int8, ["model.quantize"])
    assert label(int8, ["model.quantize"]).count("int8") == 1
    assert "none" not in label(plain, ["model.quantize"])
    assert len({settings_key(s) for s in (plain, nf4, int8)}) == 3
    assert "model.quantize" not in {**telling_settings(plain), **evaluating_settings(plain)}
    assert evaluating_settings(nf4)["model.quantize"] == "nf4"


def test_a_scripted_module_holds_no_quantized_weight() -> None:
    scripted = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()))
    set_compute_dtype(scripted, Settings())
    assert list(scale_tensors(scripted)) == [] and cast_biases(scripted) == {}
    assert sum(tensor.numel() for tensor in held_tensors(scripted)) == 2 * 3 + 3
