"""The micro-batches of a whole run, added up."""

from __future__ import annotations

import math
import time

import msgspec
import numpy as np
import pytest

from speedtui.engine.candidate import Curve
from speedtui.engine.config.settings import DataSettings, Settings, TrainSettings
from speedtui.engine.schedule.steps import count_steps
from speedtui.engine.timing import run_shape as shapes
from speedtui.engine.timing.run_shape import RunShape
from speedtui.engine.timing.workload_shape import grouping_saving, packing_saving, shape_of
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.order import epoch_order
from tests.engine.timing.workloads import skewed, workload_of

CURVE = Curve(
    fixed=0.003, per_token=2e-5, per_square=3e-8, optimizer_seconds=0.01, spread=0.05, uncertainty=0.02
)  # fmt: skip


def steps_per_epoch(settings: Settings, rows: int) -> int:
    """As transformers counts them: a last step with fewer micro-batches is a step."""
    micro = settings.train.micro_batch_size
    return max(math.ceil(math.ceil(rows / micro) / (settings.train.effective_batch_size // micro)), 1)


def training_steps(settings: Settings, rows: int) -> int:
    """Of all epochs."""
    return settings.train.max_steps or math.ceil(settings.train.epochs * steps_per_epoch(settings, rows))


def settings_of(**train: object) -> Settings:
    changes = {"effective_batch_size": 8, "micro_batch_size": 2, "epochs": 1.0, **train}
    return Settings(
        train=msgspec.convert(changes, TrainSettings), data=DataSettings(max_length=512)
    )  # fmt: skip


def one_by_one(workload: Workload, settings: Settings) -> tuple[float, float, int]:
    """(seconds, sum of squared micro-step seconds, micro-steps), counted as the trainer goes through it."""
    train, rows = settings.train, len(workload.train_dataset)
    group = train.micro_batch_size if train.group_by_length else None
    lengths = workload.row_tokens
    assert lengths is not None
    left, accumulation = training_steps(settings, rows), train.effective_batch_size // train.micro_batch_size
    seconds: list[float] = []
    steps, epoch = 0, 0
    while left:
        order = epoch_order(rows, lengths, seed=train.seed, epoch=epoch, group=group)
        batches = [order[i : i + train.micro_batch_size] for i in range(0, rows, train.micro_batch_size)]
        for first in range(0, len(batches), accumulation):
            if not left:
                break
            for batch in batches[first : first + accumulation]:
                padded = workload.padded_tokens(batch[None, :])[0] / len(batch)
                seconds.append(CURVE.seconds(len(batch), padded))
            steps, left = steps + 1, left - 1
        epoch += 1
    total = math.fsum(seconds) + steps * CURVE.optimizer_seconds
    return total, math.fsum(s**2 for s in seconds), len(seconds)


@pytest.mark.parametrize("rows", [1, 7, 64, 101])
@pytest.mark.parametrize("train", [
    {"epochs": 1.0}, {"epochs": 2.5}, {"max_steps": 5}, {"max_steps": 40}, {"group_by_length": True, "epochs": 3.0},
    {"micro_batch_size": 8}, {"micro_batch_size": 1, "epochs": 1.3},
])  # fmt: skip
def test_the_sum_over_a_run_is_that_of_its_micro_batches_one_by_one(rows: int, train: dict[str, object]) -> None:
    workload, settings = workload_of(skewed(rows)), settings_of(**train)
    shape = shape_of(workload, settings)
    seconds, squares, micro_steps = one_by_one(workload, settings)
    assert shape.seconds(CURVE) == pytest.approx(seconds, rel=1e-9)
    assert shape.deviation(CURVE) == pytest.approx(CURVE.spread * math.sqrt(squares), rel=1e-9)
    assert shape.micro_steps == micro_steps
    assert shape.total_steps == training_steps(settings, rows)
    assert shape.epoch_steps == steps_per_epoch(settings, rows)


def test_source_and_target_are_padded_apart() -> None:
    sources, targets = skewed(50, 1), skewed(50, 2)
    workload, settings = workload_of(sources, targets=targets), settings_of(epochs=2.0)
    assert shape_of(workload, settings).seconds(CURVE) == pytest.approx(one_by_one(workload, settings)[0])


def test_a_ragged_end_counts_its_own_rows() -> None:
    shape = shape_of(workload_of([10, 10, 10, 10, 10]), settings_of(effective_batch_size=4, epochs=2.0))
    assert (shape.samples, shape.micro_steps, shape.total_steps, shape.padded_tokens) == (10, 6, 4, 100)
    assert shape.padding_fraction == 0


def test_all_lengths_equal_have_no_padding() -> None:
    workload, settings = workload_of([64] * 40), settings_of()
    assert shape_of(workload, settings).padding_fraction == 0
    saving = grouping_saving(CURVE, workload, settings)
    assert saving is not None and saving.seconds == pytest.approx(0)


def test_a_recipe_has_steps_and_no_lengths() -> None:
    workload, settings = workload_of(range(10, 40), known=False), settings_of(epochs=2.0)
    shape = shape_of(workload, settings)
    assert shape.sums == (30, 0, 0)
    assert shape.seconds(CURVE) == pytest.approx(30 * CURVE.fixed + 8 * CURVE.optimizer_seconds)
    assert grouping_saving(CURVE, workload, settings) is None
    assert packing_saving(CURVE, workload, settings) is None


def test_later_epochs_of_a_long_run_are_taken_to_be_like_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    workload, settings = workload_of(skewed(3000)), settings_of(epochs=5.5)
    exact = shape_of(workload, settings)
    monkeypatch.setattr(shapes, "MOST_ROWS", 3000)
    short = shape_of(workload, settings)
    assert short.seconds(CURVE) == pytest.approx(exact.seconds(CURVE), rel=0.01)
    assert (short.micro_steps, short.samples) == (exact.micro_steps, exact.samples)


def test_a_million_rows_are_summed_at_a_few_times_what_ordering_them_takes() -> None:
    lengths = skewed(1_000_000)
    workload, settings = workload_of(lengths), settings_of(epochs=3.0)
    began = time.perf_counter()
    for epoch in range(3):
        epoch_order(len(lengths), lengths, seed=1, epoch=epoch, group=None)
    ordering = time.perf_counter() - began
    began = time.perf_counter()
    shape = shape_of(workload, settings)
    assert shape.micro_steps == 1_500_000
    assert time.perf_counter() - began < 20 * ordering


def test_grouping_saves_padding_and_time_on_skewed_lengths() -> None:
    workload, settings = workload_of(skewed(512)), settings_of(micro_batch_size=4)
    saving = grouping_saving(CURVE, workload, settings)
    assert saving is not None
    assert 0.1 < saving.share < 0.7
    assert saving.padding_after < saving.padding_before / 3
    before = shape_of(workload, settings).seconds(CURVE)
    after = shape_of(workload, settings_of(micro_batch_size=4, group_by_length=True)).seconds(CURVE)
    assert saving.seconds == pytest.approx(before - after)
    assert grouping_saving(CURVE, workload, settings_of(group_by_length=True)) is None


def test_packing_saves_where_padding_costs_and_not_where_attention_does() -> None:
    workload, settings = workload_of(skewed(512)), settings_of(micro_batch_size=4)
    by_token = msgspec.structs.replace(CURVE, fixed=0.0, per_square=0.0)
    by_square = msgspec.structs.replace(CURVE, fixed=0.0, per_token=0.0, optimizer_seconds=0.0)
    cheap, dear = packing_saving(by_token, workload, settings), packing_saving(by_square, workload, settings)
    assert cheap is not None and cheap.seconds > 0 and cheap.padding_after < cheap.padding_before
    assert dear is not None and dear.seconds < cheap.seconds


def test_packing_keeps_about_as_many_samples_in_a_step() -> None:
    workload = workload_of(skewed(4000))
    settings = settings_of(micro_batch_size=8, effective_batch_size=64, epochs=2.0)
    saving = packing_saving(CURVE, workload, settings)
    assert saving is not None
    packs = int(saving.values["train.effective_batch_size"])
    samples_a_pack = float(saving.note.partition(" ")[0])
    assert packs * samples_a_pack == pytest.approx(64, rel=0.25)
    assert packs % int(saving.values["train.micro_batch_size"]) == 0


def test_a_count_of_steps_is_the_trainers() -> None:
    for rows, micro, effective, epochs in ((1, 4, 8, 1.0), (17, 2, 8, 2.5), (960, 2, 16, 3.0), (100, 3, 9, 0.1)):
        settings = settings_of(micro_batch_size=micro, effective_batch_size=effective, epochs=epochs)
        counts = count_steps(rows, micro, effective, epochs=epochs, max_steps=None)
        assert counts.epoch_steps == steps_per_epoch(settings, rows)
        assert counts.total_steps == training_steps(settings, rows)


def test_a_shape_is_plain_data() -> None:
    shape = shape_of(workload_of(skewed(30)), settings_of())
    assert msgspec.json.decode(msgspec.json.encode(shape), type=RunShape) == shape


def test_a_last_epoch_that_is_cut_short_counts_its_own_order() -> None:
    lengths = np.array([500] * 4 + [10] * 60, dtype=np.int32)
    shape = shape_of(workload_of(lengths), settings_of(max_steps=1))
    order = epoch_order(64, None, seed=settings_of().train.seed, epoch=0, group=None)
    assert shape.tokens == lengths[order[:8]].sum()
