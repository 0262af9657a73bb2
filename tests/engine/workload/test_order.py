"""The order in which an epoch reads its rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from speedtui.engine.errors import ConfigError
from speedtui.engine.trainer.sampler import EpochSampler, row_tokens
from speedtui.engine.workload.order import MEGABATCH, epoch_order

SEED = 7


def skewed(rows: int, seed: int = 0) -> NDArray[np.int32]:
    return np.clip(np.random.default_rng(seed).lognormal(4, 0.8, rows), 3, 900).astype(np.int32)


def padding(lengths: NDArray[np.int32], order: NDArray[np.int64], micro: int) -> float:
    batches = lengths[order[: len(order) // micro * micro]].reshape(-1, micro)
    return float(1 - batches.sum() / (batches.max(axis=1).sum() * micro))


@pytest.mark.parametrize("group", [None, 1, 4, 16])
@pytest.mark.parametrize("rows", [1, 2, 5, 16, 799, 801, 4000])
def test_every_row_comes_once_in_every_epoch(rows: int, group: int | None) -> None:
    lengths = skewed(rows)
    epochs = [epoch_order(rows, lengths, seed=SEED, epoch=epoch, group=group) for epoch in range(3)]
    assert all(sorted(order.tolist()) == list(range(rows)) for order in epochs)
    if rows > 100:
        assert epochs[0].tolist() != epochs[1].tolist() != epochs[2].tolist()


@pytest.mark.parametrize("group", [None, 8])
def test_the_order_depends_on_seed_and_epoch_alone(group: int | None) -> None:
    lengths = skewed(500)
    first = epoch_order(500, lengths, seed=SEED, epoch=3, group=group)
    assert first.tolist() == epoch_order(500, lengths, seed=SEED, epoch=3, group=group).tolist()
    assert first.tolist() != epoch_order(500, lengths, seed=SEED + 1, epoch=3, group=group).tolist()


def test_grouping_takes_most_of_the_padding_away() -> None:
    lengths = skewed(10_000)
    shuffled = padding(lengths, epoch_order(10_000, lengths, seed=SEED, epoch=0, group=None), 8)
    grouped = padding(lengths, epoch_order(10_000, lengths, seed=SEED, epoch=0, group=8), 8)
    assert shuffled > 0.4
    assert grouped < shuffled / 5


def test_micro_batches_of_one_step_are_as_mixed_as_the_dataset() -> None:
    lengths = skewed(8 * MEGABATCH * 20)
    order = epoch_order(len(lengths), lengths, seed=SEED, epoch=1, group=8)
    means = lengths[order].reshape(-1, 8).mean(axis=1)
    steps = means.reshape(-1, 10)  # ten micro-batches an optimizer step
    # were they random draws, a step's mean would vary by sqrt(10) less than a micro-batch's
    assert means.std() / steps.mean(axis=1).std() == pytest.approx(10**0.5, rel=0.35)
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.1
    within = [np.corrcoef(np.arange(MEGABATCH), part)[0, 1] for part in means.reshape(-1, MEGABATCH)]
    assert abs(np.mean(within)) < 0.15


@pytest.mark.parametrize("rows", [8, 9, 15, 803])
def test_the_longest_row_is_in_the_very_first_micro_batch(rows: int) -> None:
    for seed in range(12):
        lengths = skewed(rows, seed)
        order = epoch_order(rows, lengths, seed=seed, epoch=0, group=8)
        assert int(lengths.argmax()) in order[:8]


def test_later_epochs_do_not_begin_with_the_longest_row() -> None:
    lengths = skewed(800)
    longest = int(lengths.argmax())
    assert not all(longest in epoch_order(800, lengths, seed=SEED, epoch=e, group=8)[:8] for e in range(1, 6))


def test_rows_left_over_are_not_always_the_shortest() -> None:
    lengths = np.arange(1, 404, dtype=np.int32)
    left = [epoch_order(403, lengths, seed=SEED, epoch=e, group=8)[-3:] for e in range(20)]
    assert lengths[np.concatenate(left)].mean() > 100


def test_rows_of_one_length_are_only_shuffled() -> None:
    lengths = np.full(100, 9, dtype=np.int32)
    order = epoch_order(100, lengths, seed=SEED, epoch=0, group=8)
    assert sorted(order.tolist()) == list(range(100)) != order.tolist()


def test_grouping_without_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="lengths unknown"):
        epoch_order(4, None, seed=SEED, epoch=0, group=2)
    with pytest.raises(ValueError, match="group 0"):
        epoch_order(4, skewed(4), seed=SEED, epoch=0, group=0)


def test_the_sampler_follows_its_epoch() -> None:
    sampler = EpochSampler(50, skewed(50), seed=SEED, group=4)
    assert len(sampler) == 50
    for epoch in (0, 3, 1):
        sampler.set_epoch(epoch)
        assert list(sampler) == epoch_order(50, skewed(50), seed=SEED, epoch=epoch, group=4).tolist()


def test_a_dataset_without_lengths_cannot_be_grouped() -> None:
    with pytest.raises(ConfigError, match=r"train\.group_by_length needs the lengths"):
        row_tokens([1, 2, 3])
