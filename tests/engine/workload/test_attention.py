"""Left open, attention is what the model supports; asked for, it is that or a refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers.models.gemma2.modeling_gemma2 import Gemma2PreTrainedModel

from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.errors import ModelError
from speedtui.engine.history.keys import settings_key
from speedtui.engine.search.knobs import ATTENTION, Machine, stacked_knobs
from speedtui.engine.workload.attention import own_attention, with_own_attention
from speedtui.engine.workload.model import set_attention
from tests.engine.workload.small import BART, LLAMA, T5, load, settings_of, train

GEMMA2 = {**LLAMA, "model_type": "gemma2", "head_dim": 16}
GPT_OSS = {**LLAMA, "model_type": "gpt_oss", "head_dim": 16, "num_local_experts": 2, "num_experts_per_tok": 1}
MAMBA = {"model_type": "mamba", "hidden_size": 32, "state_size": 4, "num_hidden_layers": 1}
BLOOM = {"model_type": "bloom", "hidden_size": 32, "n_layer": 1, "n_head": 2}

WITHOUT_SDPA: list[Any] = [GPT_OSS, MAMBA, BLOOM]
if not Gemma2PreTrainedModel._supports_sdpa:  # which transformers 5.17 says of it, although sdpa knows no soft cap
    WITHOUT_SDPA.append(GEMMA2)


def name_of(model: dict[str, Any]) -> str:
    return str(model["model_type"])


def asked(model: dict[str, Any], path: Path, **more: Any) -> Settings:
    kind = "seq2seq" if model in (T5, BART) else "causal-lm"
    return settings_of(path, model={"architecture": model, "kind": kind, **more}, max_steps=1)


@pytest.mark.parametrize("model", WITHOUT_SDPA, ids=name_of)
def test_a_model_without_sdpa_is_trained_by_default(pairs_file: Path, tmp_path: Path, model: dict[str, Any]) -> None:
    settings = asked(model, pairs_file)
    assert own_attention(settings.model) == "eager"
    trainer = train(settings, tmp_path)
    assert trainer.model.config._attn_implementation == "eager"  # type: ignore[union-attr]
    assert trainer.losses[0] > 0


@pytest.mark.parametrize("model", WITHOUT_SDPA, ids=name_of)
def test_sdpa_that_is_asked_for_and_not_supported_is_refused(pairs_file: Path, model: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=f"model.architecture {model['model_type']}") as caught:
        load(asked(model, pairs_file, attention="sdpa"))
    assert 'model.attention = "auto"' in caught.value.hint


@pytest.mark.parametrize("model", [LLAMA, T5, BART, *WITHOUT_SDPA], ids=name_of)
def test_what_is_told_before_the_model_is_loaded_is_what_it_runs_with(pairs_file: Path, model: dict[str, Any]) -> None:
    settings = asked(model, pairs_file)
    settled = with_own_attention(settings)
    loaded: Any = load(settings).model
    assert settled.model.attention == loaded.config._attn_implementation
    set_attention(loaded, "eager")
    set_attention(loaded, "auto")  # back to its own
    assert settled.model.attention == loaded.config._attn_implementation


def test_of_a_folder_its_config_tells_and_what_is_asked_for_stays(model_folder: Path) -> None:
    assert own_attention(ModelSettings(path=str(model_folder))) == "sdpa"
    explicit = Settings(model=ModelSettings(path=str(model_folder), attention="eager"))
    assert with_own_attention(explicit) == explicit
    for unknown in (ModelSettings(path="nobody/knows"), ModelSettings(kind="python", recipe="r.py:build")):
        assert own_attention(unknown) is None
        assert with_own_attention(Settings(model=unknown)).model.attention == "auto"


def test_a_folder_with_code_of_its_own_is_not_told_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers would ask on the terminal whether to run the code, and wait for an answer."""
    config = {"model_type": "own", "auto_map": {"AutoConfig": "configuration_own.OwnConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "configuration_own.py").write_text("raise RuntimeError('was run')")
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question="": asked.append(question) or "y")
    for trusted in (False, True):
        assert own_attention(ModelSettings(path=str(tmp_path), trust_remote_code=trusted)) is None
    assert asked == []


def test_a_study_tries_no_attention_that_the_model_lacks() -> None:
    def tried(attention: str, **machine: Any) -> list[Any]:
        model = ModelSettings(path="m", attention=attention)  # type: ignore[arg-type]
        knobs = stacked_knobs(Settings(model=model), Machine(**machine))
        return [value for knob in knobs if knob.path == ATTENTION for value in knob.values]

    assert tried("sdpa") == ["sdpa", "eager"]
    assert tried("eager", sdpa=False) == []
    assert tried("auto") == []


def test_history_knows_a_run_whose_attention_was_left_open(pairs_file: Path) -> None:
    keys = {settings_key(asked(LLAMA, pairs_file, attention=name)) for name in ("auto", "sdpa")}
    assert len(keys) == 1
    assert settings_key(asked(LLAMA, pairs_file, attention="eager")) not in keys
