"""`speedtui help`: what there is, what a command does, what each setting means."""

from __future__ import annotations

import json

import msgspec
import pytest

from speedtui.engine.config.described import described_settings
from speedtui.engine.config.paths import setting_paths, value_at, value_choices
from speedtui.engine.config.settings import Settings
from speedtui.engine.config.template import NO_EVALUATION, render_template
from speedtui.tui.cli import main

PATHS = [setting.path for setting in described_settings()]


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["help", *arguments])
    assert ended.value.code == code
    printed = capsys.readouterr()
    assert bool(printed.out) == (code == 0) and bool(printed.err) == (code != 0)
    return printed.out + printed.err


def test_every_setting_is_described_with_its_default() -> None:
    assert set(setting_paths()) <= set(PATHS) and len(set(PATHS)) == len(PATHS)
    for setting in described_settings():
        assert setting.meaning.endswith((".", "`")), setting.path
        default = value_at(Settings(), setting.path)
        assert msgspec.json.decode(setting.default or "null") == (default if default not in ({}, []) else None)
        assert all(choice in setting.values for choice in value_choices(setting.path)), setting.path


def test_the_configuration_that_init_writes_names_every_setting() -> None:
    text = render_template(model="m", train="t.jsonl", columns='prompt = "q"\nresponse = "a"', evaluation=NO_EVALUATION)
    own = {"model.recipe", "data.text", "data.messages", "train.max_steps", "train.lora.alpha", "track.name",
           "search.knobs", "window.deadline", "recipe"}  # fmt: skip
    table, named = "", set()
    for line in text.splitlines():
        plain = line.removeprefix("# ")
        if plain.startswith("["):
            table = plain[1 : plain.index("]")]
        named.add(f"{table}.{plain.partition(' = ')[0].strip()}")
    assert set(PATHS) - named == own, "what stands in another line's comment, or in a table of its own"


def test_all_settings_are_printed_by_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = said(capsys, "settings").splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line.startswith("[")] == [
        "[model]", "[data]", "[train]", "[train.lora]", "[window]", "[schedule]", "[search]", "[track]",
        "[notify]", "[recipe]",
    ]  # fmt: skip
    at = lines.index("  micro_batch_size = 1              whole number, at least 1")
    assert lines[at + 1] == "      Sequences in one forward and backward; accumulation follows from it."


def test_words_keep_the_settings_in_which_all_of_them_occur(capsys: pytest.CaptureFixture[str]) -> None:
    found = [json.loads(line) for line in said(capsys, "settings", "BEAMS", "--json").splitlines()]
    assert [setting["path"] for setting in found] == ["schedule.beams"]
    assert found[0]["values"] == "whole number, at least 1" and found[0]["default"] == "1"
    both = [json.loads(line)["path"] for line in said(capsys, "settings", "rows", "answered", "--json").splitlines()]
    assert both == ["schedule.generation_batch_size"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("settings", "micro_bach_size"),
            "help settings: none with micro_bach_size; did you mean train.micro_batch_size?",
        ),
        (("trian",), "help: no such command: trian; did you mean train?"),
        (("train", "tune"), "help: no such command: train tune"),
    ],
)
def test_what_there_is_not_is_told(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in said(capsys, *arguments, code=2)


def test_a_commands_help_is_that_of_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    printed = said(capsys, "keys")
    with pytest.raises(SystemExit):
        main(["keys", "--help"])
    assert printed.strip() == capsys.readouterr().out.strip()


def test_without_a_word_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert "help settings [WORD ...]" in " ".join(said(capsys).split())
