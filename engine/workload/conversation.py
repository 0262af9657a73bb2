"""Conversations through the tokenizer's chat template: the text, and where in it each learned turn stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speedtui.engine.errors import DataError, ModelError, first_line
from speedtui.engine.workload.messages import THOUGHTS, Conversation, Messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CharSpan = tuple[int, int]
"""(start, end) in characters."""

MARK = "5577006791947779410"
"""Content of a turn whose place in a rendering is looked for: no template trims, cases or escapes digits."""

_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True)
class Turn:
    """One turn that is learned, in the texts that it stands in."""

    number: int
    """Which of the conversation's learned turns."""
    prompt: str
    """What a server sends to have it answered: all before it and the template's generation prompt."""
    alone: str
    """The conversation up to the turn: what is there once the model has answered."""
    end: int | None
    """Characters of the whole rendering up to its end; None where the whole begins otherwise than `alone`."""
    marked: tuple[CharSpan, ...] = ()
    """In `alone`, what the template's own generation markers enclose of it; none where it has no markers."""
    unlike: bool = False
    """`alone` does not begin with `prompt`: the template asks for an answer otherwise than it writes one."""
    opens: bool = False
    """Nothing but the template's own words stands before it."""


@dataclass(frozen=True)
class Rendering:
    """A text and its turns that are learned."""

    text: str
    turns: tuple[Turn, ...]
    lost: tuple[tuple[int, str], ...] = ()
    """(message, what of it) of turns of which the template writes nothing that could be learned."""


def require_chat_template(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuses a tokenizer that cannot render conversations.

    Raises:
        ModelError: it has no chat template.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            f"{name}: the tokenizer has no chat template, which conversations need",
            "Take the instruction-tuned model's tokenizer (model.tokenizer), or prompt and response columns.",
        )


def render(
    tokenizer: PreTrainedTokenizerBase, conversation: Conversation, where: str, *, closing: str = ""
) -> Rendering:  # fmt: skip
    """The conversation as its template writes it.

    A turn begins where the template's generation prompt ends, as it will when the model answers, and ends with what
    the template closes it with. A template may write a turn otherwise once more follow it (without its reasoning,
    say): then the turn is not in the whole as the model would write it, and only in the rendering up to it. What it
    writes after `closing`, the mark that ends an answer, is no matter of the turn: the model has stopped by then.

    Raises:
        DataError: the template refuses the conversation; `where` opens the message.
    """
    messages, tools = conversation.messages, conversation.tools
    try:
        upto = [messages[: place + 1] for place in conversation.learned]
        (text, *alone), (_, *marks) = apply(tokenizer, [messages, *upto], tools)
        prompts = _prompts(tokenizer, conversation)
        turns = [
            _turn(number, prompt, one, _end(text, one, closing), spans, opens=not place)
            for number, (place, prompt, one, spans) in enumerate(
                zip(conversation.learned, prompts, alone, marks, strict=True)
            )
        ]
        unwritten = [(turn, _unwritten(tokenizer, conversation, turn)) for turn in turns]
    except Exception as error:  # a template is a program of the model's author and raises what it likes
        raise _refused(tokenizer, conversation, where, error) from error
    lost = tuple((conversation.learned[turn.number], what) for turn, what in unwritten if what)
    return Rendering(text, tuple(turn for turn, what in unwritten if not what), lost)


def apply(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Messages], tools: list[Any] | None, *,
    prompt: bool = False,
) -> tuple[list[str], list[tuple[CharSpan, ...]]]:  # fmt: skip
    """(texts, what the template's generation markers enclose in each); `prompt` ends each with what asks for an answer.

    Raises:
        Exception: whatever the template raises.
    """
    if not conversations:
        return [], []
    template: Any = tokenizer.get_chat_template(None, tools)
    if prompt or not _GENERATION.search(template):
        rendered: Any = tokenizer.apply_chat_template(
            list(conversations), tools=tools, tokenize=False, add_generation_prompt=prompt
        )
        return rendered, [()] * len(rendered)
    from transformers.utils.chat_template_utils import render_jinja_template

    render: Any = render_jinja_template  # what apply_chat_template itself calls; annotated as if it gave one text
    texts, marks = render(
        conversations=list(conversations), tools=tools, chat_template=template, return_assistant_tokens_mask=True,
        **tokenizer.special_tokens_map,
    )  # fmt: skip
    return texts, [tuple((start, end) for start, end in spans) for spans in marks]


