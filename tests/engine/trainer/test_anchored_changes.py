"""The learning rate of a training whose end moves: later, sooner, with other steps, across an interruption."""

from __future__ import annotations

import io
import itertools
import math
import random
from typing import Any

import pytest
import torch

from speedtui.engine.config.settings import LearningRateSchedule
from speedtui.engine.trainer.anchored import AnchoredSchedule
from tests.engine.trainer.test_anchored import KINDS, RATE, advance, optimizer


def schedule_of(kind: LearningRateSchedule = "linear", warmup: int = 0, total: int = 1000) -> AnchoredSchedule:
    return AnchoredSchedule(optimizer(), kind=kind, warmup_steps=warmup, total_steps=total)


def kept(schedule: AnchoredSchedule) -> dict[str, Any]:
    """Its state, through a checkpoint."""
    file = io.BytesIO()
    torch.save(schedule.state_dict(), file)
    file.seek(0)
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


def resumed(schedule: AnchoredSchedule, total: int) -> AnchoredSchedule:
    """As another worker goes on with it, the training then having so many steps."""
    again = schedule_of(schedule.kind, schedule.warmup_steps, total)
    again.load_state_dict(kept(schedule))
    return again


def factor(schedule: AnchoredSchedule) -> float:
    """As the next step is made with, were the rate set anew."""
    return float(schedule.get_lr()[0]) / RATE


def test_a_run_that_gets_faster_lengthens_its_anchor_and_trains_on() -> None:
    schedule = schedule_of()
    advance(schedule, 100)
    schedule.anchor(200)
    advance(schedule, 100)
    schedule.anchor(799)
    rates = advance(schedule, 800)
    drops = [before - after for before, after in itertools.pairwise(rates)]
    assert drops == pytest.approx([0.45 * RATE / 799] * 798 + [0.0], abs=1e-9 * RATE)
    assert min(rates) > 0


def test_all_steps_that_fit_again_take_the_rate_back_to_them_within_a_tenth() -> None:
    schedule, plain = schedule_of("cosine"), schedule_of("cosine")
    advance(plain, 300)
    advance(schedule, 100)
    schedule.anchor(200)
    advance(schedule, 200)
    assert factor(schedule) < 1e-4
    schedule.anchor(700)
    advance(schedule, 70)
    advance(plain, 70)
    assert advance(schedule, 631) == advance(plain, 631)


@pytest.mark.parametrize("total", [1000, 1500])
def test_with_more_time_a_resumed_run_does_not_stay_where_the_old_deadline_had_ended_it(total: int) -> None:
    schedule = schedule_of()
    advance(schedule, 100)
    schedule.anchor(200, until=5e9)
    advance(schedule, 200)
    again = resumed(schedule, total)
    assert again.until == 5e9
    again.release()
    rates = advance(again, total - 300)
    assert sum(rates) / len(rates) > 0.3 * RATE
    assert min(rates) > 0
    assert factor(again) == 0.0


def test_a_way_back_takes_no_fewer_steps_than_the_warm_up() -> None:
    schedule = schedule_of(warmup=150)
    advance(schedule, 200)
    schedule.anchor(100)
    advance(schedule, 100)
    schedule.release()
    rates = advance(schedule, 700)
    assert rates.index(max(rates)) == 150


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warmup", [0, 100, 400])
def test_fewer_steps_and_a_new_trainer_leave_the_rate_where_it_was(kind: LearningRateSchedule, warmup: int) -> None:
    schedule = schedule_of(kind, warmup)
    advance(schedule, 239)
    before = factor(schedule)
    schedule.resize(400)
    assert factor(schedule) == pytest.approx(before)
    again = resumed(schedule, 400)
    assert factor(again) == pytest.approx(before)
    rates = advance(again, 161)
    assert min(rates) > 0
    assert factor(again) == (1.0 if kind == "constant" else 0.0)


def test_more_steps_in_the_settings_than_in_the_checkpoint_begin_at_the_same_share() -> None:
    schedule = schedule_of(total=10)
    advance(schedule, 5)
    longer = resumed(schedule, 20)
    assert factor(longer) == 0.5
    assert advance(longer, 15)[1:] == pytest.approx([RATE * (0.5 - 0.5 * step / 15) for step in range(1, 15)])
    assert factor(longer) == 0.0


def test_a_checkpoint_of_a_version_that_counted_in_steps_goes_on() -> None:
    old = {
        "base_lrs": [RATE, 1e-3], "last_epoch": 200, "_step_count": 201, "_is_initial": False,
        "_get_lr_called_within_step": False, "_last_lr": [0.55 * RATE, 0.55e-3],
    }  # fmt: skip
    plain = schedule_of()
    plain.load_state_dict(old)
    assert factor(plain) == 0.8
    assert not plain.anchored
    anchored = schedule_of()
    anchored.load_state_dict({**old, "_place": 550.0, "_left": 100})
    assert factor(anchored) == pytest.approx(0.45)
    assert anchored.anchored
    assert advance(anchored, 100)[-1] == pytest.approx(0.45 * RATE / 100)


# -- whatever happens ------------------------------------------------------------------------------


def walk(seed: int) -> None:
    """Hundreds of changes at random; after each the rate stays, with every step it moves by a bounded share."""
    rng = random.Random(seed)
    kind: LearningRateSchedule = rng.choice(("linear", "cosine"))
    total = rng.randint(2, 400)
    schedule = schedule_of(kind, rng.choice((0, 0, rng.randint(0, total - 1))), total)
    warmup, shape = schedule.warmup_steps, total
    step, spread = 0, 0
    while step < total:
        for _ in range(rng.randint(0, 3)):
            before = factor(schedule)
            spread, total, schedule = changed(schedule, rng, step, total, spread)
            assert factor(schedule) == pytest.approx(before, abs=1e-9)
        for _ in range(min(rng.randint(1, 30), total - step)):
            share, rate = schedule.share, factor(schedule)
            assert rate > 0 or share == 0  # which is where a warm-up begins
            schedule.optimizer.step()
            schedule.step()
            step, spread = step + 1, max(spread - 1, 1)
            moved = abs(schedule.share - share)
            assert moved <= max((1 - share) / spread, 11 / total) + 1e-9
            steepest = max(shape / max(warmup, 1), math.pi / 2 * shape / max(shape - warmup, 1))
            assert abs(factor(schedule) - rate) <= steepest * moved + 1e-9
    assert factor(schedule) == 0.0


def changed(
    schedule: AnchoredSchedule, rng: random.Random, step: int, total: int, spread: int
) -> tuple[int, int, AnchoredSchedule]:
    """(over how many steps the rest is spread at least, steps of the training, schedule) after something happened."""
    match rng.choice(("anchor", "release", "resize", "resume", "resume with other steps")):
        case "anchor":
            steps = rng.randint(1, 2 * total)
            schedule.anchor(steps)
            return min(steps, total - step), total, schedule
        case "release":
            schedule.release()
        case "resize":
            total = rng.randint(step + 1, max(step + 1, 500))
            schedule.resize(total)
        case "resume":
            schedule = resumed(schedule, total)
        case _:
            total = rng.randint(step + 1, max(step + 1, 500))
            schedule = resumed(schedule, total)
    return min(max(spread, 1), total - step), total, schedule


@pytest.mark.parametrize("seeds", [range(0, 100), range(100, 200), range(200, 300)], ids=str)
def test_the_rate_never_jumps_is_never_zero_before_the_last_step_and_is_then(seeds: range) -> None:
    for seed in seeds:
        walk(seed)
