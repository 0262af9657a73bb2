"""How the columns of [data] are named, and what becomes of a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from speedtui.engine.config.check import check
from speedtui.engine.config.formats import FORMATS, MEANINGS
from speedtui.engine.config.settings import DataSettings, Format, ModelSettings, Settings
from speedtui.engine.config.template import TEMPLATE
from speedtui.engine.errors import ConfigError, DataError
from speedtui.engine.workload.data import table_of
from speedtui.engine.workload.messages import Conversation
from tests.engine.workload.conftest import WriteRows

WITH_INPUT = """\
Below is an instruction that describes a task, paired with an input that provides further context. Write a response \
that appropriately completes the request.

### Instruction:
add

### Input:
2 and 2

### Response:"""
ALONE = """\
Below is an instruction that describes a task. Write a response that appropriately completes the request.

### Instruction:
hi

### Response:"""


def contents(path: Path, **data: Any) -> list[Any]:
    return [content for _, content in table_of(str(path), DataSettings(**data)).contents()]


def problem(**data: Any) -> ConfigError:
    settings = Settings(model=ModelSettings(path="m"), data=DataSettings(train="t.jsonl", **data))
    with pytest.raises(ConfigError) as caught:
        check(settings, "speedtui.toml")
    return caught.value


def test_alpaca_is_asked_in_its_own_words_with_its_input_where_there_is_one(write_rows: WriteRows) -> None:
    rows = [
        {"instruction": "add", "input": "2 and 2", "output": "4"},
        {"instruction": "hi", "input": "", "output": "hello"},
        {"instruction": "hi", "output": "hello"},
    ]
    asked = [(WITH_INPUT, "4"), (ALONE, "hello"), (ALONE, "hello")]
    assert contents(write_rows("alpaca.jsonl", rows), format="alpaca") == asked


@pytest.mark.parametrize("columns", [("instruction", "input", "output"), ("instruction", "output")])
def test_alpaca_of_a_table_may_lack_the_input_column(tmp_path: Path, columns: tuple[str, ...]) -> None:
    from datasets import Dataset

    Dataset.from_list([dict.fromkeys(columns, "hi")]).to_parquet(tmp_path / "a.parquet")
    ((asked, answer),) = contents(tmp_path / "a.parquet", format="alpaca")
    assert (asked.count("hi"), answer) == (len(columns) - 1, "hi")


def test_the_other_formats_read_the_columns_that_they_name(write_rows: WriteRows) -> None:
    pair = write_rows("pair.jsonl", [{"prompt": "a", "completion": "b"}])
    assert contents(pair, format="prompt-completion") == [("a", "b")]
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    shared = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    for path, name in (
        (write_rows("chatml.jsonl", [{"messages": said}]), "chatml"),
        (write_rows("sharegpt.jsonl", [{"conversations": shared}]), "sharegpt"),
    ):
        (conversation,) = contents(path, format=name)
        assert isinstance(conversation, Conversation)
        assert (conversation.messages, conversation.answer()) == (said, "b")


def test_a_format_whose_columns_are_missing_names_those_there_are(write_rows: WriteRows) -> None:
    with pytest.raises(DataError, match='no column "instruction"; did you mean instructions') as caught:
        contents(write_rows("a.jsonl", [{"instructions": "a", "output": "b"}]), format="alpaca")
    assert "instructions, output" in caught.value.hint


def test_every_format_is_explained_where_a_configuration_is_written() -> None:
    names = set(msgspec.inspect.type_info(Format).values)  # type: ignore[attr-defined]  # of a literal
    assert names == FORMATS.keys() == MEANINGS.keys()
    assert all(name in TEMPLATE for name in names)
    for name, layout in FORMATS.items():
        assert all(column in MEANINGS[name] for column in layout.columns)


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ({"instruction": "add", "input": "2"}, "add\n\n2"),
        ({"instruction": "add", "input": ""}, "add"),
        ({"instruction": "add", "input": "  "}, "add"),
        ({"instruction": None, "input": 2}, "2"),
        ({"instruction": "", "input": ""}, ""),
    ],
)
def test_several_prompt_columns_are_joined_and_empty_ones_left_out(
    write_rows: WriteRows, row: dict[str, Any], asked: str
) -> None:
    path = write_rows("several.jsonl", [{**row, "output": "b"}])
    assert contents(path, prompt=["instruction", "input"], response="output") == [(asked, "b")]


