"""The learning rate: transformers' own schedules, and the same ones ended with the time."""

from __future__ import annotations

import io
import itertools

import pytest
import torch
from torch import nn
from transformers import get_scheduler

from speedtui.engine.config.settings import LearningRateSchedule
from speedtui.engine.trainer.anchored import AnchoredSchedule

KINDS: tuple[LearningRateSchedule, ...] = ("cosine", "linear", "constant")
RATE = 3e-4


def optimizer() -> torch.optim.Optimizer:
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    return torch.optim.SGD([{"params": [first]}, {"params": [second], "lr": 1e-3}], lr=RATE)


def advance(schedule: AnchoredSchedule, steps: int) -> list[float]:
    """Rates of the first group before each step."""
    rates = []
    for _ in range(steps):
        rates.append(float(schedule.get_last_lr()[0]))
        schedule.optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("warmup", "total"), [(0, 100), (7, 100), (33, 97), (10, 10), (20, 10), (0, 1)])
def test_it_is_the_schedule_of_transformers_to_the_last_bit(
    kind: LearningRateSchedule, warmup: int, total: int
) -> None:
    theirs_name = "constant_with_warmup" if kind == "constant" else kind
    theirs = get_scheduler(theirs_name, optimizer(), num_warmup_steps=warmup, num_training_steps=total)
    ours = AnchoredSchedule(optimizer(), kind=kind, warmup_steps=warmup, total_steps=total)
    for _ in range(total + 3):
        assert [float(rate) for rate in ours.get_last_lr()] == [float(rate) for rate in theirs.get_last_lr()]
        for schedule in (ours, theirs):
            schedule.optimizer.step()
            schedule.step()


@pytest.mark.parametrize("kind", KINDS)
def test_anchored_to_the_steps_that_are_left_it_goes_on_as_before(kind: LearningRateSchedule) -> None:
    plain, anchored = (AnchoredSchedule(optimizer(), kind=kind, warmup_steps=5, total_steps=80) for _ in range(2))
    advance(plain, 30)
    advance(anchored, 30)
    anchored.anchor(50)
    assert advance(anchored, 51) == advance(plain, 51)


def test_anchored_to_fewer_steps_it_ends_after_exactly_those() -> None:
    schedule = AnchoredSchedule(optimizer(), kind="linear", warmup_steps=0, total_steps=100)
    advance(schedule, 40)
    schedule.anchor(7)
    rates = advance(schedule, 7)
    assert rates[0] == pytest.approx(0.6 * RATE)
    drops = [before - after for before, after in itertools.pairwise(rates)]
    assert drops == pytest.approx([0.6 * RATE / 7] * 6)
    assert advance(schedule, 3) == [rates[-1]] * 3  # the training goes on: as its last step, and not at 0


def test_anchored_again_and_again_it_bends_without_a_jump_and_still_ends_in_time() -> None:
    schedule = AnchoredSchedule(optimizer(), kind="cosine", warmup_steps=10, total_steps=1000)
    advance(schedule, 100)
    rates: list[float] = []
    for remaining, steps in ((300, 50), (200, 100), (400, 250), (10, 10)):
        schedule.anchor(remaining)
        rates += advance(schedule, steps)
    assert all(before >= after > 0 for before, after in itertools.pairwise(rates))
    assert max(before - after for before, after in itertools.pairwise(rates)) < 0.03 * RATE


def test_it_never_ends_later_than_with_the_last_step() -> None:
    schedule = AnchoredSchedule(optimizer(), kind="linear", warmup_steps=0, total_steps=50)
    advance(schedule, 20)
    schedule.anchor(10_000)
    advance(schedule, 30)
    assert float(schedule.get_last_lr()[0]) == 0.0


def test_a_warm_up_that_is_not_over_is_shortened() -> None:
    schedule = AnchoredSchedule(optimizer(), kind="linear", warmup_steps=50, total_steps=100)
    schedule.anchor(10)
    rates = advance(schedule, 10)
    assert max(rates) == pytest.approx(RATE)
    assert rates.index(max(rates)) == 5


def test_what_a_checkpoint_keeps_goes_on_with_the_same_rates() -> None:
    schedule = AnchoredSchedule(optimizer(), kind="cosine", warmup_steps=4, total_steps=60)
    advance(schedule, 20)
    schedule.anchor(15)
    advance(schedule, 5)
    kept = io.BytesIO()
    torch.save(schedule.state_dict(), kept)
    kept.seek(0)
    resumed = AnchoredSchedule(optimizer(), kind="cosine", warmup_steps=4, total_steps=60)
    resumed.load_state_dict(torch.load(kept, weights_only=True))
    assert resumed.anchored
    assert advance(resumed, 11) == advance(schedule, 11)
