"""The right answers: how long they are, what they say, and in which batches they would be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from speedtui.engine.config.settings import Settings
from speedtui.engine.evaluate.prompts import answer_steps, right_lengths, right_texts
from speedtui.engine.evaluate.timed_answers import answer_batches, batches_to_time, rows_to_score
from speedtui.engine.schedule.costs import GUESS_SPREAD, RunCosts
from speedtui.engine.trainer.answer_costs import AnswerCosts, answer_costs
from speedtui.engine.trial.answers import beams_go_on
from tests.engine.evaluate.conftest import ANSWERS, Made, write_rows
from tests.engine.workload.small import LLAMA, T5, load

Asked = Callable[..., Settings]
MODELS = pytest.mark.parametrize("architecture", [LLAMA, T5], ids=["llama", "t5"])


@MODELS
def test_the_right_answers_are_what_the_rows_say(asked: Asked, architecture: dict[str, Any]) -> None:
    workload = load(asked(architecture, schedule={}))
    texts = right_texts(workload, range(6))
    assert texts is not None and [text.strip() for text in texts] == ANSWERS


@MODELS
def test_an_answer_has_the_tokens_of_the_right_one_and_its_end_and_no_more_than_are_allowed(
    asked: Asked, architecture: dict[str, Any]
) -> None:
    settings = asked(architecture, schedule={"max_new_tokens": 6})
    workload = load(settings)
    assert workload.tokenizer is not None
    written = [len(workload.tokenizer(text, add_special_tokens=False)["input_ids"]) + 1 for text in ANSWERS]
    lengths = right_lengths(workload.eval_dataset)  # type: ignore[arg-type]
    assert lengths.tolist() == written
    steps = answer_steps(workload, settings.schedule)
    assert steps is not None and steps.tolist() == [min(n, 6) for n in written]


def test_places_that_a_model_has_not_are_no_tokens(asked: Asked, tmp_path: Path) -> None:
    rows = [{"question": "q" * size, "answer": "4 " * 20} for size in (10, 30)]
    model = {**LLAMA, "max_position_embeddings": 60}
    settings = asked(model, rows=write_rows(tmp_path / "room.jsonl", rows), schedule={"max_new_tokens": 20},
                     data={"max_length": 60})  # fmt: skip
    workload = load(settings)
    steps = answer_steps(workload, settings.schedule)
    prompts = [len(workload.tokenizer("q" * size)["input_ids"]) for size in (10, 30)]  # type: ignore[misc]
    assert steps is not None and all(step <= 60 - prompt + 1 for step, prompt in zip(steps, prompts, strict=True))


@MODELS
def test_every_row_is_in_one_batch_the_longest_prompts_first(asked: Asked, architecture: dict[str, Any]) -> None:
    settings = asked(architecture, schedule={})
    workload = load(settings)
    for size in (1, 2, 4, 6, 50):
        batches = answer_batches(workload, settings.schedule, size)
        assert sorted(row for batch in batches for row in batch.rows) == list(range(6))
        assert [batch.width for batch in batches] == sorted((batch.width for batch in batches), reverse=True)
        assert all(len(batch.rows) <= size for batch in batches)
        timed = batches_to_time(batches)
        assert 1 <= len(timed) <= min(4, len(batches)) and len(set(timed)) == len(timed)
        assert {len(batch.rows) for batch in timed} == {min(size, 6)}


@MODELS
@pytest.mark.parametrize("limit", [6, 40])
def test_beams_are_expected_to_write_the_right_answer_and_may_write_what_is_allowed(
    asked: Asked, architecture: dict[str, Any], limit: int
) -> None:
    settings = asked(architecture, schedule={"beams": 4, "max_new_tokens": limit})
    workload = load(settings)
    greedy = answer_batches(workload, msgspec.structs.replace(settings.schedule, beams=1), 2)
    for one, many in zip(greedy, answer_batches(workload, settings.schedule, 2), strict=True):
        assert (one.rows, one.steps) == (many.rows, many.steps)
        assert (one.most_steps, many.most_steps) == (one.steps, limit)


@MODELS
def test_the_limit_of_beams_is_the_ninetieth_per_cent_of_their_answers(
    asked: Asked, architecture: dict[str, Any]
) -> None:
    spreads = {}
    for beams in (1, 4):
        settings = asked(architecture, schedule={"beams": beams, "max_new_tokens": 40})
        one = Made(settings, load(settings))
        costs = answer_costs(one.evaluator.timed(one.workload.model, settings.schedule))
        of_run = costs.of_run(RunCosts(), one.workload, settings)
        shorter = msgspec.structs.replace(
            settings, schedule=msgspec.structs.replace(settings.schedule, max_new_tokens=1)
        )
        assert of_run.generate_seconds is not None and of_run.generate_seconds > 0
        least = costs.of_run(RunCosts(), one.workload, shorter)
        assert least.generate_seconds is not None and least.generate_seconds < of_run.generate_seconds
        assert least.answers_spread == GUESS_SPREAD  # a single token is the right answer's and the limit's
        spreads[beams] = of_run.answers_spread
        told = beams_go_on(one.workload, settings.schedule)
        assert (told == "") == (beams == 1) and ("written on to 40 tokens" in told) == (beams == 4)
    assert spreads[1] == GUESS_SPREAD < spreads[4]


def test_rows_to_score_are_spread_over_all() -> None:
    assert rows_to_score(5) == [0, 1, 2, 3, 4]
    many = rows_to_score(1000)
    assert len(many) == len(set(many)) == 64 and many[0] == 0 and many[-1] > 950


@MODELS
@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_is_timed_to_the_tokens_asked_for_whatever_the_model_says(
    asked: Asked, architecture: dict[str, Any], beams: int
) -> None:
    settings = asked(architecture, schedule={"beams": beams})
    one = Made(settings, load(settings))
    generation: Any = one.evaluator._generation
    written = generation.timed(one.workload.model, settings.schedule, [0, 1, 2], 7)
    assert written.tokens == 7
    assert written.first_seconds > 0 and written.token_seconds > 0


def test_the_metric_is_timed_on_right_answers(asked: Asked, tmp_path: Path) -> None:
    """A metric that refuses whatever is not right, and takes its time for each sample."""
    path = tmp_path / "metric.py"
    path.write_text(
        "import time\n"
        "def score(prediction, reference):\n"
        "    if prediction.strip() != reference: raise ValueError(prediction)\n"
        "    time.sleep(0.05)\n"
        "    return 1\n"
    )
    settings = asked(T5, schedule={"metric": f"{path}:score", "metric_threads": 2, "max_new_tokens": 2})
    one = Made(settings, load(settings))
    try:
        one.evaluator.prepare()
        timed = one.evaluator.timed(one.workload.model, settings.schedule)
        assert timed.problem == "" and timed.scored_seconds is not None
        assert timed.scored_seconds >= 0.05 / 2  # two at a time
        assert [made.tokens for _, made in timed.written] == [min(b.steps, 48) for b, _ in timed.written]
        plain = one.evaluator.timed(one.workload.model, msgspec.structs.replace(settings.schedule, metric=None))
        assert plain.scored_seconds is None and plain.problem == ""
    finally:
        one.evaluator.close()


def test_where_no_prompt_has_room_answers_cost_nothing(asked: Asked) -> None:
    """A model with rotary angles is trained on rows beyond its places, and asked no prompt that is."""
    settings = asked({**LLAMA, "max_position_embeddings": 1}, schedule={})
    one = Made(settings, load(settings))
    assert one.score().unanswered == 6
    timed = one.evaluator.timed(one.workload.model, settings.schedule)
    costs = answer_costs(timed).of_run(RunCosts(rehearsal_seconds=1.0), one.workload, settings)
    assert (timed.written, costs.generate_seconds, costs.rehearsal_seconds) == ((), 0.0, 1.0)


def test_every_question_is_scored_and_priced_though_the_loss_leaves_some_out(asked: Asked, tmp_path: Path) -> None:
    rows = [{"question": "why " * (1 + 60 * (n % 2)), "answer": "4"} for n in range(10)]
    settings = asked(LLAMA, rows=write_rows(tmp_path / "long.jsonl", rows), data={"max_length": 40},
                     schedule={"metric": "metric.py:score", "metric_timeout": "1h"})  # fmt: skip
    workload = load(settings)
    assert workload.eval_dataset is not None and len(workload.eval_dataset) == 5
    priced = AnswerCosts(scored_seconds=2.0).of_run(RunCosts(), workload, settings)
    assert priced.metric_seconds == 20.0
