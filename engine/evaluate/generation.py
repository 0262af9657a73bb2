"""What the model answers to the evaluation data, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import msgspec
import torch
from torch import nn

from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.evaluate.answering import answering
from speedtui.engine.evaluate.answers import AnswerGenerator, ModelAnswer, RecipeAnswer
from speedtui.engine.evaluate.prompts import Prompts
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.workload import Report, Workload
from speedtui.engine.workload.evaluation_batch import generation_rows
from speedtui.engine.workload.failures import is_out_of_memory
from speedtui.engine.workload.positions import positions_of
from speedtui.engine.workload.precision import autocast_dtype


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch of answers took."""

    tokens: int
    """New ones of each row; 0 where a recipe does not tell."""
    first_seconds: float
    """Reading the prompts, the first token, and making texts of all; for a recipe all there is."""
    token_seconds: float
    """Of each token after the first."""


class Generation:
    """Writes an answer to each of some rows; keeps a batch size that fits."""

    def __init__(
        self, settings: Settings, workload: Workload, device: torch.device, report: Report,
        notice: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._settings, self._workload, self.device = settings, workload, device
        self._report, self._notice = report, notice
        self._wanted, self._batch = 0, 0
        self._done, self._total = 0, 0
        self._short_told = self._long_told = False
        self.unanswered = 0
        """Of the last rows, those whose prompt the model has no room for: their text is empty."""

    def texts(self, model: nn.Module, schedule: ScheduleSettings, rows: Sequence[int]) -> list[str]:
        """An answer to each row, in the order of the rows; the model is left as it was.

        `rows`: of the workload's questions. A prompt that the model has no room for gets an empty text.

        The longest prompts come first, so that running out of memory comes at once: then batches are halved.

        Raises:
            RecipeError: the recipe's own `generate` raised or returned something else.
        """
        self._size(schedule)
        order = self._longest_first(rows)
        texts = [""] * len(rows)
        self._done, self._total = 0, len(rows)
        answer = self._answer(schedule, self._look)
        with answering(model, autocast_dtype(self._settings.train)) as base:
            self._done = self.unanswered = self._too_long(base, rows, order)
            while self._done < len(order):
                self._look()
                places = order[self._done : self._done + self._batch]
                made = self._tried(answer, base, [rows[place] for place in places])
                if made is None:
                    self._halve(len(places))
                    continue
                for place, text in zip(places, made, strict=True):
                    texts[place] = text
                self._done += len(places)
        self._look()
        self._tell_short(answer)
        return texts

    def timed(self, model: nn.Module, schedule: ScheduleSettings, rows: Sequence[int], tokens: int) -> Written:
        """One batch written to this many tokens whatever the model would say, and how long that took.

        Raises:
            RecipeError: the recipe's own `generate` raised or returned something else.
            Exception: what the model raises, want of memory too.
        """
        schedule = msgspec.structs.replace(schedule, max_new_tokens=tokens)
        marks: list[float] = []

        def mark() -> None:
            marks.append(self._done_at())
            self._look()

        self._done, self._total = 0, len(rows)
        with answering(model, autocast_dtype(self._settings.train)) as base:
            answer = self._answer(schedule, mark, to_the_end=True)
            began = self._done_at()
            answer(base, list(rows))
            whole = self._done_at() - began
        if len(marks) < 2:
            return Written(tokens=len(marks), first_seconds=whole, token_seconds=0.0)
        each = (marks[-1] - marks[0]) / (len(marks) - 1)
        return Written(tokens=len(marks), first_seconds=whole - (marks[-1] - marks[0]), token_seconds=each)

    def _done_at(self) -> float:
        """When the device has done what it was given: it is given a token's work before it is through with the last."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return working_seconds()

    def _size(self, schedule: ScheduleSettings) -> None:
        """The batch as the settings are now; a smaller one that was found to fit stays until they ask for another."""
        wanted = generation_rows(msgspec.structs.replace(self._settings, schedule=schedule), self._workload)
        if wanted != self._wanted:
            self._wanted = self._batch = wanted

    def _look(self) -> None:
        self._report("generating", self._done, self._total)

    def _longest_first(self, rows: Sequence[int]) -> list[int]:
        """Places in `rows`; as they are where lengths are not known."""
        if self._workload.generate is not None:
            return list(range(len(rows)))
        lengths = self._prompts.lengths
        return sorted(range(len(rows)), key=lambda place: -int(lengths[rows[place]]))

    @cached_property
    def _prompts(self) -> Prompts:
        dataset: Any = self._workload.questions
        return Prompts(dataset)

    def _too_long(self, base: Any, rows: Sequence[int], order: list[int]) -> int:
        """How many prompts are longer than the model has places for; they are the first in the order."""
        known = positions_of(base)
        if self._workload.generate is not None or self._prompts.seq2seq or known is None:
            return 0
        lengths = self._prompts.lengths
        found = sum(int(lengths[rows[place]]) > known for place in order)
        if found and not self._long_told:
            self._long_told = True
            self._notice(
                f"{found} of {len(rows)} prompts are longer than the {known} places that the model knows: they are "
                "not answered and count as empty answers"
            )
        return found

    def _answer(
        self, schedule: ScheduleSettings, look: Callable[[], None], *, to_the_end: bool = False
    ) -> AnswerGenerator:
        if self._workload.generate is not None:
            return RecipeAnswer(self._settings, self._workload.generate, self._workload.eval_dataset, schedule)
        return ModelAnswer(
            self._prompts, self._workload.tokenizer, self.device, schedule,
            turns=self._settings.data.chat, look=look, to_the_end=to_the_end,
        )  # fmt: skip

    def _tried(self, answer: AnswerGenerator, base: Any, rows: list[int]) -> list[str] | None:
        """None where there was no memory for so many at once."""
        try:
            return answer(base, rows)
        except Exception as error:
            if len(rows) == 1 or not is_out_of_memory(error):
                raise
        return None  # out here nothing holds the frames with their tensors any more

    def _halve(self, size: int) -> None:
        self._batch = size // 2
        release_memory(self.device)
        self._notice(f"generating for {size} samples at a time ran out of memory; it goes on with {self._batch}")

    def _tell_short(self, answer: AnswerGenerator) -> None:
        short = answer.short if isinstance(answer, ModelAnswer) else None
        if short is not None and not self._short_told:
            self._short_told = True
            self._notice(short)
