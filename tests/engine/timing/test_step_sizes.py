"""The padded tokens of every step, against the micro-batches one by one."""

from __future__ import annotations

import numpy as np
import pytest

from speedtui.engine.config.settings import Settings, TrainSettings
from speedtui.engine.schedule.steps import counts_of
from speedtui.engine.timing.step_sizes import step_sizes
from speedtui.engine.timing.track import StepSizes
from speedtui.engine.timing.workload_shape import shape_of
from speedtui.engine.workload.order import epoch_order
from tests.engine.timing.workloads import skewed, workload_of


def settings(
    micro: int, effective: int, *, epochs: float = 2.0, steps: int | None = None, group: bool = False
) -> Settings:
    train = TrainSettings(
        micro_batch_size=micro, effective_batch_size=effective, epochs=epochs, max_steps=steps, group_by_length=group
    )
    return Settings(train=train)


def one_by_one(lengths: np.ndarray, asked: Settings) -> list[float]:
    """As the trainer goes: micro-batches of an epoch in order, so many of them a step, the last step with the rest."""
    train, total = asked.train, counts_of(asked, len(lengths)).total_steps
    accumulation = train.effective_batch_size // train.micro_batch_size
    steps: list[float] = []
    for epoch in range(100):
        order = epoch_order(
            len(lengths), lengths, seed=train.seed, epoch=epoch,
            group=train.micro_batch_size if train.group_by_length else None,
        )  # fmt: skip
        padded = [
            float(lengths[order[i : i + train.micro_batch_size]].max() * len(order[i : i + train.micro_batch_size]))
            for i in range(0, len(order), train.micro_batch_size)
        ]
        steps += [sum(padded[i : i + accumulation]) for i in range(0, len(padded), accumulation)]
        if len(steps) >= total:
            return steps[:total]
    raise AssertionError("more than a hundred epochs")


@pytest.mark.parametrize(
    "asked",
    [
        settings(4, 16), settings(4, 16, epochs=2.3), settings(3, 12, group=True), settings(1, 1), settings(16, 16),
        settings(4, 8, steps=7), settings(4, 8, steps=200), settings(64, 128),
    ],
)  # fmt: skip
def test_each_step_is_as_long_as_its_micro_batches(asked: Settings) -> None:
    lengths = skewed(103)
    found = step_sizes(workload_of(lengths), asked)
    assert found is not None
    assert found.tolist() == one_by_one(lengths, asked)


def test_together_they_are_the_tokens_of_the_run() -> None:
    asked, workload = settings(4, 16, epochs=1.0), workload_of(skewed(500))
    found = step_sizes(workload, asked)
    assert found is not None
    assert found.sum() == pytest.approx(shape_of(workload, asked).padded_tokens)


def test_a_recipes_samples_have_no_known_lengths() -> None:
    assert step_sizes(workload_of(skewed(50), known=False), settings(4, 16)) is None


def test_any_stretch_of_them_is_added_up_and_goes_on_beyond_the_end_as_before() -> None:
    sizes = StepSizes(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (sizes.between(0, 4), sizes.between(1, 3), sizes.between(3, 3)) == (10.0, 5.0, 0.0)
    assert sizes.between(2, 6) == pytest.approx(7.0 + 2 * 2.5)
    assert StepSizes(None).between(0, 4) == 0.0
