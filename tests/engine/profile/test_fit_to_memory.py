from __future__ import annotations

import pytest

from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Settings
from speedtui.engine.plan_types import Change
from speedtui.engine.profile.fit import fit_to_memory
from tests.engine.profile.synthetic_run import SETTINGS, Run

RUN = Run()
"""With 4 rows of 1,000 tokens: 5,000 bytes, 1,800 with checkpointing."""
MICRO, CHECKPOINTING, LENGTH = "train.micro_batch_size", "train.gradient_checkpointing", "data.max_length"


def paths(changes: list[Change]) -> list[str]:
    return [change.path for change in changes]


def test_what_fits_is_left_as_it_is() -> None:
    adjusted = fit_to_memory(SETTINGS, RUN.memory_with(5000), RUN.facts)
    assert (adjusted.settings, adjusted.changes, adjusted.fits) == (SETTINGS, [], True)


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        (4999, {CHECKPOINTING: True}),
        (1800, {CHECKPOINTING: True}),
        (1799, {CHECKPOINTING: True, MICRO: 2}),
        (1399, {CHECKPOINTING: True, MICRO: 1}),
        (1199, {CHECKPOINTING: True, MICRO: 1, LENGTH: 990}),
        (1160, {CHECKPOINTING: True, MICRO: 1, LENGTH: 800}),
    ],
)
def test_memory_is_saved_in_the_order_of_what_it_costs(limit: int, wanted: dict[str, object]) -> None:
    memory = RUN.memory_with(limit)
    adjusted = fit_to_memory(SETTINGS, memory, RUN.facts)
    assert adjusted.fits
    assert {c.path: c.after for c in adjusted.changes} == wanted
    assert memory(adjusted.settings)[0] <= limit
    assert sum(c.saves_bytes or 0 for c in adjusted.changes) == 5000 - memory(adjusted.settings)[0]
    assert adjusted.settings.train.effective_batch_size == 16
    assert adjusted.settings.train.lora == SETTINGS.train.lora


def test_cut_rows_are_counted() -> None:
    adjusted = fit_to_memory(SETTINGS, RUN.memory_with(1160), RUN.facts)
    assert [c.gives_up for c in adjusted.changes] == ["", "", "the ends of 320 of 1,600 rows"]


def test_no_more_than_half_of_the_rows_are_cut() -> None:
    adjusted = fit_to_memory(SETTINGS, RUN.memory_with(1099), RUN.facts)
    assert (adjusted.fits, adjusted.changes, adjusted.settings) == (False, [], SETTINGS)
    assert adjusted.note == "the least it takes, what is kept free included, is 1.1 KiB of 1.1 KiB"


def test_unknown_lengths_are_not_cut() -> None:
    assert fit_to_memory(SETTINGS, RUN.memory_with(1199)).fits is False


def test_with_an_estimate_the_faster_of_checkpointing_and_smaller_micro_batches_is_taken() -> None:
    memory = RUN.memory_with(3000)  # 2 rows fit without checkpointing, 4 with it
    quick_micro_steps, slow_micro_steps = Run(seconds_per_micro_step=0.1), Run(seconds_per_micro_step=100)
    smaller = fit_to_memory(SETTINGS, memory, RUN.facts, quick_micro_steps.estimate)
    assert {c.path: c.after for c in smaller.changes} == {MICRO: 2}
    again = fit_to_memory(SETTINGS, memory, RUN.facts, slow_micro_steps.estimate)
    assert paths(again.changes) == [CHECKPOINTING]
    for adjusted in (smaller, again):
        assert adjusted.changes[0].saves_seconds is not None and adjusted.changes[0].saves_seconds < 0


def test_a_smaller_micro_batch_is_preferred_to_cutting_samples_however_slow() -> None:
    slow = Run(seconds_per_micro_step=100)
    adjusted = fit_to_memory(SETTINGS, RUN.memory_with(1200), RUN.facts, slow.estimate)
    assert LENGTH not in paths(adjusted.changes)
    assert adjusted.settings.train.micro_batch_size == 1


def test_a_recipe_gets_a_smaller_micro_batch_only() -> None:
    recipe = with_values(SETTINGS, {"model.kind": "python"}, "here")
    adjusted = fit_to_memory(recipe, RUN.memory_with(2500), RUN.facts)
    assert {c.path: c.after for c in adjusted.changes} == {MICRO: 1}
    assert fit_to_memory(recipe, RUN.memory_with(1500), RUN.facts).fits is False


def test_the_micro_batch_always_divides_the_effective_batch() -> None:
    odd = with_values(SETTINGS, {"train.effective_batch_size": 30, MICRO: 15}, "here")
    for limit in range(1250, 16000, 250):
        adjusted = fit_to_memory(odd, RUN.memory_with(limit), RUN.facts)
        assert adjusted.fits
        assert 30 % adjusted.settings.train.micro_batch_size == 0


def test_an_unknown_peak_changes_nothing() -> None:
    def unknown(settings: Settings) -> tuple[int, int] | None:
        return None

    adjusted = fit_to_memory(SETTINGS, unknown, RUN.facts, RUN.estimate)
    assert (adjusted.fits, adjusted.changes) == (None, [])
    assert adjusted.estimate == RUN.estimate(SETTINGS)
