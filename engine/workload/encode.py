"""One row as tokens: its whole text tokenized once, and in it what is learned."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from speedtui.engine.workload.conversation import Rendering, Turn, around_answer, common, render, writes_tools
from speedtui.engine.workload.data import Content, Table
from speedtui.engine.workload.messages import Conversation
from speedtui.engine.workload.token_store import Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VERSION = 3
"""Counts changes in what is made of a row; older files in the cache are then not used."""

ANCHORS = (":", "\n", "a", ">", "1")
"""Texts before which an answer is tokenized where it must not grow together with the end of its prompt."""

REASONS_TOLD = 3
"""Reasons for which rows were dropped that are told, the commonest."""

NO_END = "the end of an answer is not learned, and only schedule.max_new_tokens ends one"
UNENDED = f"the tokenizer has no end-of-sequence token: {NO_END}"
UNCLOSED = f"the chat template writes nothing after an answer: {NO_END}"

Ids = list[int]


class Encoder:
    """Turns contents into tokens, and counts what it cut and what it could not learn.

    The text of a sample is tokenized as a whole. What is sent to the model as the prompt of a learned turn, tokenized
    by itself, is the beginning of a sample, token by token: where a later turn changes what was before it, or the
    tokenizer lets the prompt and its answer grow together, the turn has a sample of its own.
    """

    def __init__(self, table: Table, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self.table, self.max_length = table, max_length
        self.way: list[Any] = [VERSION]
        self._tokenizer = tokenizer
        self._offsets = bool(getattr(tokenizer, "is_fast", False))
        self._chat = table.form == "messages"  # a chat template writes its own first and last tokens
        self._opening = [] if self._chat else opening(tokenizer)
        self._eos: int | None = None if self._chat else tokenizer.eos_token_id
        self._special = set(tokenizer.all_special_ids)
        self.reset()

    def reset(self) -> None:
        """Counts from zero."""
        self.cut_rows = 0
        self._parted = self._parts = self._empty = self._lost = self._unlike = 0
        self._first_lost = ""
        self._reasons: Counter[str] = Counter()
        self._tools: bool | None = None

    def encode(self, batch: Sequence[tuple[str, Content | None]]) -> Iterator[list[Sample]]:
        """The samples of each row, none where it has nothing to learn from.

        Raises:
            DataError: the chat template refuses a conversation.
        """
        rows = [self._rendered(content, f"{self.table.path} {place}") for place, content in batch]
        texts = [text for row in rows if row is not None for text in (row.text, *(turn.prompt for turn in row.turns))]
        encoded = iter(self._ids(texts) if texts else ())
        for (place, _), row in zip(batch, rows, strict=True):
            if row is None:
                yield []
                continue
            whole, prompts = next(encoded), [next(encoded) for _ in row.turns]
            yield list(self._samples(row, whole, prompts, f"{self.table.path} {place}"))

    @property
    def notes(self) -> list[str]:
        """What a person should know of what was made of the rows; a sentence each."""
        said = [
            f"{_counted(count, 'row')} dropped: {reason}" for reason, count in self._reasons.most_common(REASONS_TOLD)
        ]
        if self._lost:
            said.append(f"{_counted(self._lost, 'assistant turn')} not learned; the first: {self._first_lost}")
        if self._empty:
            said.append(f"{_counted(self._empty, 'assistant turn')} not learned: empty, in rows that have others")
        if self._parts:
            said.append(
                f"{_counted(self._parted, 'conversation')} became {self._parts} samples: a turn is written or "
                "tokenized otherwise once more follow it"
            )
        if self._unlike:
            said.append(
                f"{_counted(self._unlike, 'assistant turn')} begin otherwise than the chat template asks for an answer "
                "(add_generation_prompt): a server's prompt is not the beginning of what is learned"
            )
        if self._tools is False:
            said.append(
                "the chat template does not write the tools of the conversations: the model learns without them"
            )
        around = around_answer(self._tokenizer) if self._chat else None
        if around is not None and not around[1].strip():
            said.append(UNCLOSED)
        if not self._chat and self._eos is None:
            said.append(UNENDED)
        return said

    # -- texts -------------------------------------------------------------------------------------

    def _rendered(self, content: Content | None, where: str) -> Rendering | None:
        if content is None:
            return None
        if not isinstance(content, Conversation):
            *prompts, learned = content
            prompt = "".join(f"{prompt}\n" for prompt in prompts)
            text = prompt + learned
            return Rendering(text, (Turn(0, prompt, text, len(text)),))
        if not content.learned:
            self._reasons[content.reason] += 1
            return None
        if content.tools and self._tools is None:
            self._tools = writes_tools(self._tokenizer, content)
        self._empty += content.empty
        rendering = render(self._tokenizer, content, where)
        for message, what in rendering.lost:
            self._lose(f"{where} message {message + 1}: the chat template writes nothing of its {what}")
        return rendering if rendering.turns else None

    def _lose(self, first: str) -> None:
        self._lost += 1
        self._first_lost = self._first_lost or first

    # -- samples -----------------------------------------------------------------------------------

    def _samples(self, row: Rendering, whole: Ids, prompts: list[Ids], where: str) -> Iterator[Sample]:
        shared, own = [], []
        places = self._places(row.text, whole, [turn.end for turn in row.turns])
        for turn, prompt, end in zip(row.turns, prompts, places, strict=True):
            begin = _begin(whole, prompt, turn)
            if end is None or begin is None:
                own.append((turn, prompt))
            else:
                shared.append((turn, begin, end))
                self._unlike += begin < len(prompt)
        parts = len(own) + bool(shared)
        self._parted, self._parts = self._parted + (parts > 1), self._parts + parts * (parts > 1)
        if shared:
            yield from self._kept(whole, shared, row.text, where)
        for turn, prompt in own:
            ids = whole if turn.alone == row.text else self._ids([turn.alone])[0]
            begin = _begin(ids, prompt, turn)
            if begin is None:
                begin, ids = len(prompt), [*prompt, *self._continued(turn.alone[len(turn.prompt) :])]
                turn = replace(turn, marked=())  # its places are those of other tokens
            self._unlike += begin < len(prompt)
            yield from self._kept(ids, [(turn, begin, len(ids))], turn.alone, where)

    def _kept(self, ids: Ids, turns: list[tuple[Turn, int, int]], text: str, where: str) -> Iterator[Sample]:
        """One sample, cut to length; none where no token is left to predict (the first never is)."""
        learned = np.zeros(len(ids), dtype=bool)
        for turn, begin, end in turns:
            for first, last in self._marked(text, ids, turn, begin, end):
                learned[first:last] = True
            if self._chat and begin == end:
                self._lose(f"{where}: the chat template writes nothing of its answer {turn.number + 1}")
        asked, begin, _ = next((one for one in turns if not one[0].opens), turns[0])
        flat = np.array(ids, dtype=np.int32)
        flat = np.where(learned, flat, ~flat)
        if self._opening:
            flat = np.concatenate([[~i for i in self._opening], flat])
        if self._eos is not None and (not len(flat) or self._eos not in (flat[-1], ~flat[-1])):
            flat = np.append(flat, self._eos)
        tokens = flat[: self.max_length].astype(np.int32)
        if (tokens[1:] >= 0).any():
            self.cut_rows += len(flat) > self.max_length
            yield Sample(tokens, max(begin + len(self._opening), 1), asked.number)

    def _marked(self, text: str, ids: Ids, turn: Turn, begin: int, end: int) -> list[tuple[int, int]]:
        """What of a turn is learned, in tokens: what its markers enclose, and the token after them that ends it."""
        if not turn.marked:
            return [(begin, end)]
        borders = self._places(text, ids, [border for span in turn.marked for border in span])
        if None in borders:
            return [(begin, end)]
        at = [min(max(border or 0, begin), end) for border in borders]
        spans = [(first, last) for first, last in zip(at[::2], at[1::2], strict=True) if last > first]
        if not spans:
            return [(begin, end)]
        first, last = spans[-1]
        return [*spans[:-1], (first, last + (last < end and ids[last] in self._special))]

    # -- tokens ------------------------------------------------------------------------------------

    def _ids(self, texts: list[str]) -> list[Ids]:
        encoded = self._tokenizer(
            texts, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
        )
        ids: list[Ids] = encoded["input_ids"]
        return ids

    def _continued(self, text: str) -> Ids:
        """Tokens of an answer that follows its prompt: without the mark that some tokenizers open every text with."""
        for anchor in ANCHORS:
            before, both = self._ids([anchor, anchor + text])
            if both[: len(before)] == before:
                return both[len(before) :]
        return self._ids([text])[0]

    def _places(self, text: str, ids: Ids, borders: Sequence[int | None]) -> list[int | None]:
        """How many tokens lie before each border, in characters; None where a token is on both of its sides."""
        if all(border in (None, len(text)) for border in borders):
            return [None if border is None else len(ids) for border in borders]
        if not self._offsets:
            beginnings = iter(self._ids([text[:border] for border in borders if border is not None]))
            return [None if border is None else _length_of(next(beginnings), ids) for border in borders]
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets: list[tuple[int, int]] = encoded["offset_mapping"]
        starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
        return [None if border is None else _before(text, border, starts, ends) for border in borders]


def opening(tokenizer: PreTrainedTokenizerBase) -> Ids:
    """The beginning-of-sequence token, where the tokenizer itself puts one before a text."""
    ids = tokenizer("a", verbose=False)["input_ids"]
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and len(ids) > 1 and ids[0] == bos else []


def _begin(ids: Ids, prompt: Ids, turn: Turn) -> int | None:
    """Tokens before a turn; None where the prompt's are not the first, though its text is.

    Where the template asks for an answer otherwise than it writes one, a turn begins where the two part.
    """
    if turn.alone.startswith(turn.prompt):
        return _length_of(prompt, ids)
    return common(prompt, ids)


def _length_of(beginning: Ids, ids: Ids) -> int | None:
    return len(beginning) if ids[: len(beginning)] == beginning else None


def _before(text: str, border: int, starts: list[int], ends: list[int]) -> int | None:
    """Tokens that end at the border or before it; a token that is only blank on this side of it is on the other."""
    place = bisect_right(ends, border)
    while place and starts[place - 1] >= border:  # of no width: the mark before what follows
        place -= 1
    split = place < len(starts) and starts[place] < border and text[starts[place] : border].strip()
    return None if split else place


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
