"""Only what differs is loaded again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.errors import ConfigError, DataError
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import reload_data
from speedtui.engine.workload.probe_batch import longest_row
from speedtui.engine.workload.recipe import data_differs, rebuild_needed
from tests.engine.workload.conftest import WriteRows
from tests.engine.workload.small import LLAMA, T5, changed, load, settings_of

ROWS = [{"question": f"what is {i}", "answer": "word " * (i % 6 + 1)} for i in range(20)]


@pytest.fixture
def settings(write_rows: WriteRows, model_folder: Path) -> Settings:
    return settings_of(write_rows("rows.jsonl", ROWS), model={"path": str(model_folder)})


@pytest.mark.parametrize(("section", "values", "data"), [
    ("data", {"max_length": 32}, True),
    ("data", {"packing": True}, True),
    ("data", {"eval_rows": 2}, True),
    ("data", {"train": "other.jsonl"}, True),
    ("train", {"group_by_length": True}, False),
    ("train", {"micro_batch_size": 2}, False),
    ("train", {"seed": 1}, False),
    ("model", {"attention": "eager"}, False),
])  # fmt: skip
def test_a_saved_model_stays_whatever_becomes_of_its_data(
    settings: Settings, section: str, values: dict[str, Any], data: bool
) -> None:
    new = changed(settings, section, **values)
    assert not rebuild_needed(settings, new)
    assert data_differs(settings, new) is data


@pytest.mark.parametrize("values", [{"dtype": "bfloat16"}, {"kind": "seq2seq"}, {"path": "elsewhere"}])
def test_another_model_is_loaded(settings: Settings, values: dict[str, Any]) -> None:
    assert rebuild_needed(settings, changed(settings, "model", **values))


def test_packs_are_made_and_proved_anew_for_another_seed_or_attention(settings: Settings) -> None:
    packed = changed(settings, "data", packing=True)
    for new in (changed(packed, "train", seed=1), changed(packed, "model", attention="eager")):
        assert not rebuild_needed(packed, new)
        assert data_differs(packed, new)


def test_a_vocabulary_made_of_the_data_changes_with_it(settings: Settings) -> None:
    own = changed(settings, "model", path=None, architecture=LLAMA)
    assert rebuild_needed(own, changed(own, "data", train="other.jsonl"))
    assert rebuild_needed(own, changed(own, "data", prompt="question", response="reply"))
    assert not rebuild_needed(own, changed(own, "data", max_length=32))
    given = changed(own, "model", tokenizer="folder")
    assert not rebuild_needed(given, changed(given, "data", train="other.jsonl"))


def test_a_recipe_is_built_again_for_its_knobs_alone(settings: Settings) -> None:
    recipe = Settings(model=ModelSettings(kind="python", recipe="recipe.py:build"))
    longer = changed(recipe, "data", max_length=7)
    assert not rebuild_needed(recipe, longer)
    assert not data_differs(recipe, longer)
    assert rebuild_needed(recipe, changed(recipe, "train", seed=1))


def test_reloading_keeps_the_model_and_changes_everything_else(settings: Settings) -> None:
    first = load(settings)
    weights = {name: tensor.clone() for name, tensor in first.model.state_dict().items()}
    shorter = reload_data(first, changed(settings, "data", max_length=12), silent)
    packed = reload_data(first, changed(settings, "data", packing=True, eval=settings.data.train), silent)
    assert shorter.model is packed.model is first.model
    assert shorter.tokenizer is first.tokenizer
    assert shorter.facts.longest_tokens == 12
    assert shorter.facts.cut_rows > 0 == first.facts.cut_rows
    assert len(packed.train_dataset) < len(first.train_dataset) == len(shorter.train_dataset)
    assert packed.packed and packed.facts.eval_rows == len(ROWS)
    assert not first.packed and first.lengths is not None and len(first.lengths) == len(ROWS)
    assert all((tensor == weights[name]).all() for name, tensor in first.model.state_dict().items())
    alike = load(changed(settings, "data", packing=True))
    assert packed.lengths is not None and alike.lengths is not None
    assert packed.lengths.tolist() == alike.lengths.tolist()


def test_the_longest_row_is_found_anew(write_rows: WriteRows, settings: Settings) -> None:
    first = load(settings)
    other = write_rows("other.jsonl", [{"question": "a", "answer": "b"}, {"question": "a", "answer": "b" * 30}])
    assert longest_row(first) > 1
    assert longest_row(reload_data(first, changed(settings, "data", train=str(other)), silent)) == 1


def test_a_seq2seq_workload_is_reloaded_with_its_targets(write_rows: WriteRows) -> None:
    settings = settings_of(write_rows("rows.jsonl", ROWS), model={"kind": "seq2seq", "architecture": T5})
    shorter = reload_data(load(settings), changed(settings, "data", max_length=3), silent)
    assert shorter.lengths is not None and shorter.target_lengths is not None
    assert (shorter.lengths.max(), shorter.target_lengths.max()) == (3, 3)


def test_another_attention_is_proved_before_packs_are_trained(settings: Settings, write_rows: WriteRows) -> None:
    packed = changed(settings, "data", packing=True)
    workload = load(packed)
    model: Any = reload_data(workload, changed(packed, "model", attention="eager"), silent).model
    assert model.config._attn_implementation == "eager"


def test_what_cannot_be_reloaded_leaves_the_workload_as_it_was(settings: Settings) -> None:
    first = load(settings)
    with pytest.raises(DataError, match="no such file"):
        reload_data(first, changed(settings, "data", train="/no/such/file.jsonl"), silent)
    assert len(first.train_dataset) == len(ROWS)


def test_packing_with_a_model_that_mixes_samples_is_refused_at_loading(settings: Settings) -> None:
    bloom = {"model_type": "bloom", "hidden_size": 32, "n_layer": 2, "n_head": 2}
    own = changed(changed(settings, "model", path=None, architecture=bloom, attention="eager"), "data", packing=True)
    with pytest.raises(
        ConfigError, match=r"data\.packing: bloom \(random weights\) \(BloomForCausalLM\) lets"
    ) as caught:
        load(own)
    assert "\n" not in caught.value.message
