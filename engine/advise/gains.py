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


class Table:
    """The trials of a study with every setting that any of them moves."""

    def __init__(self, study: StudyState, settings: Settings) -> None:
        """`settings`: the study's own, which candidates differ from."""
        self.study = study
        paths = {MICRO_BATCH, *(path for row in study.rows for path in row.candidate.values)}
        self.own = {path: value_at(settings, path) for path in sorted(paths)}
        self._turns = {(d.against, d.trial): d for d in study.decisions if d.ratio is not None}

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

    def gain(self, without: TrialRow, with_it: TrialRow) -> tuple[Gain | None, bool]:
        """How much faster one is than the other, and whether that was measured in turns."""
        ids = without.candidate.id, with_it.candidate.id
        decision = self._turns.get(ids)
        if decision is not None and decision.ratio is not None:
            return Gain(ratio=decision.ratio, low=decision.ratio_low, high=decision.ratio_high, before=ids[0],
                        after=ids[1]), True  # fmt: skip
        return gain_between(without, with_it), False

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


def gain_between(without: TrialRow, with_it: TrialRow) -> Gain | None:
    """Two trials measured one after the other: the two intervals are independent, so their logarithms add in squares.

    None where one of them measured nothing.
    """
    before, after = measurement(without), measurement(with_it)
    if before is None or after is None or before.samples_per_second <= 0:
        return None
    ratio = after.samples_per_second / before.samples_per_second
    half = math.hypot(_half_width(before), _half_width(after))
    return Gain(ratio=ratio, low=ratio * math.exp(-half), high=ratio * math.exp(half),
                before=without.candidate.id, after=with_it.candidate.id)  # fmt: skip


def _half_width(measured: Measurement) -> float:
    """Of the interval, on the logarithm of the step time."""
    return math.log(measured.step_seconds_high / measured.step_seconds_low) / 2


def peak_delta(without: TrialRow, with_it: TrialRow) -> int | None:
    """How much more memory the second one takes; None where one of them was not measured."""
    peaks = [row.result.memory.peak_bytes if row.result is not None and row.result.memory is not None else None
             for row in (without, with_it)]  # fmt: skip
    return peaks[1] - peaks[0] if peaks[0] is not None and peaks[1] is not None else None
