"""What a chat template writes around an answer: what a model writes before its text, and what ends it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speedtui.engine.workload.conversation import around_answer, closing_in
from speedtui.engine.workload.encoded import Texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TAG = re.compile(r"<[^<>]+>")


@dataclass(frozen=True)
class AnswerFrame:
    """How the text of an answer is found in what a model wrote."""

    ends: tuple[tuple[int, ...], ...] = ()
    """Tokens that end an answer, each one or several in a row."""
    tag: str = ""
    """What stands last before the text where the model writes more before it, as a channel or its reasoning."""
    before: str = ""
    """What the template writes between that and the text, blank space as a rule."""
    after: str = ""
    """What the template writes between the text and the token that ends it."""

    def text_of(self, tokens: list[int], tokenizer: Any) -> str:
        """The text of an answer, without special tokens; `tokens` are those before its end."""
        if self.tag:
            mark = tokenizer.convert_tokens_to_ids(self.tag) if self.tag in tokenizer.get_vocab() else None
            if mark in tokens:
                tokens = tokens[len(tokens) - tokens[::-1].index(mark) :]
        text = str(tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        if self.tag:
            text = text.rpartition(self.tag)[2]
        # a decoder may take the blank space from before the first word
        before = self.before if text.startswith(self.before) else self.before.lstrip()
        return text.removeprefix(before).removesuffix(self.after)


def plain_frame(tokenizer: PreTrainedTokenizerBase) -> AnswerFrame:
    """Of prompts and responses: the end-of-sequence token alone."""
    eos = tokenizer.eos_token_id
    return AnswerFrame(() if eos is None else ((int(eos),),))


def chat_frame(tokenizer: PreTrainedTokenizerBase) -> AnswerFrame:
    """Of conversations: what the template writes around a content that stands for the answer.

    The end is the first special token after it, or all of what follows it where none of it is special.
    """
    plain = plain_frame(tokenizer)
    around = around_answer(tokenizer)
    if around is None:
        return plain
    lead, tail = around
    end, after = _end_in(tokenizer, tail)
    tags = _TAG.findall(lead)
    tag = tags[-1] if tags else ""
    before = lead.rpartition(tag)[2] if tag else lead
    return AnswerFrame((*plain.ends, *([end] if end and end not in plain.ends else [])), tag, before, after)


def _end_in(tokenizer: Any, tail: str) -> tuple[tuple[int, ...], str]:
    """(the tokens that end an answer, what is written before them)."""
    closing = closing_in(tokenizer, tail)
    if not closing:
        return (), tail
    known = {str(token): number for number, token in tokenizer.added_tokens_decoder.items()}
    if closing in known:
        return (known[closing],), tail[: tail.find(closing)]
    return tuple(Texts(tokenizer).continued(tail.rstrip())), ""
