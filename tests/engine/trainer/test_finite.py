"""What is noticed of numbers that are none, however late and however they come."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from speedtui.engine import events as e
from speedtui.engine.context.context import JobContext
from speedtui.engine.log.tail import read_events
from speedtui.engine.trainer.finite import MOST_IN_A_ROW, FiniteWatch, nonfinite_weight
from tests.engine import events_of_a_run as a


def step(number: int, *, loss: bool = True, gradient: bool = True) -> e.StepCompleted:
    """With a finite loss and gradient norm, or without."""
    return a.step(
        number, loss=1.0 if loss else None, nonfinite=not loss, nonfinite_steps=int(not loss),
        nonfinite_gradients=int(not gradient),
    )  # fmt: skip


def poison(model: nn.Linear) -> None:
    with torch.no_grad():
        model.weight[0, 0] = torch.nan


def told(context: JobContext, kind: type[e.AnyEvent]) -> list[e.AnyEvent]:
    context.log.flush()
    return [event for event in read_events(context.folder.events) if isinstance(event, kind)]


@pytest.mark.parametrize("lag", [0, 1, 4])
@pytest.mark.parametrize("first", [1, 2, 7])
@pytest.mark.parametrize("by", ["loss", "gradient"])
def test_since_when_and_from_where_to_go_on_do_not_depend_on_how_late_it_is_noticed(
    context: JobContext, first: int, lag: int, by: str
) -> None:
    watch, model = FiniteWatch(context, lambda until: until if until > 0 else None), nn.Linear(2, 2)
    watch.begin()
    for number in range(1, first + lag + 2):
        if number == first:
            poison(model)
        seen = number - lag  # the pump thread is so many steps behind
        if seen >= 1:
            watch.observe(step(seen, loss=seen < first or (by == "gradient" and seen == first), gradient=seen < first))
        watch.look(model, number)
    assert watch.certain is not None
    assert watch.certain.since == first
    # the loss of step n is that of the weights after step n - 1
    assert watch.certain.good_step == (first - 2 if by == "loss" else first - 1)
    assert watch.certain.weights == "weight"


def test_weights_broken_by_one_step_are_found_though_the_losses_after_it_are_finite(context: JobContext) -> None:
    watch, model = FiniteWatch(context, lambda until: None), nn.Linear(2, 2)
    watch.begin()
    watch.observe(step(1))
    poison(model)
    for seen in (step(2, gradient=False), step(3), step(4)):  # all before the training thread looks
        watch.observe(seen)
    watch.look(model, 4)
    assert watch.certain is not None and (watch.certain.since, watch.certain.good_step) == (2, 1)


def test_every_stretch_ends_told_with_as_many_steps_as_it_had(context: JobContext) -> None:
    numbers = random.Random(3)
    watch, model = FiniteWatch(context, lambda until: None), nn.Linear(2, 2)
    watch.begin()
    bad = 0
    for number in range(1, 400):
        loss, gradient = numbers.random() > 0.2, numbers.random() > 0.2
        bad += not (loss and gradient)
        watch.observe(step(number, loss=loss, gradient=gradient))
        watch.look(model, number)
    watch.observe(step(400))
    again = told(context, e.FiniteAgain)
    assert sum(event.steps for event in again if isinstance(event, e.FiniteAgain)) == bad
    assert watch.certain is None and watch.told is None
    starts = {event.since for event in told(context, e.NonFiniteFound) if isinstance(event, e.NonFiniteFound)}
    assert len(starts) == len(again)


def test_so_many_losses_in_a_row_are_certain_and_one_less_is_not(context: JobContext) -> None:
    watch, model = FiniteWatch(context, lambda until: None), nn.Linear(2, 2)
    watch.begin()
    watch.observe(step(1))
    for number in range(2, MOST_IN_A_ROW + 2):
        assert watch.certain is None
        watch.observe(step(number, loss=False))
        watch.look(model, number)
    assert watch.certain is not None and not watch.certain.weights


def test_gradients_that_a_scaler_keeps_from_the_weights_are_told_as_what_they_are(context: JobContext) -> None:
    watch, model = FiniteWatch(context, lambda until: until if until > 0 else None), nn.Linear(2, 2)
    watch.begin()
    for number in range(1, MOST_IN_A_ROW + 3):
        watch.observe(step(number, gradient=number < 3))
        doubt = watch.doubt(model)
        watch.look(model, number)
        assert doubt == ("" if number < 3 else "the gradients have not been finite since step 3")
    assert watch.certain is not None
    assert watch.certain.words == "10 gradients or more in a row not finite, since step 3"
    assert {found.what for found in told(context, e.NonFiniteFound) if isinstance(found, e.NonFiniteFound)} == {
        "gradient_norm"
    }


def test_losses_that_were_let_pass_are_told_once_and_may_be_finite_again(context: JobContext) -> None:
    watch, model = FiniteWatch(context, lambda until: None), nn.Linear(2, 2)
    watch.begin()
    for number in range(1, 41):
        bad = not 25 < number <= 30
        watch.observe(step(number, loss=not bad))
        watch.look(model, number)
        if watch.certain is not None:
            watch.let_pass()
        assert bool(watch.doubt(model)) is bad, f"a checkpoint of step {number}"
    certain = [found.step for found in told(context, e.NonFiniteFound) if isinstance(found, e.NonFiniteFound)
               and found.certain]  # fmt: skip
    assert certain == [10, 40]
    (again,) = told(context, e.FiniteAgain)
    assert isinstance(again, e.FiniteAgain) and (again.step, again.steps) == (26, 25)
    poison(model)
    watch.look(model, 41, always=True)
    watch.let_pass()
    assert watch.certain is not None, "weights that are no numbers stay so"


def test_a_training_without_any_finite_loss_has_failed_at_its_last_step(context: JobContext) -> None:
    watch, model = FiniteWatch(context, lambda until: None), nn.Linear(2, 2)
    watch.begin()
    for number in (1, 2, 3):
        watch.observe(step(number, loss=False))
        watch.look(model, number, last=number == 3)
        assert (watch.certain is not None) is (number == 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_one_element_of_any_precision_is_found_by_its_tensors_name(dtype: torch.dtype, value: float) -> None:
    model = nn.Sequential(nn.Linear(70, 70), nn.Linear(70, 3)).to(dtype)
    assert nonfinite_weight(model) == ""
    with torch.no_grad():
        model[1].weight[2, 69] = value
    assert nonfinite_weight(model) == "1.weight"
    model[1].weight.requires_grad_(False)
    assert nonfinite_weight(model) == "", "what is not trained is as it was loaded"


def test_the_largest_finite_numbers_are_finite_and_a_masks_infinities_are_no_fault() -> None:
    model = nn.BatchNorm1d(3)
    model.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    with torch.no_grad():
        model.weight.fill_(torch.finfo(torch.float32).max)
    assert nonfinite_weight(model) == ""
    assert isinstance(model.running_mean, torch.Tensor)
    model.running_mean[1] = torch.nan
    assert nonfinite_weight(model) == "running_mean"