def test_a_template_puts_columns_in_their_places(write_rows: WriteRows) -> None:
    path = write_rows("t.jsonl", [{"context": "{x} of {question}", "question": 7, "a.b": "dot", "answer": "b"}])
    template = "{context}\n\nQuestion: {question} {{as JSON}} {a.b}"
    assert contents(path, prompt_template=template, response="answer") == [
        ("{x} of {question}\n\nQuestion: 7 {as JSON} dot", "b")
    ]


def test_an_unknown_column_of_a_template_is_refused_with_the_nearest(write_rows: WriteRows) -> None:
    path = write_rows("t.jsonl", [{"question": "a", "answer": "b"}])
    with pytest.raises(DataError, match='no column "questoin"; did you mean question'):
        contents(path, prompt_template="{questoin}", response="answer")
    with pytest.raises(DataError, match=r'no column "question\.__class__"'):
        contents(path, prompt_template="{question.__class__}", response="answer")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{question", "expected '}' before end of string"),
        ("{}", "{} is not the name of a column"),
        ("{question!r}", "{question!r} is not the name"),
        ("{question:>9}", "{question:>9} is not the name"),
        ("Answer!", "names no column, so that every prompt is the same"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused(template: str, said: str) -> None:
    error = problem(prompt_template=template, response="answer")
    assert said in error.message
    assert "{{ or }}" in error.hint


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "[data] must name the columns in one way"),
        ({"format": "alpaca", "prompt": "q", "response": "a"}, "in one way, not by format and by prompt and response"),
        ({"format": "alpaca", "text": "text"}, "in one way, not by format and by text"),
        ({"prompt": ["q", "q"], "response": "a"}, 'data.prompt names the column "q" twice'),
        ({"prompt": [], "response": "a"}, "data.prompt is missing"),
        ({"prompt": ["q", "a"], "response": "a"}, 'data.response "a" is part of the prompt too'),
        ({"prompt": "q", "prompt_template": "{q}", "response": "a"}, "both say what is asked"),
        ({"prompt_template": "{q}"}, "data.response is missing"),
        ({"format": "alpaca", "fold_system": True}, "data.fold_system goes with data.messages"),
        ({"text": "t", "validation_share": 1.0}, "data.validation_share must be between 0 and 1, got 1"),
        ({"text": "t", "validation_share": 0.1, "eval": "e.jsonl"}, "holds rows out of data.train, and data.eval"),
    ],
)
def test_columns_named_in_no_way_or_in_two_are_refused(data: dict[str, Any], said: str) -> None:
    assert said in problem(**data).message


@pytest.mark.parametrize("name", ["sharegpt", "chatml"])
def test_an_encoder_decoder_takes_no_conversations_by_any_name(name: str) -> None:
    model = ModelSettings(path="m", kind="seq2seq")
    with pytest.raises(ConfigError, match=f"data.format {name} does not go with"):
        check(Settings(model=model, data=DataSettings(train="t", format=name)), "x")  # type: ignore[arg-type]
    check(Settings(model=model, data=DataSettings(train="t", format="alpaca")), "x")


def test_a_list_of_prompts_is_kept_by_json(write_rows: WriteRows) -> None:
    data = DataSettings(prompt=["a", "b"], response="c")
    table = table_of("rows.jsonl", data)
    assert msgspec.json.decode(msgspec.json.encode(table), type=type(table)) == table
    assert json.loads(msgspec.json.encode(data))["prompt"] == ["a", "b"]
