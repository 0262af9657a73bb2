"""Numbers that are none, and weights that cannot be trained: refused before anything runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

import pytest

from speedtui.engine.config.check import check
from speedtui.engine.config.live import live_values, parse_pairs
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.paths import setting_paths, with_values
from speedtui.engine.config.precision import ADAM_IN_WEIGHTS_PRECISION
from speedtui.engine.config.settings import DataSettings, ModelSettings, Optimizer, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.search.candidates import make_candidate

GOOD = Settings(
    model=ModelSettings(path="tiny"), data=DataSettings(train="t.jsonl", eval="e.jsonl", prompt="q", response="a")
)


def is_number(path: str) -> bool:
    """Whether some number is a value of the setting."""
    for value in (3, 0.5):
        try:
            with_values(GOOD, {path: value}, "f")
        except ConfigError:
            continue
        return True
    return False


NUMBERS = [path for path in setting_paths() if is_number(path)]


@pytest.mark.parametrize("path", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_setting_takes_what_is_no_number(path: str, value: float) -> None:
    with pytest.raises(ConfigError, match=path.replace(".", r"\.")) as caught:
        check(with_values(GOOD, {path: value}, "f"), "f")
    assert "above zero" not in caught.value.message and "at least" not in caught.value.message


def test_the_numbers_of_all_tables_are_among_them() -> None:
    assert {"train.learning_rate", "train.lora.dropout", "schedule.eval_share", "data.max_length"} <= set(NUMBERS)


def test_a_file_a_candidate_and_a_typed_value_are_refused_alike(tmp_path: Path) -> None:
    path = tmp_path / "speedtui.toml"
    path.write_text(
        '[model]\npath = "tiny"\n[data]\ntrain = "t"\nprompt = "q"\nresponse = "a"\n[train]\nweight_decay = nan\n'
    )
    with pytest.raises(ConfigError, match=r"train\.weight_decay must be a finite number, got nan"):
        load_settings(path)
    with pytest.raises(ConfigError, match=r"train\.max_grad_norm must be a finite number, got inf"):
        make_candidate(0, {"max_grad_norm": math.inf}, GOOD, "candidates.toml")
    with pytest.raises(ConfigError, match=r"schedule\.eval_share must be a finite number, got nan"):
        live_values(parse_pairs(["eval_share=nan"], "set"), GOOD, "set")


def with_precision(dtype: str, method: str, optimizer: str, **train: Any) -> Settings:
    values = {"model.dtype": dtype, "train.method": method, "train.optimizer": optimizer, **train}
    return with_values(GOOD, values, "f")


@pytest.mark.parametrize("optimizer", ADAM_IN_WEIGHTS_PRECISION)
@pytest.mark.parametrize("bf16", [False, True])
def test_float16_weights_are_refused_where_adam_would_make_them_infinite(optimizer: str, bf16: bool) -> None:
    with pytest.raises(ConfigError, match=r'model\.dtype "float16" with train\.method "full" cannot train') as raised:
        check(with_precision("float16", "full", optimizer, **{"train.bf16": bf16}), "f")
    assert 'model.dtype = "bfloat16"' in raised.value.hint
    assert '"float32" with train.bf16 = true' in raised.value.hint


def test_every_other_precision_is_left_to_train() -> None:
    for optimizer in get_args(Optimizer):
        for dtype, method in (("float32", "full"), ("bfloat16", "full"), ("float16", "lora")):
            check(with_precision(dtype, method, optimizer), "f")
    check(with_precision("float16", "full", "adafactor"), "f")
