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
from speedtui.engine.profile.apply import written_paths
from speedtui.engine.profile.load import find_profile, own_folder
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.search.user_candidates import read_configs
from speedtui.tui.keys.keymap import keymap_path, read_keymap

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


UNWRITABLE = [
    ("train.max_steps = 1000000000000000000000", "train.max_steps: a whole number of 22 digits is too large"),
    ("train.max_steps = -9223372036854775809", "train.max_steps: a whole number of 19 digits is too large"),
    ("model.architecture.rope.base = 9223372036854775808", "model.architecture.rope.base: a whole number of 19"),
    ("search.knobs.'train.seed' = [1, 1000000000000000000000]", r"search.knobs.train.seed\[1\]: a whole number of 22"),
    ("recipe.n = 99999999999999999999", "recipe.n: a whole number of 20 digits"),
    ('data.train = "a\\u0000b.jsonl"', "data.train: the text holds a NUL character"),
    ('notify.command = "a\\u0000b"', "notify.command: the text holds a NUL character"),
    ("train.seed = -1", "train.seed must be at least 0 and below 4294967296, got -1"),
    ("train.seed = 4294967296", "train.seed must be at least 0 and below 4294967296, got 4294967296"),
    ('data.train = ""', "data.train is missing"),
    ("train.seed = " + "9" * 5000, "not TOML: Exceeds the limit"),
    ("recipe.n = " + "[" * 5000 + "]" * 5000, "not TOML: maximum recursion depth"),
]
"""A line of the file each, and what is said of it."""


@pytest.mark.parametrize(("line", "said"), UNWRITABLE)
def test_what_no_log_and_no_file_name_can_hold_is_refused_with_its_key(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "speedtui.toml"
    others = 'model.path = "tiny"\ndata.train = "t"\ndata.prompt = "q"\ndata.response = "a"\n'
    kept = [other for other in others.splitlines() if other.split(" = ")[0] != line.split(" = ")[0]]
    path.write_text("\n".join([*kept, line]))
    if line.startswith("model.architecture"):
        path.write_text(path.read_text().replace('model.path = "tiny"', 'model.architecture.model_type = "llama"'))
    with pytest.raises(ConfigError, match=said):
        load_settings(path)


def test_a_file_as_windows_editors_begin_it_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the byte order mark: a configuration, candidates of both kinds, a profile's and the keys."""
    mark = "\ufeff"
    path = tmp_path / "speedtui.toml"
    path.write_text(f'{mark}model.path = "tiny"\ndata.train = "t"\ndata.prompt = "q"\ndata.response = "a"\n')
    assert load_settings(path).model.path == "tiny"
    assert written_paths(path) == {"model.path", "data.train", "data.prompt", "data.response"}
    (tmp_path / "c.json").write_text(f'{mark}[{{"micro_batch_size": 1}}]')
    (tmp_path / "c.toml").write_text(f"{mark}[[candidate]]\nmicro_batch_size = 1\n")
    for name in ("c.json", "c.toml"):
        assert [c.values for c in read_configs(tmp_path / name, GOOD)] == [{"train.micro_batch_size": 1}]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own_folder().mkdir(parents=True)
    (own_folder() / "mine.toml").write_text(f'{mark}description = "mine"\n[settings.train]\nmicro_batch_size = 2\n')
    assert find_profile("mine").description == "mine"
    keymap_path().write_text(f'{mark}[keys]\nrun.pause = "P"\n')
    assert not read_keymap().problems
