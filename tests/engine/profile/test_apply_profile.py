from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from speedtui.engine.config.load import load_settings
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import DataSettings, ModelSettings, Scalar, Settings, TrainSettings
from speedtui.engine.errors import ConfigError
from speedtui.engine.profile.apply import apply_profile, values_of, written_paths
from speedtui.engine.profile.load import built_in_profiles
from speedtui.engine.profile.profile import Profile

BASE = Settings(
    model=ModelSettings(path="m"),
    data=DataSettings(train="t", text="x", max_length=1024),
    train=TrainSettings(effective_batch_size=16, micro_batch_size=1),
)
EFFECTIVE = "train.effective_batch_size"
FAST, BALANCED, QUALITY, MEMORY_EFFICIENT = built_in_profiles()


def own(values: dict[str, Scalar]) -> Profile:
    return Profile(name="own", description="", values=values, own=True)


def test_a_profile_is_laid_over_the_configuration_and_every_change_is_told() -> None:
    settings, changes = apply_profile(BASE, QUALITY)
    assert (settings.train.micro_batch_size, settings.train.effective_batch_size) == (2, 32)
    assert (settings.train.epochs, settings.data.max_length) == (4, 4096)
    assert {c.path: (c.before, c.after) for c in changes} == {
        EFFECTIVE: (16, 32),
        "train.micro_batch_size": (1, 2),
        "train.epochs": (3, 4),
        "data.max_length": (1024, 4096),
    }
    assert all("profile quality" in c.reason for c in changes)
    assert not any(c.gives_up for c in changes)


def test_what_a_smaller_figure_costs_is_told() -> None:
    base = with_values(BASE, {"data.max_length": 4096}, "here")
    costs = {c.path: c.gives_up for c in apply_profile(base, FAST).changes if c.gives_up}
    assert costs == {"train.epochs": "1 of 3 epochs", "data.max_length": "what a sample has beyond 1,024 tokens"}
    rank = apply_profile(BASE, own({"train.lora.r": 8})).changes
    assert [c.gives_up for c in rank] == ["an adapter of rank 16"]


@pytest.mark.parametrize(("effective", "micro"), [(64, 8), (12, 6), (30, 6), (7, 7), (13, 1), (4, 4), (1, 1)])
def test_a_written_effective_batch_is_kept_and_the_micro_batch_divides_it(effective: int, micro: int) -> None:
    base = with_values(BASE, {EFFECTIVE: effective}, "here")
    settings, changes = apply_profile(base, FAST, written={EFFECTIVE})
    assert (settings.train.effective_batch_size, settings.train.micro_batch_size) == (effective, micro)
    assert EFFECTIVE not in {c.path for c in changes}
    reasons = [c.reason for c in changes if c.path == "train.micro_batch_size"]
    if micro not in (1, 8):  # 1 is no change, 8 is what the profile says
        assert reasons == [
            f"profile fast: the largest micro-batch up to its 8 that divides your effective batch of {effective}"
        ]


def test_a_profile_without_an_effective_batch_leaves_it() -> None:
    settings, changes = apply_profile(BASE, own({"train.micro_batch_size": 6}))
    assert (settings.train.effective_batch_size, settings.train.micro_batch_size) == (16, 4)
    assert "that divides the effective batch of 16" in changes[0].reason


def test_a_profile_that_is_in_place_already_changes_nothing() -> None:
    settings, _ = apply_profile(BASE, BALANCED)
    assert apply_profile(settings, BALANCED) == (settings, [])


@pytest.mark.parametrize(("longest", "length"), [(900, 1024), (1024, 1024), (1025, 4096), (None, 4096)])
def test_a_length_beyond_the_longest_sample_is_no_change(longest: int | None, length: int) -> None:
    assert apply_profile(BASE, QUALITY, longest_tokens=longest).settings.data.max_length == length


def test_a_pack_takes_the_profiles_length_however_short_the_samples_are() -> None:
    packed = with_values(BASE, {"data.packing": True}, "here")
    assert apply_profile(packed, QUALITY, longest_tokens=10).settings.data.max_length == 4096


