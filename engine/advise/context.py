"""What the strategies are worked out from: a run in front, its study, and the settings in use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from speedtui.engine.advise.gains import TrialTable, measurement
from speedtui.engine.advise.words import MICRO_BATCH
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.paths import value_at
from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.config.same_steps import same_steps
from speedtui.engine.config.settings import Scalar
from speedtui.engine.plan_types import Plan
from speedtui.engine.state import RunState, TrialRow

WHERE = "the run's configuration"
"""Opens the messages of the configuration's own checks."""


class AdviceContext:
    """Reads two states; nothing in it changes."""

    def __init__(self, front: RunState, study: RunState) -> None:
        """`front`: the run in front; `study`: the one whose trials there are, the same where it has them itself.

        Raises:
            ConfigError: another version of speedtui wrote a configuration.
        """
        self.front, self.study = front, study
        self.own = recorded_settings(study.config or front.config, WHERE)
        """What candidates differ from."""
        self.settings = recorded_settings(front.config, WHERE, front.laid_over)
        rows = study.study.rows if study.study is not None else ()
        self.table = TrialTable(study.study, self.own) if study.study is not None and rows else None
        self.moved: dict[str, Scalar] = self.values_of(self.table.own) if self.table is not None else {}
        """The settings that trials move, as they are in use."""
        self.present = self.table.at(self.moved) if self.table is not None else None
        """The trial that measured what is in use."""
        self.pairs = list(self.table.pairs(self.moved)) if self.table is not None else []
        self.steps, self.step_seconds = self._run_length()

    def values_of(self, paths: Iterable[str]) -> dict[str, Any]:
        """These settings as they are in use."""
        return {path: value_at(self.settings, path) for path in paths}

    def saved(self, ratio: float, *, applied: bool) -> float | None:
        """Seconds that a whole run takes less with a change than without; None where its length is not known."""
        if self.steps is None or self.step_seconds is None:
            return None
        return self.steps * self.step_seconds * (ratio - 1 if applied else 1 - 1 / ratio)

    def one_away(self) -> Iterator[tuple[TrialRow, str]]:
        """Candidates that differ from what is in use in one setting, with that setting; by micro-batch."""
        if self.table is None:
            return
        rows = sorted(self.table.study.rows, key=lambda row: (row.candidate.micro_batch_size, row.candidate.id))
        for row in rows:
            moved = [path for path, value in self.table.values(row).items() if value != self.moved[path]]
            if len(moved) == 1:
                yield row, moved[0]

    def failed(self) -> dict[str, TrialRow]:
        """Of those the ones that ended without a measurement, by setting; the smallest of several micro-batches."""
        return self._first_by_setting(lambda row: row.status.finished and measurement(row) is None)

    def waiting(self) -> dict[str, TrialRow]:
        """Of those the ones whose result is still to come, by setting; the smallest of several micro-batches."""
        return self._first_by_setting(lambda row: not row.status.finished and row.status is not TrialStatus.NOT_RUN)

    def _first_by_setting(self, wanted: Callable[[TrialRow], bool]) -> dict[str, TrialRow]:
        found: dict[str, TrialRow] = {}
        for row, path in self.one_away():
            if wanted(row):
                found.setdefault(path, row)
        return found

    def predicted(self) -> dict[int, tuple[int | None, int | None]]:
        """(peak, limit) in bytes that were predicted by micro-batch, everything else as it is in use."""
        limit = self.study.study.memory_limit_bytes if self.study.study is not None else None
        return {row.candidate.micro_batch_size: (row.predicted_bytes, limit)
                for row, path in self.one_away() if path == MICRO_BATCH}  # fmt: skip

    def plan(self) -> Plan | None:
        """The plan of the steps that are in use; what it computed of others holds for those alone."""
        run = self.front if self.front.plan is not None else self.study
        row = run.plan.row if run.plan is not None else None
        if row is None:
            return None
        planned = recorded_settings(run.config, WHERE, row.values)
        return run.plan if same_steps(planned, self.settings) else None

    def step(self) -> tuple[Mapping[str, float], float | None]:
        """Seconds of a step by phase, and the padding: of the steps that run or ran, else of the trial of them."""
        live = self.front.training.steps if self.front.training is not None else None
        if live is not None and live.count:
            return live.phases, live.padding_fraction
        measured = measurement(self.present) if self.present is not None else None
        return (measured.phases, measured.padding_fraction) if measured is not None else ({}, None)

    def _run_length(self) -> tuple[int | None, float | None]:
        """Optimizer steps of a whole run, and seconds of one now; None where that is not known."""
        training = self.front.training
        measured = measurement(self.present) if self.present is not None else None
        seconds = measured.step_seconds if measured is not None else None
        if training is not None:
            return training.total_steps, training.step_totals.mean_seconds or seconds
        return self._estimated_steps(), seconds

    def _estimated_steps(self) -> int | None:
        """By the trials' estimates, else by the plan's."""
        rows = self.study.study.rows if self.study.study is not None else ()
        estimates = [row.result.estimate for row in rows if row.result is not None]
        planned = self.front.plan.row if self.front.plan is not None else None
        estimates.append(planned.estimate if planned is not None else None)
        return next((estimate.total_steps for estimate in estimates if estimate is not None), None)
