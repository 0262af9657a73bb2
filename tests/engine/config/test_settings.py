from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from speedtui.engine.config.frequency import Frequency, parse_frequency
from speedtui.engine.config.load import dump_settings, load_settings
from speedtui.engine.config.paths import differing_scalars, resolve_path, setting_paths, value_at, with_values
from speedtui.engine.config.settings import ModelSettings, Settings, WindowSettings
from speedtui.engine.config.template import render_template
from speedtui.engine.config.window import resolve_window
from speedtui.engine.errors import ConfigError

GOOD = """
[model]
path = "models/tiny"
[data]
train = "train.jsonl"
prompt = "question"
response = "answer"
[train]
effective_batch_size = 64
learning_rate = 1e-4
[search.knobs]
"micro_batch_size" = [1, 2]
"recipe.ddpm_mul" = [2, 4]
"""
NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def write(folder: Path, text: str) -> Path:
    path = folder / "speedtui.toml"
    path.write_text(text)
    return path


def test_a_configuration_is_read_with_its_defaults(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD))
    assert settings.train.effective_batch_size == 64
    assert settings.train.lora.r == 16
    assert settings.search.knobs == {"micro_batch_size": [1, 2], "recipe.ddpm_mul": [2, 4]}


def test_relative_paths_count_from_the_configurations_folder(tmp_path: Path) -> None:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    settings = load_settings(write(tmp_path, GOOD))
    assert settings.data.train == str(tmp_path / "train.jsonl")
    assert settings.model.path == str(tmp_path / "models" / "tiny")


def test_a_model_path_that_is_no_folder_stays_a_hub_id(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD.replace("models/tiny", "Qwen/Qwen2.5-0.5B")))
    assert settings.model.path == "Qwen/Qwen2.5-0.5B"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "[recipe]\nwidth = 3\n", r'\[recipe\] goes with model.kind = "python", and nothing else reads it'),
        (GOOD + '[notify]\ncommand = ""\n', "notify.command is empty"),
        (GOOD.replace("[data]", '[data]\neval = " "'), "data.eval is empty"),
    ],
)
def test_what_nothing_would_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_settings(write(tmp_path, text))


def test_a_written_configuration_reads_back_the_same(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD))
    assert load_settings(write(tmp_path, dump_settings(settings))) == settings


def test_the_commented_example_is_a_valid_configuration_with_the_defaults(tmp_path: Path) -> None:
    columns = 'prompt = "p"\nresponse = "r"'
    text = render_template(model="gpt2", train="t.jsonl", columns=columns)
    settings = load_settings(write(tmp_path, text))
    named = {"model.path": "gpt2", "data.train": str(tmp_path / "t.jsonl"), "data.prompt": "p", "data.response": "r"}
    assert settings == with_values(Settings(), named, "the lines that are given")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("learning_rate", "learning_rat", r"train\.learning_rat is not a setting; did you mean train\.learning_rate\?"),
        ("[train]", "[trian]", r"trian is not a setting; did you mean train\?"),
        ("= 64", '= "64"', r"train\.effective_batch_size: expected a whole number, got '64'"),
        ("= 64", "= 0", r"train\.effective_batch_size must be at least 1, got 0"),
        ("= 64", "= 64\nmicro_batch_size = 3", "micro_batch_size 3 does not divide train.effective_batch_size 64"),
        ("= 64", "= 64\nepochs = 0", r"train\.epochs must be above zero"),
        ("= 64", '= 64\nmethod = "lorra"', r"train\.method: expected one of lora, full, got 'lorra'"),
        ("= 64", '= 64\noptimizer = "adam"', r"train\.optimizer: expected one of adamw_torch_fused"),
        ('path = "models/tiny"', "", r"\[model\] needs either path or architecture"),
        ('response = "answer"', "", r"data\.response is missing"),
        ('prompt = "question"', 'text = "text"', r"\[data\] must name the columns in one way"),
        (
            "[search.knobs]",
            "[schedule]\neval_every = '5 apples'\n[search.knobs]",
            r"eval_every: expected 200",
        ),
        ("[search.knobs]", "[search]\nmemory_limit = '24'\n[search.knobs]", r"search\.memory_limit: expected a size"),
        ("[search.knobs]", "[search]\nbudget = 'soon'\n[search.knobs]", r"search\.budget: expected a duration"),
        ("[search.knobs]", "[train.lora]\nr = -1\n[search.knobs]", r"train\.lora\.r must be at least 1"),
        (
            "[search.knobs]",
            "[notify]\non = ['failed', 'later']\n[search.knobs]",
            r"notify\.on\[1\]: expected one of ended, .*, lost, got 'later'; did you mean late\?",
        ),
        (
            "[search.knobs]",
            "[track]\nto = ['wandbb']\n[search.knobs]",
            r"track\.to\[0\]: expected one of tensorboard, wandb, trackio, got 'wandbb'; did you mean wandb\?",
        ),
        ("[model]", "model = 3\n[mode]", r"mode"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_path(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message) as raised:
        load_settings(path)
    assert str(path) in raised.value.message


def test_a_line_that_is_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not TOML: .*line 2"):
        load_settings(write(tmp_path, "[model]\npath = tiny\n"))


def test_only_typed_flags_override_the_file(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD), {"search.mode": "minimal"})
    assert settings.search.mode == "minimal"
    assert settings.train.effective_batch_size == 64


