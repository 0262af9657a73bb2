"""Conversations through the tokenizer's chat template, split into what is learned and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speedtui.engine.errors import DataError, ModelError
from speedtui.engine.workload.messages import Conversation, Messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def require_chat_template(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuses a tokenizer that cannot render conversations.

    Raises:
        ModelError: it has no chat template.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            f"{name}: the tokenizer has no chat template, which data.messages needs",
            "Take the instruction-tuned model's tokenizer (model.tokenizer), or prompt and response columns.",
        )


def render(tokenizer: PreTrainedTokenizerBase, conversation: Conversation, where: str) -> list[tuple[str, bool]]:
    """The conversation's text in pieces, each with whether it is learned.

    A turn begins where the template's generation prompt ends, as it will when the model answers. The template needs
    no marks for it: it is applied to the conversation's beginnings.

    Raises:
        DataError: the template refuses the conversation; `where` opens the message.
    """
    messages = conversation.messages
    try:
        full = _apply(tokenizer, messages)
        spans = [_span(tokenizer, messages, turn, full) for turn in conversation.learned]
    except Exception as error:  # a template is a program of the model's author and raises what it likes
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{where}: the chat template refuses the conversation: {reason}",
            "Correct the order and roles of its messages.",
        ) from error
    return _pieces(full, spans)


def _apply(tokenizer: PreTrainedTokenizerBase, messages: Messages, *, prompt: bool = False) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt))


def _span(tokenizer: PreTrainedTokenizerBase, messages: Messages, turn: int, full: str) -> tuple[int, int]:
    """(start, end) of an assistant's turn in the full text.

    A template may write a turn otherwise once more follow it (without its reasoning, say); then the turn is found by
    its content, and its closing mark by what followed the content when it was the last.
    """
    before = _apply(tokenizer, messages[:turn], prompt=True) if turn else ""
    start = _common(before, full)
    last = turn == len(messages) - 1
    upto = full if last else _apply(tokenizer, messages[: turn + 1])
    if full.startswith(upto):
        return start, len(upto)
    content = messages[turn]["content"].strip()
    found = full.find(content, start)
    if found < 0:
        return start, start
    end = found + len(content)
    tail = upto[upto.rfind(content) + len(content) :]
    return found, end + _common(tail, full[end:])


def _common(one: str, other: str) -> int:
    """Characters that both texts begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _pieces(full: str, spans: list[tuple[int, int]]) -> list[tuple[str, bool]]:
    pieces = []
    at = 0
    for start, end in spans:
        start = max(start, at)
        if end > start:
            pieces += [(full[at:start], False), (full[start:end], True)]
            at = end
    pieces.append((full[at:], False))
    return [(text, learned) for text, learned in pieces if text]
