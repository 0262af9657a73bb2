"""A whole workload from a configuration, and models that cannot be loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch.utils.data import DataLoader

from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings, TrainSettings
from speedtui.engine.errors import DataError, ExitCode, ModelError
from speedtui.engine.workload import Workload
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_workload
from speedtui.engine.workload.probe_batch import longest_row
from speedtui.engine.workload.recipe import rebuild_needed
from speedtui.engine.workload.weights_guard import hash_tensor
from tests.engine.workload.small import tokens_of

CPU = torch.device("cpu")

LLAMA = {
    "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 2,
}  # fmt: skip


def settings(pairs: Path, **model: Any) -> Settings:
    data = DataSettings(train=str(pairs), eval=str(pairs), prompt="question", response="answer", eval_rows=2)
    return Settings(model=ModelSettings(**model), data=data)


def load(wanted: Settings) -> Workload:
    return load_workload(wanted, device=CPU, report=silent)


def refusal(wanted: Settings) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load(wanted)
    assert "\n" not in caught.value.message
    return caught.value


def test_a_saved_model_and_its_data_give_a_loss(pairs_file: Path, model_folder: Path) -> None:
    workload = load(settings(pairs_file, path=str(model_folder)))
    assert workload.name == "tiny-llama"
    assert workload.lengths is not None
    assert workload.facts.train_rows == len(workload.train_dataset) == 3
    assert workload.facts.eval_rows == 2
    assert workload.facts.total_tokens == int(workload.lengths.sum())
    assert longest_row(workload) == int(workload.lengths.argmax())
    batch = next(iter(DataLoader(workload.train_dataset, batch_size=3, collate_fn=workload.collator)))  # type: ignore[arg-type]  # a plain sequence will do
    assert workload.model(**batch).loss.isfinite()
    assert tokens_of(batch) == (workload.facts.total_tokens, 3 * max(workload.lengths) - int(workload.lengths.sum()))


def test_dtype_and_attention_are_those_asked_for(pairs_file: Path, model_folder: Path) -> None:
    model: Any = load(settings(pairs_file, path=str(model_folder), dtype="bfloat16", attention="eager")).model
    assert model.dtype == torch.bfloat16
    assert model.config._attn_implementation == "eager"


def test_a_tokenizer_without_a_pad_token_pads_with_its_end_token(
    pairs_file: Path, model_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(model_folder, tmp_path / "no-pad"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = load(settings(pairs_file, path=str(folder))).tokenizer
    assert tokenizer is not None
    assert tokenizer.pad_token == "<|endoftext|>"


def test_an_architecture_alone_gets_a_tokenizer_from_the_data(pairs_file: Path, own_cache: Path) -> None:
    wanted = settings(pairs_file, architecture=LLAMA)
    first, again = load(wanted), load(wanted)
    assert first.name == "llama (random weights)"
    assert first.tokenizer is not None
    assert first.tokenizer.decode(first.train_dataset[1]["input_ids"]).startswith("the capital of France is")
    model: Any = first.model
    assert model.config.vocab_size == len(first.tokenizer)
    assert model.config.eos_token_id == first.tokenizer.eos_token_id
    hashes = [[hash_tensor(t) for t in w.model.state_dict().values()] for w in (first, again)]
    assert hashes[0] == hashes[1]
    assert len(list((own_cache / "speedtui" / "tokenizers").iterdir())) == 1


def test_a_damaged_tokenizer_in_the_cache_is_trained_again(pairs_file: Path, own_cache: Path) -> None:
    wanted = settings(pairs_file, architecture=LLAMA)
    load(wanted)
    (kept,) = (own_cache / "speedtui" / "tokenizers").iterdir()
    kept.write_text("{")
    assert load(wanted).tokenizer is not None


def test_an_architecture_learns_conversations_in_chatml(write_rows: Any) -> None:
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    path = write_rows("talk.jsonl", [{"messages": talk}])
    wanted = Settings(
        model=ModelSettings(architecture=LLAMA), data=DataSettings(train=str(path), messages="messages")
    )  # fmt: skip
    workload = load(wanted)
    labels = workload.train_dataset[0]["labels"]
    assert workload.tokenizer is not None
    assert workload.tokenizer.decode(labels[labels != -100]) == "hello<|im_end|>\n"


def test_a_folder_that_is_not_there_is_named(pairs_file: Path) -> None:
    assert refusal(settings(pairs_file, path="/no/such/folder")).message == "/no/such/folder: no such folder"


def test_a_folder_without_a_model_is_refused(pairs_file: Path, model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "only-tokenizer"
    shutil.copytree(model_folder, folder)
    (folder / "config.json").unlink()
    assert "no config.json" in refusal(settings(pairs_file, path=str(folder))).message


def test_a_folder_without_a_tokenizer_is_refused(pairs_file: Path, model_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(model_folder, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer*"))
    error = refusal(settings(pairs_file, path=str(tmp_path / "bare")))
    assert "no tokenizer that can be loaded" in error.message
    assert "model.tokenizer" in error.hint


def test_damaged_weights_are_refused(pairs_file: Path, model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b"damaged")
    assert "damaged: cannot be loaded" in refusal(settings(pairs_file, path=str(folder))).message


def test_a_hub_id_that_cannot_be_had_is_refused_at_once(
    pairs_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    error = refusal(settings(pairs_file, path="nobody/nothing"))
    assert "nobody/nothing: no folder of that name, not in the local cache" in error.message
    assert "HF_HUB_OFFLINE" in error.message


def test_an_unreachable_hub_is_told_from_an_offline_one(pairs_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens on the discard port
    assert "the hub cannot be reached" in refusal(settings(pairs_file, path="nobody/nothing")).message


def test_an_unknown_model_type_names_the_nearest(pairs_file: Path) -> None:
    error = refusal(settings(pairs_file, architecture={"model_type": "lama"}))
    assert error.message == "model.architecture: unknown model_type 'lama'; did you mean llama?"


@pytest.mark.parametrize(
    ("fields", "name", "nearest"),
    [
        ({**LLAMA, "hiden_size": 64}, "hiden_size is not a setting of llama", "hidden_size"),
        ({"model_type": "gpt2", "n_lyer": 3}, "n_lyer is not a setting of gpt2", "n_layer"),
        ({**LLAMA, "zebra": 1}, "zebra is not a setting of llama", ""),
        (
            {"model_type": "gemma3", "text_config": {"hidden_sise": 64}},
            "text_config.hidden_sise is not a setting of gemma3_text",
            "hidden_size",
        ),
    ],
)
@pytest.mark.parametrize("tokenizer", [None, "its own"])
def test_a_misspelt_field_of_an_architecture_names_the_nearest(
    pairs_file: Path, model_folder: Path, fields: dict[str, Any], name: str, nearest: str, tokenizer: str | None
) -> None:
    error = refusal(settings(pairs_file, architecture=fields, tokenizer=tokenizer and str(model_folder)))
    assert error.message == f"model.architecture.{name}" + (f"; did you mean {nearest}?" if nearest else "")
    assert error.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    "fields",
    [
        {**LLAMA, "rope_theta": 5e5, "rope_scaling": {"rope_type": "linear", "factor": 2.0}, "torch_dtype": "float32"},
        {"model_type": "gpt2", "hidden_size": 32, "n_layer": 1, "num_attention_heads": 2},  # n_embd and n_head
        {**LLAMA, "model_type": "cohere", "head_dim": 8},  # which its code reads and its config does not declare
    ],
)
def test_fields_under_an_older_or_undeclared_name_are_taken(pairs_file: Path, fields: dict[str, Any]) -> None:
    assert load(settings(pairs_file, architecture=fields)).model.config.hidden_size == 32


def test_fields_that_do_not_fit_together_are_refused(pairs_file: Path) -> None:
    error = refusal(settings(pairs_file, architecture={**LLAMA, "hidden_size": 33}))
    assert "33" in error.message


@pytest.mark.parametrize(
    ("attention", "package"), [("flash_attention_2", "flash-attn"), ("flash_attention_3", "flash-attn-3")]
)
def test_flash_attention_without_its_package_is_refused(
    pairs_file: Path, model_folder: Path, attention: str, package: str
) -> None:
    error = refusal(settings(pairs_file, path=str(model_folder), attention=attention))
    assert error.message.endswith(f"model.attention {attention} needs the package {package}, which is not installed")
    assert "auto" in error.hint and package in error.hint


def test_a_tokenizer_larger_than_the_model_is_refused(pairs_file: Path, model_folder: Path) -> None:
    error = refusal(settings(pairs_file, architecture={**LLAMA, "vocab_size": 100}, tokenizer=str(model_folder)))
    assert "the model knows 100 tokens (vocab_size), the tokenizer has 300" in error.message


def test_missing_data_is_said_before_the_model_is_loaded(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load(settings(tmp_path / "nowhere.jsonl", path=str(model_folder)))
    with pytest.raises(DataError, match="no such file"):
        load(settings(tmp_path / "nowhere.jsonl", architecture=LLAMA))


def test_only_model_data_and_knobs_of_a_recipe_need_a_new_workload(pairs_file: Path) -> None:
    old = settings(pairs_file, path="somewhere")
    faster = msgspec.structs.replace(old, train=TrainSettings(micro_batch_size=2, seed=1))
    assert not rebuild_needed(old, faster)
    assert rebuild_needed(old, msgspec.structs.replace(old, recipe={"width": 3}))
    random = settings(pairs_file, architecture=LLAMA)
    assert rebuild_needed(random, msgspec.structs.replace(random, train=TrainSettings(seed=1)))


@pytest.mark.parametrize(
    "module", ["workload", "workload.load", "workload.recipe", "workload.order", "workload.packing", "demo.prepare"]
)
def test_importing_the_workload_loads_no_torch(module: str) -> None:
    code = f"import sys, speedtui.engine.{module}; sys.exit(bool({{'torch', 'transformers'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("eval.jsonl", "", "the file is empty"),
        ("eval.jsonl", "\n\n", "there are no rows in it"),
        ("eval.json", "[]", "there are no rows in it"),
        ("eval.csv", "question,answer\n", "there are no rows in it"),
        ("eval.jsonl", '{"question": "q", "answer": ""}\n', "nothing to learn from in any of its 1 rows"),
    ],
)
def test_an_evaluation_file_without_rows_is_refused_by_its_key(
    model_folder: Path, pairs_file: Path, tmp_path: Path, name: str, content: str, problem: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    settings = Settings(
        model=ModelSettings(path=str(model_folder)),
        data=DataSettings(train=str(pairs_file), eval=str(path), prompt="question", response="answer"),
    )
    with pytest.raises(DataError) as caught:
        load_workload(settings, device=torch.device("cpu"), report=silent)
    assert caught.value.message.startswith(f"data.eval: {path}: {problem}")
    assert caught.value.exit_code is ExitCode.USAGE
    assert "\n" not in caught.value.message
