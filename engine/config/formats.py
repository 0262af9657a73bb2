"""Which columns of the data are read and what is made of them, from the settings of [data]."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Literal

import msgspec

from speedtui.engine.config.settings import DataSettings
from speedtui.engine.errors import ConfigError

Form = Literal["prompt", "text", "messages"]

TOOLS = "tools"
"""The column that a conversation's tools are in where no other is named."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a row of the data becomes a sample."""

    form: Form
    columns: tuple[str, ...]
    """That every row has, each once; of form "prompt" those of the prompt and then the response, of form "messages"
    the messages and then the tools where they are named."""
    optional: tuple[str, ...] = ()
    """That a file or a row may lack."""
    templates: tuple[str, ...] = ()
    """Of the prompt, as `str.format` fills them in: the first of which no column is empty, or else the last. Without
    any, the prompt's columns that are not empty, with a blank line between two of them."""
    fold_system: bool = False
    """A conversation's system message becomes the beginning of its first user message."""


_ALPACA = "Below is an instruction that describes a task{}. Write a response that appropriately completes the request."
_ALPACA_WITH_INPUT = (
    _ALPACA.format(", paired with an input that provides further context")
    + "\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)
_ALPACA_ALONE = _ALPACA.format("") + "\n\n### Instruction:\n{instruction}\n\n### Response:"
"""The wording of github.com/tatsu-lab/stanford_alpaca, which models and tools around that data expect."""

FORMATS: Mapping[str, Layout] = {
    "alpaca": Layout(
        form="prompt", columns=("instruction", "output"), optional=("input",),
        templates=(_ALPACA_WITH_INPUT, _ALPACA_ALONE),
    ),
    "sharegpt": Layout(form="messages", columns=("conversations",), optional=(TOOLS,)),
    "chatml": Layout(form="messages", columns=("messages",), optional=(TOOLS,)),
    "prompt-completion": Layout(form="prompt", columns=("prompt", "completion")),
}  # fmt: skip

MEANINGS: Mapping[str, str] = {
    "alpaca": "instruction, input (may be empty) and output, in alpaca's own words",
    "sharegpt": "conversations, a list of from and value",
    "chatml": "messages, a list of role and content",
    "prompt-completion": "prompt and completion",
}
"""The columns that a format's name stands for, for people."""

WAYS = "Give format, or prompt and response, or prompt_template and response, or text, or messages."


def layout_of(data: DataSettings, where: str) -> Layout:
    """What [data] says of its columns.

    Raises:
        ConfigError: it names them in no way or in several, one without the other, or a template that says nothing.
    """
    given = [key for key in ("format", "text", "messages") if getattr(data, key)]
    pairs = [key for key in ("prompt", "prompt_template", "response") if getattr(data, key)]
    ways = [*given, *(["prompt and response"] if pairs else [])]
    if len(ways) != 1:
        raise ConfigError(f"{where}: [data] must name the columns in one way{_these(ways)}", WAYS)
    if data.chat:
        columns = FORMATS[data.format].columns if data.format else (data.messages or "",)
        named, optional = ((data.tools,), ()) if data.tools else ((), (TOOLS,))
        return Layout(
            form="messages", columns=(*columns, *named), optional=optional, fold_system=data.fold_system
        )  # fmt: skip
    if data.format:
        return FORMATS[data.format]
    return Layout(form="text", columns=(data.text,)) if data.text else _pair_of(data, where)


def _these(ways: list[str]) -> str:
    return f", not by {' and by '.join(ways)}" if ways else ""


def _pair_of(data: DataSettings, where: str) -> Layout:
    if data.prompt and data.prompt_template:
        raise ConfigError(
            f"{where}: data.prompt and data.prompt_template both say what is asked",
            "Remove data.prompt: the template names its columns itself.",
        )
    if not data.response or not (data.prompt or data.prompt_template):
        missing = "prompt" if data.response else "response"
        raise ConfigError(f"{where}: data.{missing} is missing", "prompt and response go together.")
    asked = _asked(data, where)
    if data.response in asked:
        raise ConfigError(
            f'{where}: data.response "{data.response}" is part of the prompt too', "The answer would be given away."
        )
    templates = (data.prompt_template,) if data.prompt_template else ()
    return Layout(form="prompt", columns=(*asked, data.response), templates=templates)


def _asked(data: DataSettings, where: str) -> tuple[str, ...]:
    if data.prompt_template:
        return template_columns(data.prompt_template, where)
    names = (data.prompt,) if isinstance(data.prompt, str) else tuple(data.prompt or ())
    for name in names:
        if not name or names.count(name) > 1:
            raise ConfigError(f'{where}: data.prompt names the column "{name}" twice or not', "Keep each name once.")
    return names


def template_columns(template: str, where: str) -> tuple[str, ...]:
    """The columns that a template names, in its order.

    A field is a column's whole name: there is no way into what the column holds, and none is needed for text.

    Raises:
        ConfigError: braces that do not match, a field without a name or with a format, or no field at all.
    """
    hint = 'Write {column} for the text of a column, and {{ or }} for a brace, such as "{context}\\n\\n{question}".'
    try:
        fields = list(Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"{where}: data.prompt_template: {error}", hint) from None
    names = []
    for _, name, spec, conversion in fields:
        if name is None:
            continue
        if not name or spec or conversion:
            shown = "{" + name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"
            raise ConfigError(f"{where}: data.prompt_template: {shown} is not the name of a column", hint)
        names.append(name)
    if not names:
        raise ConfigError(f"{where}: data.prompt_template names no column, so that every prompt is the same", hint)
    return tuple(dict.fromkeys(names))


def filled_in(template: str, values: Mapping[str, str]) -> str:
    """The template with each column's text in place of its name; braces within a text stay as they are."""
    return "".join(
        literal + (values[name] if name is not None else "") for literal, name, _, _ in Formatter().parse(template)
    )
