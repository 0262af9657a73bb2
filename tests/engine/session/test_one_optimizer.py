"""Never two optimizers in memory while a training goes on with other settings."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from speedtui.engine.commands import Set
from tests.engine.session.conftest import Starter


@pytest.fixture
def beside() -> Iterator[list[int]]:
    """At each step, how many other optimizers that have a state are alive."""
    alive: weakref.WeakSet[Optimizer] = weakref.WeakSet()
    found: list[int] = []

    def look(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        alive.add(optimizer)
        found.append(sum(bool(other.state) for other in alive if other is not optimizer))

    hook = register_optimizer_step_pre_hook(look)
    yield found
    hook.remove()


def test_another_micro_batch_finds_the_room_of_the_optimizer_before(start: Starter, beside: list[int]) -> None:
    driven = start.training(in_thread=True, values={"train.max_steps": 60, "schedule.eval_every": "never"})
    driven.until(lambda run: run.training is not None and run.training.step >= 3)
    driven.session.send(Set(values={"train.micro_batch_size": 4}))
    state = driven.end()
    assert state.training is not None
    assert state.training.micro_batch_size == 4
    assert len(beside) == 60
    assert set(beside) == {0}
