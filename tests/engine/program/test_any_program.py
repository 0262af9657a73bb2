"""Programs are metered as they come, with any batches, and whatever cannot be told ends none of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from transformers import Trainer

from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.meter.step_record import BatchTokens, batch_rows
from speedtui.engine.program.followed_training import batch_tokens
from speedtui.engine.program.inside import RUN, UNMETERED, tell_unmetered
from speedtui.engine.program.trainers import FollowedTrainer, taken_names
from speedtui.engine.trainer.metered_steps import MeteredSteps

ROWS = torch.ones(2, 3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("batch", "rows", "tokens"),
    [
        ({"input_ids": ROWS}, 2, (6, 0)),
        ([{"prompt": "a"}, {"prompt": "b"}, {"prompt": "c"}], 3, None),
        ((ROWS, ROWS), 2, None),
        ({"input_ids": [[1, 2]]}, 0, None),
        ({"input_ids": ROWS, "attention_mask": torch.full((2, 1, 3, 3), -torch.inf)}, 2, None),
        (object(), 0, None),
    ],
)
def test_a_batch_of_any_kind_is_counted_as_far_as_it_can_be(batch: object, rows: int, tokens: BatchTokens) -> None:
    assert (batch_rows(batch), batch_tokens(batch)) == (rows, tokens)


def test_a_reason_that_cannot_be_left_ends_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN, raising=False)
    tell_unmetered("no run any more")
    monkeypatch.setenv(RUN, os.fspath(tmp_path))
    tell_unmetered("a name that is no text: \udcff")
    tell_unmetered("the second reason")
    assert (tmp_path / UNMETERED).read_text() == "a name that is no text: ?"


def test_what_an_evaluation_of_the_program_gets_lies_where_it_would_without_us() -> None:
    assert "get_eval_dataloader" not in vars(FollowedTrainer) | vars(MeteredSteps)


class OwnStep(Trainer):
    """Whose step moves nothing, since accelerate has."""

    def training_step(self, model: object, inputs: object, *args: object, **kwargs: object) -> torch.Tensor:
        """Says where it got its batch."""
        assert isinstance(inputs, dict)
        return torch.tensor(float(inputs["input_ids"].device.type == "meta"))


class Silent:
    """In the place of a meter."""

    def micro_step(self, batch: object) -> None:
        """Nothing."""

    micro_step_done = micro_step

    def __init__(self) -> None:
        self.clock = PhaseClock()


def test_a_step_of_the_programs_own_gets_its_batch_on_the_device() -> None:
    class Followed(FollowedTrainer, OwnStep):  # type: ignore[misc]  # MeteredSteps is no Trainer to mypy
        pass

    trainer = Followed.__new__(Followed)
    trainer.meter = Silent()  # type: ignore[assignment]
    trainer.accelerator = type("", (), {"device": torch.device("meta")})()
    assert trainer.training_step(torch.nn.Identity(), {"input_ids": ROWS}) == 1.0


class TwoSets(Trainer):
    """Evaluates on two sets as transformers does: by calling itself for each."""

    def evaluate(self, eval_dataset: object = None, *args: object, **kwargs: object) -> dict[str, float]:
        """By the set's name."""
        if eval_dataset is None:
            return {**self.evaluate("a"), **self.evaluate("b")}
        return {f"eval_{eval_dataset}_loss": 1.0}


class Told:
    """In the place of a followed training."""

    def __init__(self) -> None:
        self.evaluating, self.rows = False, 0
        self.metrics: list[dict[str, float]] = []

    def interrupted(self, what: str) -> float:
        """Now."""
        return 0.0

    def evaluated(self, began: float, metrics: dict[str, float]) -> None:
        """Keeps them."""
        self.metrics.append(metrics)


def test_an_evaluation_of_several_sets_is_one() -> None:
    class Followed(FollowedTrainer, TwoSets):
        pass

    trainer, told = Followed.__new__(Followed), Told()
    trainer.meter, trainer.training = Silent(), told  # type: ignore[assignment]
    assert trainer.evaluate() == {"eval_a_loss": 1.0, "eval_b_loss": 1.0}
    assert told.metrics == [{"eval_a_loss": 1.0, "eval_b_loss": 1.0}]
    assert not told.evaluating


def test_a_trainer_that_has_our_names_for_something_else_keeps_them() -> None:
    trainer = OwnStep.__new__(OwnStep)
    assert taken_names(trainer) == ""
    trainer.meter = object()  # type: ignore[attr-defined]
    trainer.after_step = object()  # type: ignore[attr-defined]
    assert taken_names(trainer) == "after_step, meter"