def test_a_full_fine_tuning_has_no_adapter_to_set() -> None:
    profile = own({"train.lora.r": 64, "train.bf16": True})
    full = with_values(BASE, {"train.method": "full"}, "here")
    assert [c.path for c in apply_profile(full, profile).changes] == ["train.bf16"]
    assert [c.path for c in apply_profile(BASE, profile).changes] == ["train.lora.r", "train.bf16"]
    becomes_full = own({"train.method": "full", "train.lora.r": 64})
    assert [c.path for c in apply_profile(BASE, becomes_full).changes] == ["train.method"]


def test_quantized_weights_stay_with_adapters_and_whole_ones_that_are_trained_stay_whole() -> None:
    quantized = with_values(BASE, {"model.quantize": "nf4"}, "here")
    full = {"train.method": "full", "train.lora.r": 64}
    assert [c.path for c in apply_profile(quantized, own(full)).changes] == ["train.lora.r"]
    unquantized = apply_profile(quantized, own({"train.method": "full", "model.quantize": "none"}))
    assert {c.path for c in unquantized.changes} == {"train.method", "model.quantize"}
    assert [c.path for c in apply_profile(BASE, own({"model.quantize": "int8"})).changes] == ["model.quantize"]
    trained = with_values(BASE, {"train.method": "full"}, "here")
    assert apply_profile(trained, own({"model.quantize": "int8"})).changes == []


def test_a_recipe_takes_only_what_applies_to_it() -> None:
    recipe = msgspec.structs.replace(BASE, model=ModelSettings(kind="python", recipe="r.py:build"), recipe={"k": 1})
    changed = {c.path for c in apply_profile(recipe, MEMORY_EFFICIENT).changes}
    assert changed == {EFFECTIVE}  # epochs and micro-batch are the same; length and checkpointing are not its
    applied = apply_profile(recipe, own({"recipe.k": 4, "recipe.new": "a"}))
    assert applied.settings.recipe == {"k": 4, "new": "a"}
    assert values_of(applied.settings, recipe) == {"recipe.k": 4, "recipe.new": "a"}
    assert apply_profile(BASE, own({"recipe.k": 4})).changes == []


def test_epochs_are_left_alone_where_a_number_of_steps_overrides_them() -> None:
    steps = with_values(BASE, {"train.max_steps": 100}, "here")
    assert apply_profile(steps, FAST).settings.train.epochs == 3


def test_packing_is_for_causal_models() -> None:
    seq2seq = with_values(BASE, {"model.kind": "seq2seq"}, "here")
    assert apply_profile(seq2seq, own({"data.packing": True})).changes == []
    assert len(apply_profile(BASE, own({"data.packing": True})).changes) == 1


def test_the_values_of_a_profile_make_the_configuration_into_it() -> None:
    for profile in built_in_profiles():
        applied = apply_profile(BASE, profile).settings
        values = values_of(applied, BASE)
        assert with_values(BASE, values, "here") == applied
        assert set(values) == {c.path for c in apply_profile(BASE, profile).changes}


def test_the_paths_that_a_file_names_are_those_it_names(tmp_path: Path) -> None:
    file = tmp_path / "speedtui.toml"
    file.write_text('[model]\npath = "m"\n[data]\ntrain = "t"\ntext = "x"\n[train]\nepochs = 3\n[train.lora]\nr = 16\n')
    assert written_paths(file) == {"model.path", "data.train", "data.text", "train.epochs", "train.lora.r"}
    assert load_settings(file).train.effective_batch_size == 16
    file.write_text("[train]\neffective_batch_size = 16\n")
    assert written_paths(file) == {EFFECTIVE}


def test_a_file_that_is_gone_or_no_toml_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read"):
        written_paths(tmp_path / "gone.toml")
    (tmp_path / "bad.toml").write_text("[train")
    with pytest.raises(ConfigError, match=r"bad\.toml: not TOML: .*line 1"):
        written_paths(tmp_path / "bad.toml")
