"""What was measured together: configurations that hold one change more than the one before them.

No gains are multiplied: what one change gains may depend on another one, so each figure is of a trial that had them
all.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from speedtui.engine.advise.gains import TrialTable, measurement
from speedtui.engine.advise.strategy import Gain, risk_of, short_changes
from speedtui.engine.config.settings import Scalar
from speedtui.engine.state import TrialRow

LEAVES_NUMBERS = ("none", "memory")
"""Risks of changes that leave what is learned alone."""


class Stacked(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration of the stack."""

    added: tuple[str, ...]
    """What it has besides the one before; empty for the first."""
    trial: int
    label: str
    values: dict[str, Scalar]
    """Every setting that trials of the study move."""
    step_seconds: float
    gain: Gain | None
    """Beside the first configuration of the stack; None for that one."""
    in_turns: Gain | None = None
    """Beside the one before it, where the two were measured in turns."""
    in_use: bool = False
    cautious: bool = True
    """All that it adds leaves the numbers and the order of the samples alone."""


def stack_of(table: TrialTable, in_use: dict[str, Scalar]) -> list[Stacked]:
    """From the base to the best configuration, a change at a time where that was measured.

    A search's own decisions say the way; without them, trials that hold more and more of the fastest one's changes.
    Empty where fewer than two were measured.
    """
    rows, base = _decided(table) or _nested(table), table.base()
    if rows and base is not None and base not in rows:
        rows.insert(0, base)
    if len(rows) < 2:
        return []
    return [_stacked(table, rows, i, in_use) for i in range(len(rows))]


def _decided(table: TrialTable) -> list[TrialRow]:
    """The configurations that a search kept one after the other, each measured in turns with the one before it."""
    kept = [d for d in table.study.decisions if d.kind == "keep" and d.against is not None and d.trial is not None]
    ids = [d.against for d in kept[:1]] + [d.trial for d in kept]
    rows = [table.study.row(trial) if trial is not None else None for trial in ids]
    return [row for row in rows if row is not None and measurement(row) is not None]


def _nested(table: TrialTable) -> list[TrialRow]:
    """Trials from the study's own settings on whose changes are all among the best one's, each faster than the last."""
    best = table.study.row(table.study.best) if table.study.best is not None else None
    base = table.at(table.own)
    if best is None or base is None or measurement(best) is None:
        return []
    goal = table.values(best)
    rows = [row for row in table.measured() if _within(table, row, goal)]
    rows.sort(key=lambda row: (_moved(table, row), _speed(row)))
    chain = [base]
    for row in rows:
        if _moved(table, row) > _moved(table, chain[-1]) and _within(table, chain[-1], table.values(row)):
            chain.append(row)
    return chain


def _within(table: TrialTable, row: TrialRow, goal: dict[str, Scalar]) -> bool:
    """Whether every setting of a trial is the study's own or the goal's."""
    return all(value in (table.own[path], goal[path]) for path, value in table.values(row).items())


def _moved(table: TrialTable, row: TrialRow) -> int:
    return sum(value != table.own[path] for path, value in table.values(row).items())


def _speed(row: TrialRow) -> float:
    measured = measurement(row)
    return measured.samples_per_second if measured is not None else 0.0


def _stacked(table: TrialTable, rows: Sequence[TrialRow], at: int, in_use: dict[str, Scalar]) -> Stacked:
    row, before = rows[at], rows[at - 1] if at else None
    values, first = table.values(row), table.values(rows[0])
    measured = measurement(row)
    assert measured is not None  # only such trials are stacked
    last = table.values(before) if before is not None else values
    paired, in_turns = table.gain(before, row) if before is not None else (None, False)
    return Stacked(
        added=tuple(short_changes({path: value for path, value in values.items() if value != last[path]})),
        trial=row.candidate.id,
        label=row.candidate.label,
        values=values,
        step_seconds=measured.step_seconds,
        gain=table.gain(rows[0], row)[0] if at else None,
        in_turns=paired if in_turns else None,
        in_use=values == in_use,
        cautious=all(
            risk_of(path, first[path], value) in LEAVES_NUMBERS
            for path, value in values.items()
            if value != first[path]
        ),
    )