def test_a_setting_is_found_by_its_path_or_its_unique_last_part() -> None:
    assert resolve_path("micro_batch_size", "here") == "train.micro_batch_size"
    assert resolve_path("train.lora.r", "here") == "train.lora.r"
    assert resolve_path("recipe.ddpm_mul", "here") == "recipe.ddpm_mul"
    with pytest.raises(ConfigError, match=r"here: micro_batch is not .*; did you mean train\.micro_batch_size\?"):
        resolve_path("micro_batch", "here")


def test_values_by_path_are_checked_like_the_file() -> None:
    changed = with_values(Settings(), {"train.lora.r": 8, "recipe.width": 3}, "here")
    assert (changed.train.lora.r, value_at(changed, "recipe.width")) == (8, 3)
    with pytest.raises(ConfigError, match=r"train\.lora\.r: expected a whole number, got 'eight'"):
        with_values(Settings(), {"train.lora.r": "eight"}, "here")


def test_every_setting_has_a_path_of_its_own() -> None:
    paths = list(setting_paths())
    assert len(paths) == len(set(paths))
    assert {"model.path", "train.lora.r", "search.batches", "window.margin"} <= set(paths)


def test_frequencies_are_steps_epochs_or_time() -> None:
    assert parse_frequency("200 steps") == Frequency(steps=200)
    assert parse_frequency("0.5 epochs") == Frequency(epochs=0.5)
    assert parse_frequency("never") == Frequency()
    assert parse_frequency("30m") == Frequency(seconds=1800)
    for text in ("0 steps", "1.5 steps", "0m", "often"):
        with pytest.raises(ValueError, match="expected 200 steps"):
            parse_frequency(text)


def test_a_clock_time_is_its_next_occurrence() -> None:
    window = resolve_window(WindowSettings(deadline="18:40", margin="30m"), NOON, "f")
    assert window is not None
    assert window.deadline - NOON.timestamp() == 6 * 3600 + 40 * 60
    assert window.safe_until == window.deadline - 1800
    tomorrow = resolve_window(WindowSettings(deadline="11:59"), NOON, "f")
    assert tomorrow is not None
    assert tomorrow.deadline - NOON.timestamp() == 24 * 3600 - 60


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (WindowSettings(deadline="2026-04-30 10:00"), r"window\.deadline 2026-04-30 10:00 is in the past"),
        (WindowSettings(deadline="teatime"), r"window\.deadline: expected 18:40"),
        (
            WindowSettings(length="20m", margin="30m"),
            r"margin of 30m 00s leaves nothing of a window of 20m 00s",
        ),
        (WindowSettings(length="1h", deadline="18:40"), "exclude each other"),
        (WindowSettings(length="an hour"), r"window\.length: expected a duration"),
    ],
)
def test_a_window_that_cannot_be_is_refused(settings: WindowSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_window(settings, NOON, "f")


def test_settings_that_differ_are_named_by_all_that_they_differ_in() -> None:
    base = Settings(model=ModelSettings(path="x"), recipe={"width": 3})
    model = msgspec.structs.replace(base.model, attention="eager")
    other = msgspec.structs.replace(base, model=model, recipe={"width": 4, "depth": 1})
    assert differing_scalars([base, other, base]) == ["model.attention", "recipe.depth", "recipe.width"]
    assert differing_scalars([base, base]) == differing_scalars([base]) == differing_scalars([]) == []
