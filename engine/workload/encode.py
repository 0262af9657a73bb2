"""One row as tokens: its whole text tokenized once, and in it what is learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from speedtui.engine.units import plural
from speedtui.engine.workload.conversation import Rendering, Turn, around_answer, closing_in, render, writes_tools
from speedtui.engine.workload.data import Content, DataTable
from speedtui.engine.workload.encoded import Encoded, Texts, opening
from speedtui.engine.workload.messages import Conversation
from speedtui.engine.workload.token_store import TokenSample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VERSION = 3
"""Counts changes in what is made of a row; older files in the cache are then not used."""

REASONS_TOLD = 3
"""Reasons for which rows were dropped that are told, the commonest."""

NO_END = "the end of an answer is not learned, and only schedule.max_new_tokens ends one"
UNENDED = f"the tokenizer has no end-of-sequence token: {NO_END}"
UNCLOSED = f"the chat template writes nothing after an answer: {NO_END}"

UNSEEN = (
    "what ends an answer cannot be seen in the chat template, which takes no question and answer alone: only the "
    "end-of-sequence tokens of the tokenizer and of the model end one"
)


class Encoder:
    """Turns contents into tokens, and counts what it cut and what it could not learn.

    The text of a sample is tokenized as a whole. What is sent to the model as the prompt of a learned turn, tokenized
    by itself, is the beginning of a sample, token by token: where a later turn changes what was before it, or the
    tokenizer lets the prompt and its answer grow together, the turn has a sample of its own.
    """

    def __init__(self, table: DataTable, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self.table, self.max_length = table, max_length
        self.way: list[Any] = [VERSION]
        self._tokenizer, self._texts = tokenizer, Texts(tokenizer)
        self._chat = table.form == "messages"  # a chat template writes its own first and last tokens
        self._opening = [] if self._chat else opening(tokenizer)
        self._eos: int | None = None if self._chat else tokenizer.eos_token_id
        self._special = set(tokenizer.all_special_ids)
        self._around = around_answer(tokenizer) if self._chat else None
        self._closing = closing_in(tokenizer, self._around[1]) if self._around is not None else ""
        self.reset()

    def reset(self) -> None:
        """Counts from zero."""
        self.cut_rows = 0
        self._parted = self._parts = self._empty = self._lost = self._unlike = 0
        self._first_lost = ""
        self._reasons: Counter[str] = Counter()
        self._tools: bool | None = None

    def encode(self, batch: Sequence[tuple[str, Content | None]]) -> Iterator[list[TokenSample]]:
        """The samples of each row, none where it has nothing to learn from.

        Raises:
            DataError: the chat template refuses a conversation.
        """
        rows = [self._rendered(content, f"{self.table.path} {place}") for place, content in batch]
        texts = list(dict.fromkeys(text for row in rows if row is not None for text in _texts(row)))
        encoded = dict(zip(texts, self._texts.encoded(texts, offsets=self._chat), strict=True))
        asked = [(encoded[_home(row, turn)], turn) for row in rows if row is not None for turn in row.turns]
        begins = iter(self._texts.begins(asked))
        for (place, _), row in zip(batch, rows, strict=True):
            found = [] if row is None else [(encoded[_home(row, turn)], turn, next(begins)) for turn in row.turns]
            yield [] if row is None else self._samples(encoded[row.text], found, f"{self.table.path} {place}")

    @property
    def notes(self) -> list[str]:
        """What a person should know of what was made of the rows; a sentence each."""
        said = [
            f"{plural(count, 'row')} dropped: {reason}" for reason, count in self._reasons.most_common(REASONS_TOLD)
        ]
        if self._lost:
            said.append(f"{plural(self._lost, 'assistant turn')} not learned; the first: {self._first_lost}")
        if self._empty:
            said.append(f"{plural(self._empty, 'assistant turn')} not learned: empty, in rows that have others")
        if self._parts:
            said.append(
                f"{plural(self._parted, 'conversation')} became {self._parts} samples: a turn is written or "
                "tokenized otherwise once more follow it"
            )
        if self._unlike:
            said.append(
                f"{plural(self._unlike, 'assistant turn')} begin otherwise than the chat template asks for an answer "
                "(add_generation_prompt): a server's prompt is not the beginning of what is learned"
            )
        if self._tools is False:
            said.append(
                "the chat template does not write the tools of the conversations: the model learns without them"
            )
        if self._chat:
            said += [UNSEEN] if self._around is None else [] if self._closing else [UNCLOSED]
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
        rendering = render(self._tokenizer, content, where, closing=self._closing)
        for message, what in rendering.lost:
            self._lose(f"{where} message {message + 1}: the chat template writes nothing of its {what}")
        return rendering if rendering.turns else None

    def _lose(self, first: str) -> None:
        self._lost += 1
        self._first_lost = self._first_lost or first

    # -- samples -----------------------------------------------------------------------------------

    def _samples(
        self, whole: Encoded, turns: list[tuple[Encoded, Turn, int | None]], where: str
    ) -> list[TokenSample]:  # fmt: skip
        shared, own = [], []
        for home, turn, begin in turns:
            end = None if turn.end is None or begin is None else self._texts.places(whole, [turn.end])[0]
            if begin is None or end is None:
                own.append((home, turn, begin))
            else:
                shared.append((turn, begin, end))
        self._unlike += sum(turn.unlike for _, turn, _ in turns)
        parts = [(whole, shared)] if shared else []
        parts += [self._alone(home, turn, begin) for home, turn, begin in own]
        if len(parts) > 1:
            self._parted, self._parts = self._parted + 1, self._parts + len(parts)
        made = [self._kept(encoded, those, where) for encoded, those in parts]
        samples = [sample for sample in made if sample is not None]
        if samples:  # else the row is dropped, and counted as such
            self.cut_rows += len(made) - len(samples)
        return samples

    def _alone(self, home: Encoded, turn: Turn, begin: int | None) -> tuple[Encoded, list[tuple[Turn, int, int]]]:
        """A turn in a sample of its own, which ends with it."""
        if home.text != turn.alone:
            (home,) = self._texts.encoded([turn.alone], offsets=True)
            (begin,) = self._texts.begins([(home, turn)])
        if begin is None:  # its answer is tokenized as the model can write it: after the whole of its prompt
            prompt = self._texts.ids(turn.prompt)
            begin = len(prompt)
            ids = [*prompt, *self._texts.continued(turn.alone[len(turn.prompt) :])]
            home, turn = Encoded(turn.alone, ids, None), replace(turn, marked=())  # whose places are other tokens'
        return home, [(turn, begin, len(home.ids))]

    def _kept(self, encoded: Encoded, turns: list[tuple[Turn, int, int]], where: str) -> TokenSample | None:
        """One sample, cut to length; None where no token is left to predict (the first never is)."""
        learned = np.zeros(len(encoded.ids), dtype=bool)
        for turn, begin, end in turns:
            for first, last in self._marked(encoded, turn, begin, end):
                learned[first:last] = True
            if self._chat and begin == end:
                self._lose(f"{where}: the chat template writes nothing of its answer {turn.number + 1}")
        asked, begin, _ = next((one for one in turns if not one[0].opens), turns[0])
        flat = np.array(encoded.ids, dtype=np.int32)
        flat = np.where(learned, flat, ~flat)
        if self._opening:
            flat = np.concatenate([[~i for i in self._opening], flat])
        if self._eos is not None and (not len(flat) or self._eos not in (flat[-1], ~flat[-1])):
            flat = np.append(flat, self._eos)
        tokens = flat[: self.max_length].astype(np.int32)
        if not (tokens[1:] >= 0).any():
            return None
        self.cut_rows += len(flat) > self.max_length
        return TokenSample(tokens, max(begin + len(self._opening), 1), asked.number)

    def _marked(self, encoded: Encoded, turn: Turn, begin: int, end: int) -> list[tuple[int, int]]:
        """What of a turn is learned, in tokens: what its markers enclose, and the token after them that ends it."""
        borders = self._texts.places(encoded, [border for span in turn.marked for border in span])
        at = [min(max(border, begin), end) for border in borders if border is not None]
        spans = [(first, last) for first, last in zip(at[::2], at[1::2], strict=False) if last > first]
        if not spans or None in borders:
            return [(begin, end)]
        first, last = spans[-1]
        return [*spans[:-1], (first, last + (last < end and encoded.ids[last] in self._special))]


def _home(row: Rendering, turn: Turn) -> str:
    """The text that a turn is looked for in: the whole, where that has it as the model writes it."""
    return row.text if turn.end is not None else turn.alone


def _texts(row: Rendering) -> list[str]:
    return [row.text, *(_home(row, turn) for turn in row.turns)]
