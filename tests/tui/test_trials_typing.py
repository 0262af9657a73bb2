"""Settings typed on the Trials: grids, and what is completed."""

from __future__ import annotations

import builders as b
import pytest

from speedtui.engine.config.paths import setting_paths, value_choices
from speedtui.engine.errors import ConfigError
from speedtui.engine.state import TrialRow, fold
from speedtui.tui.candidates.completion import completed, hint
from speedtui.tui.candidates.grid import MOST, read_grid

CONFIG = b.config()
NAMES = setting_paths()


def rows() -> tuple[TrialRow, ...]:
    study = fold(b.study_log()).study
    assert study is not None
    return study.rows


def test_a_grid_is_every_combination_of_its_lines() -> None:
    found = read_grid(["micro_batch_size = 1, 2", "compile = false, true", ""], CONFIG, ())
    assert found.values == [
        {"train.micro_batch_size": micro, "train.compile": on} for micro in (1, 2) for on in (False, True)
    ]
    assert found.summary == "4 candidates"


def test_what_is_listed_already_is_told_by_what_it_comes_to_and_not_by_how_it_is_written() -> None:
    found = read_grid(["micro_batch_size = 1, 8", "bf16 = false, true"], CONFIG, rows())
    assert found.values == [{"train.micro_batch_size": 1, "train.bf16": True}]
    assert found.summary == "1 candidate; 3 are there already"


def test_combinations_that_cannot_work_are_counted_with_the_files_own_reason() -> None:
    found = read_grid(["micro_batch_size = 2, 3, 5"], CONFIG, ())
    assert found.summary == (
        "1 candidate; 2 refused: train.micro_batch_size 3 does not divide train.effective_batch_size 16"
    )


def test_a_large_grid_is_spread_over_its_combinations() -> None:
    ranks = ", ".join(str(rank) for rank in range(4, 44))
    found = read_grid([f"train.lora.r = {ranks}", "micro_batch_size = 1, 2, 4"], CONFIG, ())
    assert len(found.values) == MOST and f"of 120 combinations {MOST} were taken" in found.summary
    assert len({values["train.lora.r"] for values in found.values}) > 30


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([""], "no setting yet"),
        (["bf16"], "expected `setting = value`"),
        (["bf16 = "], "train.bf16 has no value"),
        (["micro_batch_size = 1, , 2"], "train.micro_batch_size lacks a value in '1, , 2'"),
        (["bf17 = true"], "did you mean train.bf16?"),
        (["bf16 = perhaps, maybe"], "train.bf16: expected true or false, got 'perhaps'"),
        (["bf16 = true", "train.bf16 = false"], "train.bf16 is set twice"),
        (["micro_batch_size = 3"], "does not divide"),
        (["micro_batch_size = 1, 2, 3"], "nothing new: 2 are there already; 1 refused"),
    ],
)
def test_a_grid_that_adds_nothing_says_why(lines: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_grid(lines, CONFIG, rows())
    assert message in error.value.message


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("train.micro", "train.micro_batch_size = "),
        ("bf", "bf16 = "),
        ("train.optimizer = adam", "train.optimizer = adamw_torch_fused"),
        ("train.optimizer = adaf", "train.optimizer = adafactor"),
        ("bf16 = t", "bf16 = true"),
        ("bf16 = false, t", "bf16 = false, true"),
        ("attention = ", "attention = auto"),
        ("train.micro_batch_size = ", None),
        ("nothing like it", None),
        ("", None),
    ],
)
def test_the_rest_of_a_name_or_value_is_suggested(typed: str, whole: str | None) -> None:
    assert completed(typed, NAMES) == whole


def test_a_hint_names_settings_with_the_typed_part_and_what_a_setting_is_now() -> None:
    assert hint("batch_size", NAMES, CONFIG) == (
        "train.effective_batch_size, train.micro_batch_size, schedule.eval_batch_size, schedule.generation_batch_size"
    )
    assert hint("train.micro_batch_size = 4", NAMES, CONFIG) == "train.micro_batch_size is 1 in the configuration"
    assert hint("bf16 = ", NAMES, CONFIG) == "train.bf16: true, false; is false in the configuration"
    assert hint("", NAMES, CONFIG) == ""


def test_choices_are_those_of_the_setting_and_none_where_anything_goes() -> None:
    assert value_choices("model.attention") == ["auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3"]
    assert value_choices("train.lora.target_modules") == ["all-linear"]
    assert value_choices("train.epochs") == [] and value_choices("no.such") == []
