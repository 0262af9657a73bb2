"""Texts as tokens, and how many of a text's tokens lie before a place in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from speedtui.engine.workload.conversation import CharSpan, Turn, common

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANCHORS = (":", "\n", "a", ">", "1")
"""Texts before which an answer is tokenized where it must not grow together with the end of its prompt."""

Ids = list[int]


class Encoded(NamedTuple):
    """A text that was tokenized as a whole."""

    text: str
    ids: Ids
    offsets: list[CharSpan] | None
    """Characters of each token; None where nobody asked, or the tokenizer does not tell."""


class Texts:
    """Tokenizes texts, many at a time, without the tokens that the tokenizer would put around them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._tells = bool(getattr(tokenizer, "is_fast", False))
        added = tokenizer.added_tokens_decoder if self._tells else {}
        self._borders = {number for number, token in added.items() if not token.normalized}
        """Tokens that are cut out of a text before anything else is made of it: nothing grows across them."""

    def encoded(self, texts: Sequence[str], *, offsets: bool) -> list[Encoded]:
        """The texts; with offsets where they are wanted and the tokenizer tells them."""
        if not texts:
            return []
        told = offsets and self._tells
        made = self._tokenizer(
            list(texts), add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False,
            return_offsets_mapping=told, verbose=False,
        )  # fmt: skip
        spans = made["offset_mapping"] if told else [None] * len(texts)
        return [Encoded(*one) for one in zip(texts, made["input_ids"], spans, strict=True)]

    def ids(self, text: str) -> Ids:
        """One text's tokens."""
        return self.encoded([text], offsets=False)[0].ids

    def begins(self, asked: Sequence[tuple[Encoded, Turn]]) -> list[int | None]:
        """How many tokens of a text lie before a turn in it: those of the turn's prompt, tokenized by itself.

        None where these are not the text's first tokens, though the prompt is its beginning: the tokenizer lets the
        two grow together. Where the template asks for an answer otherwise than it writes one, a turn begins where
        the two part.
        """
        anchors = [self._anchor(encoded, turn) for encoded, turn in asked]
        tails = self.encoded(
            [turn.prompt[char:] for (_, turn), (_, char) in zip(asked, anchors, strict=True)], offsets=False
        )
        return [
            _begin(encoded.ids, at, tail.ids, turn)
            for (encoded, turn), (at, _), tail in zip(asked, anchors, tails, strict=True)
        ]

    def _anchor(self, encoded: Encoded, turn: Turn) -> tuple[int, int]:
        """(token, character) of the last border in a prompt: from there on it is tokenized as it is alone."""
        if encoded.offsets is None or not self._borders:
            return 0, 0
        same = common(turn.prompt, encoded.text) if turn.unlike else len(turn.prompt)
        place = bisect_right(encoded.offsets, same, key=_end)
        while place and encoded.ids[place - 1] not in self._borders:
            place -= 1
        return (place - 1, encoded.offsets[place - 1][0]) if place else (0, 0)

    def places(self, encoded: Encoded, borders: Sequence[int]) -> list[int | None]:
        """How many tokens lie before each border, in characters; None where a token is on both of its sides."""
        text, ids, offsets = encoded
        if all(border == len(text) for border in borders):
            return [len(ids)] * len(borders)
        if offsets is not None:
            return [_before(text, border, offsets) for border in borders]
        beginnings = self.encoded([text[:border] for border in borders], offsets=False)
        return [_length_of(beginning.ids, ids) for beginning in beginnings]

    def continued(self, text: str) -> Ids:
        """Tokens of an answer that follows its prompt: without the mark that some tokenizers open every text with."""
        for anchor in ANCHORS:
            before, both = (one.ids for one in self.encoded([anchor, anchor + text], offsets=False))
            if both[: len(before)] == before:
                return both[len(before) :]
        return self.ids(text)


def opening(tokenizer: PreTrainedTokenizerBase) -> Ids:
    """The beginning-of-sequence token, where the tokenizer itself puts one before a text."""
    ids = tokenizer("a", verbose=False)["input_ids"]
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and len(ids) > 1 and ids[0] == bos else []


def _begin(ids: Ids, at: int, tail: Ids, turn: Turn) -> int | None:
    same = common(tail, ids[at : at + len(tail)])
    return at + same if turn.unlike or same == len(tail) else None


def _length_of(beginning: Ids, ids: Ids) -> int | None:
    return len(beginning) if ids[: len(beginning)] == beginning else None


def _end(span: CharSpan) -> int:
    return span[1]


def _before(text: str, border: int, offsets: list[CharSpan]) -> int | None:
    """Tokens that end at the border or before it; a token that is only blank on this side of it is on the other."""
    place = bisect_right(offsets, border, key=_end)
    while place and offsets[place - 1][0] >= border:  # of no width: the mark before what follows
        place -= 1
    start = offsets[place][0] if place < len(offsets) else border
    return None if start < border and text[start:border].strip() else place
