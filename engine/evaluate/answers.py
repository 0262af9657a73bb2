"""The two ways to a model's answers, a language model's own search and the `generate` of a recipe; what a chat template
writes around them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.errors import RecipeError
from speedtui.engine.evaluate.answering import configured, generation_config
from speedtui.engine.evaluate.prompts import Prompts, allowed_tokens
from speedtui.engine.workload.base import Generate
from speedtui.engine.workload.conversation import around_answer, closing_in
from speedtui.engine.workload.encoded import Texts
from speedtui.engine.workload.positions import positions_of
from speedtui.engine.workload.recipe import RecipeErrors

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


AnswerGenerator = Callable[[Any, Sequence[int]], "list[str]"]
"""From the base model and rows of the evaluation dataset to a text for each."""


class ModelAnswer:
    """Beam or greedy search of a language model; the same texts each time."""

    def __init__(
        self, prompts: Prompts, tokenizer: Any, device: torch.device, schedule: ScheduleSettings, *, turns: bool,
        look: Callable[[], None], to_the_end: bool = False,
    ) -> None:  # fmt: skip
        """`turns`: the data are conversations; `look`: called after each token, may raise to end it; `to_the_end`:
        nothing ends an answer before it has all the tokens it may have."""
        self._prompts, self._tokenizer = prompts, tokenizer
        self._device, self._schedule = device, schedule
        self._to_the_end = to_the_end
        self._pad = 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
        self._frame = chat_frame(tokenizer) if turns else plain_frame(tokenizer)
        self._stops = [end[0] for end in self._frame.ends if len(end) == 1]
        written = [_Writes(end) for end in self._frame.ends if len(end) > 1]
        self._criteria = StoppingCriteriaList([_Looks(look), *written])
        self.short: str | None = None
        """What to say where the model has no room for all tokens that were asked for."""

    def __call__(self, base: Any, rows: Sequence[int]) -> list[str]:
        """The answers; without what ends them."""
        inputs = self._prompts.batch(rows, self._pad)
        width = inputs["input_ids"].shape[1]
        config = generation_config(
            base, beams=self._schedule.beams, max_new_tokens=self._allowed(base, width), pad=self._pad,
            stops=self._stops,
        )  # fmt: skip
        if self._to_the_end:
            config.min_new_tokens = config.max_new_tokens
        moved = {key: value.to(self._device) for key, value in inputs.items()}
        with configured(base, config):
            written = base.generate(**moved, generation_config=config, stopping_criteria=self._criteria)
        answers = written[:, 1 if self._prompts.seq2seq else width :].tolist()
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else []
        return [self._decoded(tokens, ends) for tokens in answers]

    def _allowed(self, base: Any, width: int) -> int:
        wished, positions = self._schedule.max_new_tokens, positions_of(base)
        allowed = allowed_tokens(positions, 0 if self._prompts.seq2seq else width, wished)
        if allowed < wished and self.short is None:
            self.short = (
                f"some answers have room for {allowed} new tokens, not schedule.max_new_tokens {wished}: "
                f"the model knows {positions} places"
            )
        return allowed

    def _decoded(self, tokens: list[int], ends: Sequence[int]) -> str:
        """The text before the first token, or the first of the tokens, that ends it."""
        end = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
        for closing in self._frame.ends:
            starts = range(end - len(closing) + 1)
            end = next((place for place in starts if tuple(tokens[place : place + len(closing)]) == closing), end)
        return self._frame.text_of(tokens[:end], self._tokenizer)


class _Looks(StoppingCriteria):
    """Stops nothing; a chance for the caller after each token, since a batch can take minutes."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> Any:
        """(sequences,), bool, none of which is done."""
        self._look()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


class _Writes(StoppingCriteria):
    """Stops a sequence that ends with certain tokens: an end of turn that is no token of its own."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = torch.tensor(tokens)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> Any:
        """(sequences,), bool, which of them are done."""
        ending = self._tokens.to(input_ids.device)
        if input_ids.shape[1] < len(ending):
            return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
        return (input_ids[:, -len(ending) :] == ending).all(dim=1)


class RecipeAnswer:
    """Calls the recipe's own `generate`."""

    def __init__(self, settings: Settings, generate: Generate, dataset: Any, schedule: ScheduleSettings) -> None:
        file, _, function = (settings.model.recipe or "").rpartition(":")
        self._path, self._where = Path(file), f"{file}: {function}: generate"
        self._dataset, self._generate = dataset, generate
        wished = {"beams": schedule.beams, "max_new_tokens": schedule.max_new_tokens}
        parameters = inspect.signature(generate).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        self._knobs = {name: value for name, value in wished.items() if takes_any or name in parameters}

    def __call__(self, base: Any, rows: Sequence[int]) -> list[str]:
        """The answers.

        Raises:
            RecipeError: it raised, or returned something else than a text for each row.
        """
        with RecipeErrors(self._path, "generate"):
            returned = self._generate(base, [self._dataset[row] for row in rows], **self._knobs)
        texts = list(returned) if isinstance(returned, list | tuple) else None
        if texts is None or not all(isinstance(text, str) for text in texts):
            raise RecipeError(f"{self._where} returned something else than a list of texts", _RETURN)
        if len(texts) != len(rows):
            raise RecipeError(f"{self._where} returned {len(texts)} texts for {len(rows)} samples", _RETURN)
        return texts


_RETURN = "Return one text for each sample, in the same order."
