"""A training on a quantized base: its checkpoints hold the adapter alone, and go on to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from speedtui.engine.checkpoint.start import load_start
from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ModelError
from speedtui.engine.trial.prepared import make_trainable
from speedtui.engine.workload.quantized import is_quantized
from tests.engine.checkpoint.resuming import Recorded, differences, train_resumed, train_whole
from tests.engine.workload.small import changed, load, settings_of

STEPS, SAVED = 4, 2
QWEN: dict[str, Any] = {
    "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("quantized-resume") / "train.jsonl"
    lines = [f'{{"question": "{"one two " * (n + 1)}", "answer": "three {n}"}}\n' for n in range(8)]
    file.write_text("".join(lines))
    return file


def settings_for(rows: Path, quantize: str) -> Settings:
    return settings_of(
        rows, model={"architecture": QWEN, "quantize": quantize}, data={"eval": str(rows)}, method="lora",
        max_steps=STEPS, micro_batch_size=2, effective_batch_size=4, bf16=True,
    )  # fmt: skip


@pytest.fixture(scope="module", params=["nf4", "int8"])
def trained(request: pytest.FixtureRequest, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(settings, folder, trainer): trained to the end with an evaluation after each step and a save after two."""
    settings, folder = settings_for(rows, request.param), tmp_path_factory.mktemp(request.param)
    return settings, folder, train_whole(settings, folder, [SAVED, STEPS], evaluates=True)


def adapter_of(trainer: Recorded) -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in trainer.model.named_parameters() if p.requires_grad}


def test_a_checkpoint_holds_the_adapter_and_no_weight_of_the_base(trained: tuple[Settings, Path, Recorded]) -> None:
    _, folder, trainer = trained
    files = {file.name: file.stat().st_size for file in (folder / f"checkpoint-{SAVED}").iterdir()}
    assert {name for name in files if name.endswith((".safetensors", ".bin"))} == {
        "adapter_model.safetensors", "training_args.bin",
    }  # fmt: skip
    adapter = sum(p.nbytes for p in adapter_of(trainer).values())
    assert adapter <= files["adapter_model.safetensors"] <= adapter + 10_000


def test_a_training_on_a_quantized_base_goes_on_as_if_it_had_never_stopped(
    trained: tuple[Settings, Path, Recorded],
) -> None:
    settings, folder, whole = trained
    resumed = train_resumed(settings, folder, SAVED, evaluates=True)
    assert any(is_quantized(p) for p in resumed.model.parameters())
    assert differences(whole, resumed, SAVED) == []


def test_a_second_stage_begins_with_the_adapter_on_a_base_in_any_bits(trained: tuple[Settings, Path, Recorded]) -> None:
    settings, folder, trainer = trained
    wanted = adapter_of(trainer)
    for quantize in ("none", "nf4", "int8"):
        other = changed(settings, "model", quantize=quantize)
        model = make_trainable(load(other).model, other)
        assert load_start(model, folder / f"checkpoint-{STEPS}").startswith("the adapter in")
        found = {name: p for name, p in model.named_parameters() if p.requires_grad}
        assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_whole_weights_are_no_beginning_for_adapters_on_a_quantized_base(rows: Path, tmp_path: Path) -> None:
    settings = settings_for(rows, "nf4")
    load(changed(settings, "model", quantize="none")).model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="holds whole weights"):
        load_start(make_trainable(load(settings).model, settings), tmp_path)
