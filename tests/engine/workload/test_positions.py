"""What a model has places for is what it can read: one token more and torch itself refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.plan.profile_limits import within
from speedtui.engine.plan.resolved_profiles import ResolvedProfile
from speedtui.engine.profile.profile import Profile
from speedtui.engine.workload.positions import Places, beyond_training, places_of, require_places
from tests.engine.workload.conftest import WriteRows
from tests.engine.workload.small import BART, LLAMA, changed, load, settings_of

N = 24
LAYERS: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2, "max_position_embeddings": N,
}  # fmt: skip
GPT: dict[str, Any] = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": N}
PAIR: dict[str, Any] = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_start_token_id": 2,
}  # fmt: skip
RELATIVE: dict[str, Any] = {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2,
                            "decoder_start_token_id": 1}  # fmt: skip
DECODERS: dict[str, tuple[dict[str, Any], int | None]] = {
    "gpt2": (GPT, N), "gpt_bigcode": (GPT, N), "openai-gpt": (GPT, N), "ctrl": ({**GPT, "dff": 32}, N),
    "gpt_neo": ({"hidden_size": 32, "num_layers": 1, "num_heads": 2, "attention_types": [[["global"], 1]],
                 "max_position_embeddings": N}, N),
    "opt": ({**LAYERS, "ffn_dim": 32, "word_embed_proj_dim": 32}, N), "biogpt": (LAYERS, N),
    "gptj": ({**GPT, "rotary_dim": 8}, N), "codegen": ({**GPT, "n_head": 4, "rotary_dim": 4}, N),
    "mpt": ({"d_model": 32, "n_heads": 2, "n_layers": 1, "max_seq_len": N}, N),
    "bert": ({**LAYERS, "is_decoder": True}, N), "roberta": ({**LAYERS, "is_decoder": True}, N - 2),
    "xlm-roberta": ({**LAYERS, "is_decoder": True}, N - 2),
    "llama": (LAYERS, None), "mistral": (LAYERS, None), "qwen2": (LAYERS, None), "gpt_neox": (LAYERS, None),
    "gemma": ({**LAYERS, "head_dim": 16}, None), "phi": (LAYERS, None), "stablelm": (LAYERS, None),
    "falcon": (LAYERS, None), "bloom": ({"hidden_size": 32, "n_layer": 1, "n_head": 2}, None),
    "xglm": ({"d_model": 32, "ffn_dim": 32, "num_layers": 1, "attention_heads": 2, "max_position_embeddings": N}, None),
    "mamba": ({"hidden_size": 32, "num_hidden_layers": 1, "state_size": 8}, None),
}  # fmt: skip
PAIRS: dict[str, tuple[dict[str, Any], Places]] = {
    **{name: ({**PAIR, "max_position_embeddings": N}, Places(N, N))
       for name in ("bart", "mbart", "pegasus", "marian", "blenderbot", "plbart")},
    "led": ({**PAIR, "max_encoder_position_embeddings": 32, "max_decoder_position_embeddings": N,
             "attention_window": 8}, Places(32, N)),
    "m2m_100": ({**PAIR, "max_position_embeddings": N}, Places(None, None)),
    **{name: (RELATIVE, Places(None, None)) for name in ("t5", "mt5", "longt5")},
}  # fmt: skip


def built(auto: Any, model_type: str, fields: dict[str, Any]) -> nn.Module:
    config = AutoConfig.for_model(model_type, vocab_size=60, pad_token_id=1, bos_token_id=0, eos_token_id=2, **fields)
    torch.manual_seed(0)
    model: nn.Module = auto.from_config(config, attn_implementation="eager").eval()
    return model


def reads(model: nn.Module, **lengths: int) -> bool:
    """Whether a forward pass with sequences of so many tokens goes through."""
    torch.manual_seed(1)
    batch = {name: torch.randint(3, 60, (1, length)) for name, length in lengths.items()}
    try:
        with torch.no_grad():
            model(**batch)
    except (IndexError, RuntimeError):
        return False
    return True


def holds(read: Callable[[int], bool], places: int | None) -> None:
    assert read(4 * N) if places is None else (read(places), read(places + 1)) == (True, False)


@pytest.mark.parametrize("model_type", DECODERS)
def test_a_decoder_reads_as_many_tokens_as_it_has_places_for(model_type: str) -> None:
    fields, places = DECODERS[model_type]
    model = built(AutoModelForCausalLM, model_type, fields)
    assert places_of(model) == Places(places, places)
    holds(lambda tokens: reads(model, input_ids=tokens), places)


@pytest.mark.parametrize("model_type", PAIRS)
def test_an_encoder_decoder_has_places_for_each_side(model_type: str) -> None:
    fields, places = PAIRS[model_type]
    model = built(AutoModelForSeq2SeqLM, model_type, fields)
    assert places_of(model) == places
    holds(lambda tokens: reads(model, input_ids=tokens, labels=8), places.source)
    holds(lambda tokens: reads(model, input_ids=8, labels=tokens), places.target)


ROWS = [{"question": "word " * 30, "answer": "and more " * (n + 1)} for n in range(4)]


@pytest.fixture
def bart(write_rows: WriteRows) -> Settings:
    """Of 64 places, with rows of up to 31 tokens."""
    return settings_of(write_rows("rows.jsonl", ROWS), model={"kind": "seq2seq", "architecture": BART})


def test_rows_are_refused_by_their_longest_and_not_by_the_limit_that_was_set(
    bart: Settings, write_rows: WriteRows
) -> None:
    require_places(load(changed(bart, "data", max_length=1024)), 1024)
    long = changed(bart, "data", train=str(write_rows("long.jsonl", [*ROWS, {"question": "w " * 80, "answer": "a"}])))
    require_places(load(changed(long, "data", max_length=64)), 64)
    workload = load(changed(long, "data", max_length=1024))
    assert workload.facts.longest_tokens is not None and workload.facts.longest_tokens > 64
    with pytest.raises(ConfigError) as caught:
        require_places(workload, 1024)
    assert caught.value.message == (
        f"data.max_length 1024: the longest source has {workload.facts.longest_tokens} tokens, and "
        "bart (random weights) has places for 64"
    )
    assert caught.value.hint == "Set data.max_length = 64; longer ones are then cut."


def test_evaluation_rows_and_targets_count_too(bart: Settings, write_rows: WriteRows) -> None:
    other = write_rows("eval.jsonl", [{"question": "word", "answer": "and more " * 80}])
    for key, side in (("eval", "target of data.eval"), ("train", "target")):
        with pytest.raises(ConfigError, match=f"the longest {side} has"):
            require_places(load(changed(bart, "data", max_length=512, **{key: str(other)})), 512)


def test_a_model_with_rotary_angles_reads_on_and_it_is_said(write_rows: WriteRows) -> None:
    architecture = {**LLAMA, "max_position_embeddings": 32}
    rows = [{"question": "word", "answer": "and more " * 20}]
    settings = settings_of(write_rows("rows.jsonl", rows), model={"architecture": architecture})
    workload = load(changed(settings, "data", max_length=1024))
    require_places(workload, 1024)
    longest = workload.facts.longest_tokens
    assert longest is not None and beyond_training(workload) == (longest, 32)
    assert beyond_training(load(changed(settings, "data", max_length=32))) is None


@pytest.mark.parametrize(("own", "kept"), [(16, 32), (48, 48)])
def test_no_profile_goes_beyond_what_a_rotary_model_was_made_for_where_the_user_does_not(
    write_rows: WriteRows, own: int, kept: int
) -> None:
    rows = write_rows("rows.jsonl", [{"question": "word", "answer": "and more " * 40, "short": "more"}] * 4)
    settings = settings_of(rows, model={"architecture": {**LLAMA, "max_position_embeddings": 32}})
    places = places_of(load(settings).model)
    profile = Profile(name="wide", description="", values={"data.max_length": 128})
    case = ResolvedProfile(profile=profile, settings=changed(settings, "data", max_length=128))
    held = within(case, load, places, made_for=32, own_length=own)
    assert held.settings.data.max_length == kept
    assert [(change.after, change.reason) for change in held.changes] == [(kept, "the model was made for 32 tokens")]
    short = changed(settings, "data", max_length=128, response="short")
    assert (
        within(ResolvedProfile(profile=profile, settings=short), load, places, made_for=32, own_length=own).changes
        == []
    )
