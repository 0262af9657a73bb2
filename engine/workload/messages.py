"""What a row's conversation is: its messages as chat templates take them, which are learned, and its tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from speedtui.engine.clean import clean
from speedtui.engine.errors import DataError

ChatMessage = dict[str, Any]
Messages = list[ChatMessage]

ROLES = {
    "human": "user", "prompter": "user",
    "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant", "ai": "assistant",
    "function": "tool", "observation": "tool",
}  # fmt: skip
"""What other formats call the roles that chat templates know; a role that is not here is left to the template."""

KNOWN = ("system", "developer", "user", "assistant", "tool")
CALL = "function_call"
"""The role of an assistant's turn that is one call of a tool, as JSON text."""

THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Keys under which a message has its reasoning."""

OWN_KEYS = ("role", "from", "content", "value", "weight", "train")
"""Read here; all others are the template's."""


@dataclass(frozen=True)
class Conversation:
    """A row as its chat template is to render it."""

    messages: Messages
    """`role` and `content`, text, of each, and what else the template may write."""
    learned: tuple[int, ...]
    """Places of the assistant's turns that are learned."""
    tools: list[Any] | None = None
    empty: int = 0
    """Assistant's turns that are not learned since there is nothing in them."""
    reason: str = ""
    """Why no turn is learned; empty where one is."""

    @property
    def first(self) -> int | None:
        """Which of `learned` is asked first: the first that has something before it; None where there is none."""
        return next((number for number, place in enumerate(self.learned) if place), None)

    def answer(self, number: int | None = None) -> str | None:
        """What is to be answered at the learned turn of this number, by default at the first that is asked.

        None where there is none. A turn that only calls tools is answered by its calls, as JSON text.
        """
        number = self.first if number is None else number
        if number is None:
            return None
        message = self.messages[self.learned[number]]
        calls = message.get("tool_calls")
        return json.dumps(calls, ensure_ascii=False) if calls and not message["content"] else str(message["content"])


def read_conversation(
    value: Any, tools: Any, where: str, *, arrow: bool = False, fold_system: bool = False
) -> Conversation:
    """The conversation in a row's columns; `where` opens every refusal and names the row and the column.

    Messages have `role` and `content`, or `from` and `value` as ShareGPT has them, and may say `"train": false` or
    `"weight": 0`, which is then not learned. The list itself may be JSON text. arrow: the file gives every message all
    fields of its column, so that a null is a field that is not there. fold_system: a system message becomes the
    beginning of the first user message.

    Raises:
        DataError: a message is not one, or cannot be learned as it says; naming it.
    """
    rows = _listed(value, where)
    if arrow:
        rows = [_without_nulls(row) for row in rows]
    messages, learned, empty, told = [], [], 0, 0
    for number, row in enumerate(rows, start=1):
        message, learns = _message(row, f"{where}: message {number}")
        if message["role"] == "assistant":
            says = bool(message["content"].strip() or message.get("tool_calls") or _thinks(message))
            learned += [number - 1] * (learns and says)
            empty, told = empty + (learns and not says), told + (not learns)
        messages.append(message)
    reason = "" if learned else _reason(messages, empty, told)
    conversation = Conversation(messages, tuple(learned), _tools(tools, where, arrow), empty, reason)
    return _folded(conversation, where) if fold_system else conversation


def _reason(messages: Messages, empty: int, told: int) -> str:
    if empty:
        return "every assistant turn is empty"
    if told:
        return 'every assistant turn says "train": false or "weight": 0'
    roles = ", ".join(dict.fromkeys(str(message["role"]) for message in messages))
    return f"no message is the assistant's: the roles are {roles}" if roles else "there is no message"


# -- one message -----------------------------------------------------------------------------------


def _message(value: Any, where: str) -> tuple[ChatMessage, bool]:
    """A message as templates take it, and whether it may be learned."""
    if not isinstance(value, Mapping):
        raise DataError(f"{where}: expected an object with role and content, got {clean(repr(value), 60)}", _SHAPE)
    role = value.get("role", value.get("from"))
    if not isinstance(role, str) or not role.strip():
        raise DataError(f"{where}: it has no role: {clean(repr(dict(value)), 80)}", _SHAPE)
    role = _role(role)
    message: ChatMessage = {"role": role, "content": value.get("content", value.get("value"))}
    message |= {key: held for key, held in value.items() if key not in OWN_KEYS and held is not None}
    where = f"{where} ({role})"
    if message.get("tool_calls"):
        message["tool_calls"] = _calls(message["tool_calls"], where)
    else:
        message.pop("tool_calls", None)
    if role == CALL:
        message = {"role": "assistant", "content": "", "tool_calls": _calls([message["content"]], where)}
    message["content"] = _content(message, where)
    return message, _learns(value, message["role"], where)


def _role(role: str) -> str:
    plain = role.strip().lower()
    return plain if plain in (*KNOWN, CALL) else ROLES.get(plain, role)


