"""What a row's conversation is read as, and what is refused by row and message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.config.settings import DataSettings
from speedtui.engine.errors import DataError
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.data import check_table, table_of
from speedtui.engine.workload.messages import Conversation, read_conversation
from tests.engine.workload.conftest import WriteRows

ASK, TELL = {"role": "user", "content": "why"}, {"role": "assistant", "content": "because"}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def read(messages: Any, tools: Any = None, **ways: bool) -> Conversation:
    return read_conversation(messages, tools, "talks.jsonl line 3", **ways)


def roles(conversation: Conversation) -> list[str]:
    return [message["role"] for message in conversation.messages]


@pytest.mark.parametrize(
    ("asks", "tells"),
    [("user", "assistant"), ("human", "gpt"), ("User", "Assistant"), ("USER", "model"), ("prompter", "bot"),
     (" user ", "ChatGPT"), ("human", "ai")],
)  # fmt: skip
@pytest.mark.parametrize("keys", [("role", "content"), ("from", "value")])
def test_the_roles_of_common_formats_are_those_of_templates(asks: str, tells: str, keys: tuple[str, str]) -> None:
    talk = [dict(zip(keys, pair, strict=True)) for pair in ((asks, "why"), (tells, "because"))]
    assert read(talk) == Conversation([ASK, TELL], (1,))


def test_a_role_that_only_the_template_knows_is_left_to_it() -> None:
    assert roles(read([{"role": "ipython", "content": "4"}, {"role": "Critic", "content": "x"}])) == [
        "ipython",
        "Critic",
    ]


@pytest.mark.parametrize("mark", [{"weight": 0}, {"train": False}, {"weight": 0.0}, {"train": False, "weight": 1}])
def test_a_message_that_says_so_is_not_learned(mark: dict[str, Any]) -> None:
    conversation = read([ASK, {**TELL, **mark}, ASK, {**TELL, "weight": 1}, ASK, {**TELL, "train": True}])
    assert conversation.learned == (3, 5)
    assert conversation.messages == [ASK, TELL] * 3, "what speedtui reads is not left to the template"


def test_an_empty_turn_is_not_learned() -> None:
    assert read([ASK, {**TELL, "content": " "}, ASK, TELL]).learned == (3,)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([ASK, {**TELL, "content": ""}], "every assistant turn is empty"),
        ([ASK, {**TELL, "weight": 0}], 'every assistant turn says "train": false or "weight": 0'),
        ([ASK, {"role": "Narrator", "content": "x"}], "no message is the assistant's: the roles are user, Narrator"),
        ([], "there is no message"),
    ],
)
def test_why_nothing_is_learned_is_said_as_it_is(write_rows: WriteRows, messages: Any, reason: str) -> None:
    assert read(messages).reason == reason
    path = write_rows("talks.jsonl", [{"messages": messages}] * 2)
    with pytest.raises(DataError) as caught:
        check_table(table_of(str(path), DataSettings(messages="messages")), silent)
    assert caught.value.message == f"{path}: nothing to learn from in any of its 2 rows: {reason}"


@pytest.mark.parametrize("content", [{"content": None}, {"content": ""}, {}])
@pytest.mark.parametrize("arguments", [{"city": "Oslo"}, '{"city": "Oslo"}'])
def test_a_turn_that_only_calls_tools_is_learned(content: dict[str, Any], arguments: Any) -> None:
    call = {"function": {"name": "weather", "arguments": arguments}}
    conversation = read([ASK, {"role": "assistant", **content, "tool_calls": [call]}])
    assert conversation.messages[1] == {"role": "assistant", "content": "", "tool_calls": [CALL]}
    assert conversation.learned == (1,)
    assert json.loads(conversation.answer() or "") == [CALL]


def test_the_turns_of_a_sharegpt_call_are_a_call_and_what_the_tool_says() -> None:
    talk = [
        {"from": "human", "value": "weather"},
        {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Oslo"}}'},
        {"from": "observation", "value": "12 C"}, {"from": "gpt", "value": "It is 12 C."},
    ]  # fmt: skip
    conversation = read(talk)
    assert roles(conversation) == ["user", "assistant", "tool", "assistant"]
    assert conversation.messages[1]["tool_calls"] == [CALL]
    assert conversation.learned == (1, 3)


def test_text_parts_are_text() -> None:
    parts = [{"type": "text", "text": "be"}, {"type": "text", "text": "cause"}, "!"]
    assert read([ASK, {**TELL, "content": parts}]).messages[1]["content"] == "be\ncause\n!"


def test_the_list_may_be_json_text() -> None:
    assert read(json.dumps([ASK, TELL])) == read([ASK, TELL])


def test_the_fields_that_a_column_of_structs_adds_are_not_there(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    called = {"role": "assistant", "content": None, "tool_calls": [CALL], "weight": 1}
    other = {"function": {"name": "news", "arguments": {"topic": "sport"}}}
    path = tmp_path / "talks.parquet"
    rows = [{"m": [ASK, called], "tools": [TOOL]}, {"m": [ASK, {**called, "tool_calls": [other]}], "tools": None}]
    parquet.write_table(pa.Table.from_pylist(rows), path)
    first, second = [content for _, content in table_of(str(path), DataSettings(messages="m")).contents()]
    assert isinstance(first, Conversation)
    assert isinstance(second, Conversation)
    assert first.messages == [ASK, {"role": "assistant", "content": "", "tool_calls": [CALL]}]
    assert second.messages[1]["tool_calls"] == [{"type": "function", **other}]
    assert (first.tools and first.tools[0]["function"]["name"], second.tools) == ("weather", None)


@pytest.mark.parametrize(
    ("data", "found"),
    [({}, [TOOL]), ({"tools": "functions"}, [TOOL, TOOL])],
    ids=["beside the messages", "in the column named"],
)
def test_tools_come_from_their_column(write_rows: WriteRows, data: dict[str, Any], found: list[Any]) -> None:
    row = {"m": [ASK, TELL], "tools": json.dumps([TOOL]), "functions": [json.dumps(TOOL), TOOL]}
    ((_, content),) = table_of(str(write_rows("t.jsonl", [row])), DataSettings(messages="m", **data)).contents()
    assert isinstance(content, Conversation)
    assert content.tools == found


def test_a_system_message_is_folded_into_the_first_user_message() -> None:
    talk = [{"role": "system", "content": "Be brief."}, TELL, ASK, {**TELL, "weight": 0}, ASK, TELL]
    folded = read(talk, fold_system=True)
    assert folded.messages == [TELL, {"role": "user", "content": "Be brief.\n\nwhy"}, TELL, ASK, TELL]
    assert folded.learned == (0, 4)
    assert folded.answer() == read(talk).answer()
    assert read([ASK, TELL], fold_system=True) == read([ASK, TELL])


IMAGE = {"type": "image_url", "image_url": {"url": "x"}}


@pytest.mark.parametrize(
    ("messages", "tools", "says"),
    [
        ([ASK, "because"], None, "message 2: expected an object with role and content, got 'because'"),
        ([ASK, {"content": "because"}], None, "message 2: it has no role: {'content': 'because'}"),
        ([ASK, {**TELL, "content": 4}], None, "message 2 (assistant): expected content that is text, got 4"),
        ([ASK, {**TELL, "content": None}], None, "message 2 (assistant): expected content that is text, got None"),
        ([{**ASK, "content": None, "tool_calls": [CALL]}, TELL], None, "message 1 (user): expected content that is te"),
        ([{**ASK, "content": ["a", IMAGE]}], None, "message 1 (user): part 2 of its content is of type 'image_url'"),
        ([ASK, {**TELL, "weight": 0.5}], None, 'message 2 (assistant): "weight" must be 0 or 1, got 0.5'),
        ([ASK, {**TELL, "train": "no"}], None, "message 2 (assistant): \"train\" must be true or false, got 'no'"),
        ([{**ASK, "train": True}, TELL], None, 'message 1 (user): it says "train": true, and only the assistant\'s'),
        ([ASK, {**TELL, "tool_calls": [{"id": 1}]}], None, "message 2 (assistant): expected a call of a tool with a n"),
        ([ASK, {**TELL, "tool_calls": 3}], None, "message 2 (assistant): expected a call of a tool with a name"),
        ([ASK, TELL], {"name": "x"}, "its tools are no list of objects"),
        ([ASK, TELL], "[no", "its tools are no list of objects"),
        ("[no", None, 'expected a list of {"role": ..., "content": ...}, got \'[no\''),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_refused_by_row_and_message(messages: Any, tools: Any, says: str) -> None:
    with pytest.raises(DataError) as caught:
        read(messages, tools)
    assert caught.value.message.startswith(f"talks.jsonl line 3: {says}")
    assert caught.value.hint
