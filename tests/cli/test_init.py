"""`speedtui init` writes a configuration that works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.config.load import load_settings
from speedtui.engine.errors import ExitCode
from speedtui.engine.workload.sources import check_sources
from tests.cli.program import Place
from tests.engine.hardware.conftest import driver_library as driver_library


@pytest.fixture
def empty(place: Place) -> Place:
    """A folder without a configuration, with something that passes for a model."""
    (place.folder / "speedtui.toml").unlink()
    (place.folder / "model").mkdir()
    place.write("model/config.json", '{"model_type": "llama"}')
    return place


FORMS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"prompt": "a", "response": "b"}, {"prompt": "prompt", "response": "response"}),
    ({"id": 1, "question": "a", "answer": "b"}, {"prompt": "question", "response": "answer"}),
    ({"text": "a"}, {"text": "text"}),
    ({"messages": [{"role": "assistant", "content": "b"}]}, {"messages": "messages"}),
]


@pytest.mark.parametrize(("row", "columns"), FORMS, ids=lambda value: "-".join(value))
def test_the_columns_are_those_of_the_data(empty: Place, row: dict[str, Any], columns: dict[str, str]) -> None:
    empty.write_rows([row])
    ended = empty.run("init", "--model", "model", "--data", "train.jsonl")
    assert (ended.code, ended.err) == (ExitCode.DONE, "")
    settings = load_settings(empty.folder / "speedtui.toml")
    named = {name: getattr(settings.data, name) for name in ("prompt", "response", "text", "messages")}
    assert {name: column for name, column in named.items() if column is not None} == columns
    check_sources(settings, "speedtui.toml")


def test_the_columns_of_a_quoted_csv_header_are_read(empty: Place) -> None:
    empty.write("train.csv", '\ufeff"question","answer"\n"a","b, c"\n')
    assert empty.run("init", "--model", "model", "--data", "train.csv").code == ExitCode.DONE
    settings = load_settings(empty.folder / "speedtui.toml")
    assert (settings.data.prompt, settings.data.response) == ("question", "answer")
    check_sources(settings, "speedtui.toml")


def test_data_that_cannot_be_read_is_told_and_nothing_is_said_against_it(empty: Place) -> None:
    empty.write("train.jsonl", '{"question": "a"\n')
    ended = empty.run("init", "--model", "model", "--data", "train.jsonl")
    assert ended.message.startswith("train.jsonl line 1: not JSON") and ended.hint == ""
    assert ended.out.endswith("Correct [data] in it, then: speedtui tune\n")


def test_what_was_typed_counts_from_here_wherever_the_configuration_is(empty: Place) -> None:
    (empty.folder / "configs").mkdir()
    empty.run("init", "--config", "configs/mine.toml", "--model", "model", "--data", "train.jsonl")
    settings = load_settings(empty.folder / "configs/mine.toml")
    assert settings.data.train == str(empty.folder / "train.jsonl")
    assert settings.model.path == str(empty.folder / "model")


def test_a_name_with_quotes_and_backslashes_is_kept(empty: Place) -> None:
    name = 'a "b" \\ c.jsonl'
    (empty.folder / "train.jsonl").rename(empty.folder / name)
    assert empty.run("init", "--data", name).code == ExitCode.DONE
    assert Path(load_settings(empty.folder / "speedtui.toml").data.train or "").name == name


def test_a_model_that_is_no_folder_is_taken_for_a_hub_id(empty: Place) -> None:
    empty.run("init", "--model", "Qwen/Qwen2.5-0.5B")
    assert load_settings(empty.folder / "speedtui.toml").model.path == "Qwen/Qwen2.5-0.5B"


def test_a_configuration_that_is_there_is_kept_unless_forced(place: Place) -> None:
    before = (place.folder / "speedtui.toml").read_text()
    refused = place.run("init")
    assert refused.code == ExitCode.USAGE
    assert refused.message == "speedtui.toml is there already"
    assert "--force" in refused.hint
    assert (place.folder / "speedtui.toml").read_text() == before
    assert place.run("init", "--force").code == ExitCode.DONE
    assert (place.folder / "speedtui.toml").read_text() != before


def test_with_json_it_tells_what_it_wrote(empty: Place) -> None:
    (told,) = empty.run("init", "--json").lines()
    assert told == {"config": "speedtui.toml", "columns": ["question", "answer"]}


def test_a_folder_that_is_not_there_is_one_clear_error(empty: Place) -> None:
    ended = empty.run("init", "--config", "absent/speedtui.toml")
    assert ended.code == ExitCode.USAGE
    assert ended.message == "absent/speedtui.toml cannot be written: No such file or directory"


@pytest.mark.parametrize(
    ("config", "macros", "expected", "said"),
    [
        ('"torch_dtype": "bfloat16"', ["CAPABILITY=9"], ("bfloat16", True, False), "as in the model's config.json"),
        ('"dtype": "float32"', ["CAPABILITY=8"], ("float32", True, False), "weights stay float32"),
        ('"dtype": "bfloat16"', ["CAPABILITY=7"], ("float32", False, True), "has no bfloat16"),
        ('"dtype": "bfloat16"', [], ("float32", False, False), "is not known"),
    ],
)
def test_on_a_gpu_the_precision_is_that_of_device_and_checkpoint_and_is_said(
    empty: Place,
    driver_library: Callable[..., Path],
    config: str,
    macros: list[str],
    expected: Any,
    said: str,
) -> None:
    empty.write("model/config.json", '{"model_type": "llama", ' + config + "}")
    library = {"LD_LIBRARY_PATH": str(driver_library(*macros))}
    ended = empty.run("init", "--model", "model", "--data", "train.jsonl", env=library)
    assert ended.code == ExitCode.DONE
    settings = load_settings(empty.folder / "speedtui.toml")
    assert (settings.model.dtype, settings.train.bf16, settings.train.fp16) == expected
    (reason,) = [line.removeprefix("speedtui: ") for line in ended.err.splitlines()]
    assert said in reason and "Stand-in 80" in reason
    assert f"# {reason}.\n" in (empty.folder / "speedtui.toml").read_text()


def test_the_command_that_comes_next_names_the_file_that_was_written(empty: Place) -> None:
    for arguments, following in (
        ((), "speedtui tune\n"), (("--config", "my own.toml"), "speedtui tune --config 'my own.toml'\n"),
    ):  # fmt: skip
        ended = empty.run("init", "--model", "model", *arguments)
        assert ended.code == ExitCode.DONE and ended.out.endswith(f"then: {following}")


@pytest.mark.parametrize("model", ["./absent", "../absent", "/absent", "~/absent", "models/of/mine"])
def test_a_folder_without_a_model_is_told_and_not_taken_for_a_hub_id(empty: Place, model: str) -> None:
    ended = empty.run("init", "--model", model)
    assert ended.code == ExitCode.DONE
    assert f"{model}: no model is there that from_pretrained could load" in ended.err
    assert "encoder-decoder" not in ended.err


@pytest.mark.parametrize("model", ["model", "a-model-in-a-folder-with-a-long-name"])
def test_comments_stand_below_each_other_where_there_is_room(empty: Place, model: str) -> None:
    (empty.folder / model).mkdir(exist_ok=True)
    empty.run("init", "--model", model)
    text = (empty.folder / "speedtui.toml").read_text()
    lines = {line.partition(" = ")[0]: line.find("#") for line in text.splitlines()}
    assert lines["train"] == lines["dtype"] and (lines["path"] == lines["dtype"]) is (model == "model")