def _content(message: ChatMessage, where: str) -> str:
    """Text; the text of parts with a newline between them, as inference servers join them."""
    content = message["content"]
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_part(part, number, where) for number, part in enumerate(content, start=1))
    if content is None and message["role"] == "assistant" and (message.get("tool_calls") or _thinks(message)):
        return ""
    raise DataError(f"{where}: expected content that is text, got {clean(repr(content), 60)}", _SHAPE)


def _part(part: Any, number: int, where: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and part.get("type", "text") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, Mapping) else None
    what = f"of type {kind!r}" if kind else clean(repr(part), 60)
    raise DataError(
        f"{where}: part {number} of its content is {what}, and only text is taken",
        "Leave such rows out, or write what the part shows as text.",
    )


def _thinks(message: ChatMessage) -> bool:
    return any(isinstance(message.get(key), str) and message[key].strip() for key in THOUGHTS)


def _learns(value: Mapping[str, Any], role: str, where: str) -> bool:
    """Whether the message may be learned; the assistant's are unless they say otherwise."""
    train, weight = value.get("train"), value.get("weight")
    if train is not None and not isinstance(train, bool):
        raise DataError(
            f'{where}: "train" must be true or false, got {clean(repr(train), 40)}', "Correct that message."
        )
    if weight is not None and weight not in (0, 1):
        raise DataError(f'{where}: "weight" must be 0 or 1, got {clean(repr(weight), 40)}', "Correct that message.")
    if train is None and weight is None:
        return role == "assistant"
    says = train is not False and weight != 0
    if says and role != "assistant":
        key = '"train": true' if train else '"weight": 1'
        raise DataError(
            f"{where}: it says {key}, and only the assistant's turns are learned", f"Remove {key} from that message."
        )
    return says


# -- tools -----------------------------------------------------------------------------------------


def _calls(value: Any, where: str) -> Messages:
    """Calls as templates take them: `arguments` is an object, however the file has it."""
    calls = []
    value = _parsed(value) if isinstance(value, str) else value
    for call in value if isinstance(value, list) else [value]:
        call = _parsed(call) if isinstance(call, str) else call
        inner = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
            raise DataError(
                f"{where}: expected a call of a tool with a name and arguments, got {clean(repr(call), 60)}",
                'Write {"function": {"name": ..., "arguments": {...}}} in tool_calls.',
            )
        arguments = inner.get("arguments", {})
        parsed = _parsed(arguments) if isinstance(arguments, str) else arguments
        arguments = parsed if isinstance(parsed, Mapping) else arguments
        rest = {key: held for key, held in call.items() if key not in ("function", "name", "arguments")}
        calls.append({"type": "function", **rest, "function": {**inner, "arguments": arguments}})
    return calls


def _tools(value: Any, where: str, arrow: bool) -> list[Any] | None:
    if isinstance(value, str):
        value = (_parsed(value) or value) if value.strip() else None
    elif arrow:
        value = _without_nulls(value)
    if value is None or value == []:
        return None
    tools = [_parsed(tool) if isinstance(tool, str) else tool for tool in value] if isinstance(value, list) else [None]
    if not all(isinstance(tool, Mapping) for tool in tools):
        raise DataError(
            f"{where}: its tools are no list of objects: {clean(repr(value), 60)}",
            "Correct that row, or name another column in data.tools.",
        )
    return tools


# -- the row ---------------------------------------------------------------------------------------


def _listed(value: Any, where: str) -> list[Any]:
    if isinstance(value, str):
        parsed = _parsed(value)
        value = value if parsed is None else parsed
    if not isinstance(value, list):
        raise DataError(
            f'{where}: expected a list of {{"role": ..., "content": ...}}, got {clean(repr(value), 60)}', _SHAPE
        )
    return value


def _parsed(text: str) -> Any:
    """None where it is not JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(held) for key, held in value.items() if held is not None}
    return [_without_nulls(held) for held in value] if isinstance(value, list) else value


def _folded(conversation: Conversation, where: str) -> Conversation:
    """The system message and a blank line put before the first user message."""
    messages = conversation.messages
    if not messages or messages[0]["role"] not in ("system", "developer"):
        return conversation
    first = next((place for place, message in enumerate(messages) if message["role"] == "user"), None)
    if first is None:
        raise DataError(
            f"{where}: message 1 (system): there is no user message that data.fold_system could put it into",
            "Give the row a user message, or remove the system message.",
        )
    user = messages[first]
    folded = {**user, "content": f"{messages[0]['content']}\n\n{user['content']}"}
    learned = tuple(place - 1 for place in conversation.learned)
    return replace(conversation, messages=[*messages[1:first], folded, *messages[first + 1 :]], learned=learned)


_SHAPE = 'Each message must be {"role": ..., "content": ...}, or {"from": ..., "value": ...}, with text in both.'
