"""What an evaluation's answers and their scores cost, from a few that were written and scored."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from speedtui.engine.candidate import Curve, CurvePoint
from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.evaluate.prompts import allowed_tokens, answer_limits, right_lengths
from speedtui.engine.evaluate.timed_answers import AnswerBatch, TimedAnswers, answer_batches
from speedtui.engine.schedule.costs import GUESS_SPREAD, RunCosts
from speedtui.engine.timing.curve import fit_curve
from speedtui.engine.units import parse_duration
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.evaluation_batch import generation_rows
from speedtui.engine.workload.positions import positions_of

GOES_ON = 0.2
"""How far a search with beams goes on past the right answer, on the way to the tokens that are allowed.

Measured over six trainings of a T5 on text-to-SQL whose answers were timed before: 0.12 to 0.27 with 2, 4 and 8
beams (tests/bench/test_finish_time_with_answers.py); a history of the model's own evaluations takes its place.
"""
NINE_IN_TEN = 1.2816
"""Standard deviations from the median of a normal distribution to its 90 % point."""


class AnswerCosts(msgspec.Struct, frozen=True, kw_only=True):
    """Good for other rows and other batches of the same model."""

    prompts: Curve | None = None
    """Of reading a batch of prompts and writing its first token; None for a recipe."""
    token: Curve | None = None
    """Of one more token for each row of a batch, by the tokens before it; None where every answer is a single one."""
    row_seconds: float | None = None
    """Of a recipe's answer to a row, as long as it is now."""
    scored_seconds: float | None = None
    """Of a row's score beside the others."""
    most_rows: int | None = None
    """Rows of a batch that found memory where those asked for did not."""
    peak_bytes: int | None = None
    """Reserved by the CUDA allocator while they were written; None on the CPU, and where none were."""
    problem: str = ""
    """Why something was not measured; empty where all was."""

    def of_run(self, costs: RunCosts, workload: Workload, settings: Settings) -> RunCosts:
        """The costs of a run with these in them: each answer is as long as its right one, and with beams longer by
        `GOES_ON`, up to a P90 of answers as long as they may be."""
        schedule, rehearsal = settings.schedule, costs.rehearsal_seconds
        batches = self._batches(workload, settings)
        right = self._generate_seconds(workload, batches)
        metric = self._metric_seconds(workload, schedule) if schedule.metric else None
        to_the_limit = [msgspec.structs.replace(batch, steps=batch.most_steps) for batch in batches]
        most = self._generate_seconds(workload, to_the_limit)
        generate = None if right is None or most is None else right + GOES_ON * (most - right)
        return msgspec.structs.replace(
            costs, generate_seconds=generate, metric_seconds=metric,
            answer_tokens=_mean_tokens(workload, schedule) if self.prompts is not None else None,
            answers_spread=_spread(generate, most, metric),
            rehearsal_seconds=None if rehearsal is None else rehearsal + self._rehearsed(workload, schedule, batches),
        )  # fmt: skip

    def _batches(self, workload: Workload, settings: Settings) -> list[AnswerBatch]:
        """Those of an evaluation, with as many rows as find memory."""
        size = generation_rows(settings, workload)
        return answer_batches(workload, settings.schedule, min(size, self.most_rows or size))

    def _rehearsed(self, workload: Workload, schedule: ScheduleSettings, batches: Sequence[AnswerBatch]) -> float:
        """Answers to the longest batch of prompts, which a model that has learned nothing yet writes until it is
        stopped. What it writes is scored for next to nothing."""
        if not batches or (self.row_seconds is None and self.prompts is None):
            return 0.0
        first = batches[0]
        if self.row_seconds is not None:
            return self.row_seconds * len(first.rows)
        positions = None if first.width == 0 else positions_of(workload.model)
        width = 0 if workload.target_lengths is not None else first.width
        steps = allowed_tokens(positions, width, schedule.max_new_tokens)
        return self._batch_seconds(msgspec.structs.replace(first, steps=steps))

    def _generate_seconds(self, workload: Workload, batches: Sequence[AnswerBatch]) -> float | None:
        if self.row_seconds is not None:
            return self.row_seconds * len(workload.questions or ())
        if self.prompts is None:
            return None
        return math.fsum(self._batch_seconds(batch) for batch in batches)

    def _batch_seconds(self, batch: AnswerBatch) -> float:
        assert self.prompts is not None
        rows, steps = len(batch.rows), batch.steps
        more = self.token.seconds(rows, batch.width + steps / 2) if self.token is not None else 0.0
        return self.prompts.seconds(rows, batch.width) + (steps - 1) * more

    def _metric_seconds(self, workload: Workload, schedule: ScheduleSettings) -> float | None:
        """Of all rows, and no more than `schedule.metric_timeout` lets it take."""
        if self.scored_seconds is None:
            return None
        return min(self.scored_seconds * len(workload.questions or ()), parse_duration(schedule.metric_timeout))


def _mean_tokens(workload: Workload, schedule: ScheduleSettings) -> float | None:
    """Of an answer as long as it is expected; None where only a recipe knows."""
    limits = answer_limits(workload, schedule)
    if workload.questions is None or limits is None:
        return None
    steps = np.minimum(right_lengths(workload.questions), limits)
    goes_on = GOES_ON if schedule.beams > 1 else 0.0
    return float(np.mean(steps + goes_on * (limits - steps)))


def _spread(generate: float | None, most: float | None, metric: float | None) -> float:
    """Relative standard deviation of answers and their scores: by it nine in ten take no longer than `most` for the
    answers, and it is not less than that of any figure that was not measured whole."""
    expected = (generate or 0.0) + (metric or 0.0)
    if generate is None or most is None or expected <= 0:
        return GUESS_SPREAD
    return math.hypot(GUESS_SPREAD, (most - generate) / NINE_IN_TEN / expected)


def answer_costs(timed: TimedAnswers) -> AnswerCosts:
    """From what was written and scored."""
    plain = AnswerCosts(scored_seconds=timed.scored_seconds, most_rows=timed.most_rows, problem=timed.problem)
    if not timed.written:  # no prompt is answered, and empty answers cost nothing
        return msgspec.structs.replace(plain, row_seconds=0.0)
    if not timed.written[0][0].steps:
        rows = sum(len(batch.rows) for batch, _ in timed.written)
        seconds = math.fsum(made.first_seconds for _, made in timed.written)
        return msgspec.structs.replace(plain, row_seconds=seconds / rows)
    first = [_point(batch, batch.width, made.first_seconds) for batch, made in timed.written]
    more = [
        _point(batch, batch.width + made.tokens / 2, made.token_seconds)
        for batch, made in timed.written
        if made.tokens > 1
    ]
    return msgspec.structs.replace(
        plain, prompts=fit_curve(first, 0.0), token=fit_curve(more, 0.0) if more else None
    )  # fmt: skip


def _point(batch: AnswerBatch, tokens: float, seconds: float) -> CurvePoint:
    return CurvePoint(micro_batch_size=len(batch.rows), tokens=round(tokens), seconds=seconds)
