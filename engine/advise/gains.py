"""What trials say of one setting: pairs of them that differ in nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import msgspec

from speedtui.engine.advise.strategy import Gain
from speedtui.engine.advise.words import MICRO_BATCH
from speedtui.engine.candidate import Measurement, TrialStatus
from speedtui.engine.config.paths import value_at
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.events import DecisionMade
from speedtui.engine.state import StudyState, TrialRow

MEASURED = (TrialStatus.OK, TrialStatus.PRUNED)
"""A trial that was ended because it loses was measured all the same."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two trials that differ in one setting."""

    path: str
    before: Scalar
    after: Scalar
    without: TrialRow
    with_it: TrialRow
    gain: Gain
    in_turns: bool
    elsewhere: int
    """How many other settings of the pair are not those in use."""


class TrialTable:
    """The trials of a study with every setting that any of them moves."""

    def __init__(self, study: StudyState, settings: Settings) -> None:
        """`settings`: the study's own, which candidates differ from."""
        self.study = study
        paths = {MICRO_BATCH, *(path for row in study.rows for path in row.candidate.values)}
        self.own = {path: value_at(settings, path) for path in sorted(paths)}
        self._turns = turns_of(study)

    def values(self, row: TrialRow) -> dict[str, Scalar]:
        """Of a trial, the moved settings all together."""
        return {**self.own, **row.candidate.values}

    def measured(self) -> list[TrialRow]:
        """In the order of their numbers."""
        return [row for row in self.study.rows if measurement(row) is not None]

    def at(self, values: Mapping[str, Scalar]) -> TrialRow | None:
        """The last trial measured with these settings."""
        wanted = {path: values.get(path, own) for path, own in self.own.items()}
        return next((row for row in reversed(self.measured()) if self.values(row) == wanted), None)

    def base(self) -> TrialRow | None:
        """What all others are held against."""
        return base_of(self.study, self.own)

    def gain(self, without: TrialRow, with_it: TrialRow) -> tuple[Gain | None, bool]:
        """How much faster one is than the other, and whether that was measured in turns."""
        in_turns = self._turns.get((without.candidate.id, with_it.candidate.id))
        return (in_turns, True) if in_turns is not None else (gain_between(without, with_it), False)

    def pairs(self, in_use: Mapping[str, Scalar]) -> Iterator[Pair]:
        """Every ordered pair that differs in one setting; `in_use`: the moved settings as they are now."""
        rows = [(row, self.values(row)) for row in self.measured()]
        for without, before in rows:
            for with_it, after in rows:
                moved = [path for path in self.own if before[path] != after[path]]
                if len(moved) != 1:
                    continue
                gain, in_turns = self.gain(without, with_it)
                if gain is not None:
                    away = sum(before[path] != in_use[path] for path in self.own if path != moved[0])
                    yield Pair(path=moved[0], before=before[moved[0]], after=after[moved[0]], without=without,
                               with_it=with_it, gain=gain, in_turns=in_turns, elsewhere=away)  # fmt: skip


def measurement(row: TrialRow) -> Measurement | None:
    """What a trial measured, unless it failed."""
    return row.result.measurement if row.result is not None and row.status in MEASURED else None


def base_of(study: StudyState, own: Mapping[str, Scalar]) -> TrialRow | None:
    """The trial that all others are held against: the last one of the study's own settings, else the first measured.

    `own`: the study's settings at the paths that its candidates move. None where nothing was measured.
    """
    known = [row for row in study.rows if measurement(row) is not None]
    unmoved = [row for row in known if all(own.get(path) == value for path, value in row.candidate.values.items())]
    return next(iter([*unmoved[-1:], *known]), None)


def turns_of(study: StudyState) -> dict[tuple[int, int], Gain]:
    """What a search measured in turns, by (trial without, trial with it), each comparison both ways round."""
    return {pair: gain for told in study.decisions for pair, gain in _both_ways(told)}


def in_turns(study: StudyState, without: TrialRow, with_it: TrialRow) -> Gain | None:
    """What a search measured of these two in turns; None where it did not."""
    wanted = without.candidate.id, with_it.candidate.id
    of_both = (told for told in reversed(study.decisions) if {told.against, told.trial} == {*wanted})
    return next((gain for told in of_both for pair, gain in _both_ways(told) if pair == wanted), None)


def _both_ways(told: DecisionMade) -> Iterator[tuple[tuple[int, int], Gain]]:
    """A comparison and its reverse; nothing where no ratio was measured."""
    without, with_it, ratio = told.against, told.trial, told.ratio
    if without is None or with_it is None or not ratio:
        return
    low, high = told.ratio_low, told.ratio_high
    yield (without, with_it), Gain(ratio=ratio, low=low, high=high, before=without, after=with_it)
    yield (with_it, without), Gain(ratio=1 / ratio, low=1 / high if high else None, high=1 / low if low else None,
                                   before=with_it, after=without)  # fmt: skip


def gain_between(without: TrialRow, with_it: TrialRow) -> Gain | None:
    """Two trials measured one after the other: the two intervals are independent, so their logarithms add in squares.

    None where one of them measured nothing; without an interval where one of them has none.
    """
    before, after = measurement(without), measurement(with_it)
    if before is None or after is None or before.samples_per_second <= 0:
        return None
    ratio = after.samples_per_second / before.samples_per_second
    widths = _half_width(before), _half_width(after)
    spread = math.exp(math.hypot(*widths)) if all(widths) else None
    return Gain(ratio=ratio, low=ratio / spread if spread else None, high=ratio * spread if spread else None,
                before=without.candidate.id, after=with_it.candidate.id)  # fmt: skip


def _half_width(measured: Measurement) -> float:
    """Of the interval, on the logarithm of the step time; 0 where it is a point: too few batches to make one."""
    if not 0 < measured.step_seconds_low < measured.step_seconds_high:
        return 0.0
    return math.log(measured.step_seconds_high / measured.step_seconds_low) / 2


def peak_delta(without: TrialRow, with_it: TrialRow) -> int | None:
    """How much more memory the second one takes; None where one of them was not measured."""
    peaks = [row.result.memory.peak_bytes if row.result is not None and row.result.memory is not None else None
             for row in (without, with_it)]  # fmt: skip
    return peaks[1] - peaks[0] if peaks[0] is not None and peaks[1] is not None else None
