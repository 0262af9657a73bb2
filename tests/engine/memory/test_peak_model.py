"""What a surface says of any micro-batch, and a calibration of any device."""

from __future__ import annotations

import pytest

from speedtui.engine.candidate import MemoryBreakdown
from speedtui.engine.memory.assemble import highest
from speedtui.engine.memory.peak_model import Calibration, LinearBytes, MemorySurface, PeakMoment, calibrate

ZERO = LinearBytes(fixed=0.0, per_row=0.0)


def moment(name: str, fixed: float, per_row: float, gradients: float = 0.0) -> PeakMoment:
    return PeakMoment(
        name=name, weights=LinearBytes(fixed=fixed, per_row=0.0), gradients=LinearBytes(fixed=gradients, per_row=0.0),
        optimizer=ZERO, activations=LinearBytes(fixed=0.0, per_row=per_row), logits=ZERO,
    )  # fmt: skip


def surface(*moments: PeakMoment, at_once: PeakMoment | None = None, single: float = 0.0) -> MemorySurface:
    alone = (moment("backward", single, 0.0),)
    return MemorySurface(
        accumulating=moments, at_once=moments if at_once is None else (at_once,), single=alone, single_at_once=alone
    )


GROWING = surface(moment("backward", 0.0, 100.0), single=100.0)


def test_the_peak_is_the_largest_moment_at_that_micro_batch() -> None:
    both = surface(moment("optimizer", 1000.0, 0.0), moment("backward", 400.0, 100.0))
    assert [both.peak_bytes(size, accumulates=True) for size in (2, 6, 8)] == [1000, 1000, 1200]


def test_one_row_has_peaks_of_its_own_since_it_has_no_padding() -> None:
    one = surface(moment("backward", 400.0, 100.0), single=450.0)
    assert one.peak_bytes(1, accumulates=True) == 450
    assert one.peak_bytes(2, accumulates=True) == 600


def test_gradients_of_an_earlier_micro_batch_are_held_only_where_a_step_accumulates() -> None:
    held = surface(moment("backward", 400.0, 100.0, gradients=300.0), at_once=moment("backward", 400.0, 100.0))
    assert held.breakdown(4, accumulates=True).gradients_bytes == 300
    assert held.breakdown(4, accumulates=False).gradients_bytes == 0
    assert held.peak_bytes(4, accumulates=True) - held.peak_bytes(4, accumulates=False) == 300


def test_a_breakdown_adds_up_to_the_peak_where_its_parts_are_fractions() -> None:
    third = LinearBytes(fixed=1 / 3, per_row=0.4)
    fractions = PeakMoment(
        name="backward", weights=third, gradients=third, optimizer=third, activations=third, logits=third
    )
    parts = surface(fractions)
    for size in range(2, 9):
        breakdown = parts.breakdown(size, accumulates=True)
        assert breakdown == MemoryBreakdown(**dict.fromkeys(breakdown.__struct_fields__, round(1 / 3 + 0.4 * size)))
        assert breakdown.total_bytes == parts.peak_bytes(size, accumulates=True)


def test_only_moments_that_are_the_peak_at_some_micro_batch_are_kept() -> None:
    given = [moment("a", 100, 0), moment("b", 60, 10), moment("c", 90, 1), moment("d", 0, 15), moment("e", 50, 10)]
    kept = highest(given)
    assert [m.name for m in kept] == ["a", "b", "d"]
    for size in range(2, 40):
        assert max(m.total.at(size) for m in kept) == max(m.total.at(size) for m in given)


def test_of_two_moments_that_are_equal_at_first_the_steeper_one_is_kept() -> None:
    assert [m.name for m in highest([moment("flat", 100, 0), moment("steep", 80, 10)])] == ["steep"]


def test_the_largest_micro_batch_divides_the_effective_batch_and_fits() -> None:
    assert GROWING.largest(24, 1236, Calibration()) == 12
    assert GROWING.largest(24, 1235, Calibration()) == 8
    assert GROWING.largest(25, 1236, Calibration()) == 5
    assert GROWING.largest(24, 102, Calibration()) is None


def test_a_device_that_needs_more_than_predicted_gets_a_smaller_micro_batch() -> None:
    assert GROWING.largest(24, 1236, Calibration(ratio=1.1)) == 8
    assert GROWING.largest(24, 1236, Calibration(gap_bytes=1)) == 8


@pytest.mark.parametrize(("free", "fits"), [(1029, False), (1030, True), (1031, True)])
def test_what_fits_leaves_the_margin_free(free: int, fits: bool) -> None:
    assert Calibration().fits(1000, free) is fits


def test_an_uncalibrated_device_is_expected_to_need_what_was_predicted() -> None:
    assert Calibration().expected_bytes(1000) == 1000
    assert Calibration().probes == 0


def test_the_largest_ratio_counts_and_what_an_allocator_reserves_is_added_after_it() -> None:
    calibration = calibrate([(100, 101), (200, 220), (300, 290)], gap_bytes=50)
    assert calibration.probes == 3
    assert calibration.expected_bytes(1000) == 1150


def test_a_calibration_without_a_usable_pair_assumes() -> None:
    assert calibrate([]) == calibrate([(0, 100)], gap_bytes=50) == Calibration()