def _prompts(tokenizer: PreTrainedTokenizerBase, conversation: Conversation) -> list[str]:
    """What asks for each learned turn; of one that opens the conversation, what is written before its content."""
    messages, tools = conversation.messages, conversation.tools
    before = [messages[:place] for place in conversation.learned if place]
    prompts, _ = apply(tokenizer, before, tools, prompt=True)
    if conversation.learned[:1] == (0,):
        (marked,), _ = apply(tokenizer, [[{"role": "assistant", "content": MARK}]], tools)
        prompts = [marked[: max(marked.find(MARK), 0)], *prompts]
    return prompts


def _turn(number: int, prompt: str, alone: str, end: int | None, marked: Sequence[CharSpan], *, opens: bool) -> Turn:
    unlike = not alone.startswith(prompt)
    start = common(prompt, alone) if unlike else len(prompt)
    inside = tuple((max(first, start), last) for first, last in marked if last > start)
    return Turn(number, prompt, alone, end, inside, unlike, opens)


def _end(text: str, alone: str, closing: str) -> int | None:
    """Where the rendering up to a turn ends in the whole: blank space and what follows the turn's end may differ."""
    ended = alone.rfind(closing) + len(closing) if closing and closing in alone else len(alone)
    for end in (len(alone), len(alone.rstrip()), ended):
        if text.startswith(alone[:end]):
            return end
    return None


def common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How much of two texts, or of their tokens, is the same from the beginning."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)


# -- what a template leaves out --------------------------------------------------------------------


def _unwritten(tokenizer: PreTrainedTokenizerBase, conversation: Conversation, turn: Turn) -> str:
    """What the template leaves out of a turn so that nothing of it could be learned; empty where it writes it."""
    place = conversation.learned[turn.number]
    message = conversation.messages[place]
    content = message["content"].strip()
    if message.get("tool_calls"):
        without, what = {key: held for key, held in message.items() if key != "tool_calls"}, "tool calls"
    elif content:
        if content in turn.alone:
            return ""
        without, what = {**message, "content": ""}, "content"
    else:
        without, what = {key: held for key, held in message.items() if key not in THOUGHTS}, "reasoning"
    try:
        (bare,), _ = apply(tokenizer, [[*conversation.messages[:place], without]], conversation.tools)
    except Exception:  # it wants what was left away, so it looks at it
        return ""
    return what if bare == turn.alone else ""


def around_answer(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str] | None:
    """(what is written between the generation prompt and an answer's content, what after it).

    None where that cannot be seen: the template wants more than a question and an answer, or changes every content.
    """
    system, ask = ({"role": role, "content": "1"} for role in ("system", "user"))
    for before in ([ask], [system, ask]):
        try:
            (whole,), _ = apply(tokenizer, [[*before, {"role": "assistant", "content": MARK}]], None)
            (prompt,), _ = apply(tokenizer, [before], None, prompt=True)
        except Exception:  # a template is a program of the model's author and raises what it likes
            continue
        at = whole.rfind(MARK)
        if at >= 0:
            return whole[common(prompt, whole) : at], whole[at + len(MARK) :]
    return None


def closing_in(tokenizer: PreTrainedTokenizerBase, tail: str) -> str:
    """The mark that ends an answer in what is written after it: the first token of its own, else all of it."""
    own = [str(token) for token in tokenizer.added_tokens_decoder.values()]
    found = [(place, -len(text), text) for text in own if text.strip() and (place := tail.find(text)) >= 0]
    return min(found)[2] if found else tail.strip()


def writes_tools(tokenizer: PreTrainedTokenizerBase, conversation: Conversation) -> bool:
    """Whether the conversation's tools change what the template writes."""
    try:
        with_tools, without = (
            apply(tokenizer, [conversation.messages], tools)[0] for tools in (conversation.tools, None)
        )
    except Exception:  # refused by name where the conversation is rendered
        return True
    return with_tools != without


# -- what a template refuses -----------------------------------------------------------------------


def _refused(
    tokenizer: PreTrainedTokenizerBase, conversation: Conversation, where: str, error: Exception
) -> DataError:  # fmt: skip
    messages = conversation.messages
    at = next((n for n in range(1, len(messages)) if _refuses(tokenizer, messages[:n], conversation)), len(messages))
    place = f"message {at} ({messages[at - 1]['role']})"
    hint = "Correct the order and roles of its messages."
    systems = [number for number, message in enumerate(messages) if message["role"] in ("system", "developer")]
    if systems == [0] and len(messages) > 1 and not _refuses(tokenizer, messages[1:], conversation):
        hint = "Set data.fold_system = true: it puts the system message at the beginning of the first user message."
        place = "message 1 (system)"
    return DataError(f"{where}: {place}: the chat template refuses the conversation: {first_line(error)}", hint)


def _refuses(tokenizer: PreTrainedTokenizerBase, messages: Messages, conversation: Conversation) -> bool:
    try:
        apply(tokenizer, [messages], conversation.tools)
    except Exception:
        return True
    return False
