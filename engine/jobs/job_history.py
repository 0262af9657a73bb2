"""What a job tells the history and asks of it; a history that cannot be used is one notice and never a failure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from speedtui.engine.candidate import Candidate, TrialResult, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.history.history import History
from speedtui.engine.history.keys import (
    evaluating_settings,
    key_of_settings,
    model_name,
    settings_key,
    shape_key,
    telling_settings,
    versions_key,
)
from speedtui.engine.history.records import PastEvaluation, PastMeasurement, PastOutcome
from speedtui.engine.memory.peak_model import Calibration, calibrate
from speedtui.engine.schedule.costs import RunCosts


class JobHistory:
    """One job's way to the history; it is opened when it is needed and closed again."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._told = False

    def calibration(self) -> Calibration | None:
        """How this model's real peaks compared with predicted ones on this device; None where none are known."""
        with self._opened() as history:
            peaks = history.calibration(self._device, self._versions, model_name(self._context.settings))
        if not peaks:
            return None
        pairs = [(peak.predicted_bytes, peak.measured_bytes) for peak in peaks]
        return calibrate(pairs, max(peak.gap_bytes for peak in peaks))

    def measurement(self, settings: Settings, parameters: int | None, profile: str) -> PastMeasurement | None:
        """The newest one of exactly these settings, else the newest of the profile or of the model at all."""
        model = shape_key(settings, parameters)
        with self._opened() as history:
            found = history.latest_measurement(self._device, model, settings_key(settings))
            found = found or history.nearest_throughput(self._device, model, profile)
        return found

    def trial(
        self, candidate: Candidate, settings: Settings, result: TrialResult, *, profile: str = "",
        costs: RunCosts | None = None, predicted_bytes: int | None = None,
    ) -> None:  # fmt: skip
        """Keeps what an ok trial measured; `predicted_bytes`: before calibration."""
        loaded, measured, memory = self._context.loaded, result.measurement, result.memory
        if result.status is not TrialStatus.OK or measured is None or loaded is None:
            return
        allocated = memory.peak_allocated_bytes if memory is not None else None
        reserved = memory.peak_reserved_bytes if memory is not None else None
        record = PastMeasurement(
            at=time.time(),
            device=self._device,
            model=shape_key(settings, loaded.parameters),
            versions=self._versions,
            profile=profile or candidate.label,
            settings=telling_settings(settings),
            grad_accum_steps=candidate.grad_accum_steps,
            tokens_per_second=measured.tokens_per_second,
            samples_per_second=measured.samples_per_second,
            step_seconds=measured.step_seconds,
            curve=result.curve,
            peak_bytes=reserved if reserved is not None else allocated,
            predicted_bytes=predicted_bytes,
            gap_bytes=reserved - allocated if reserved is not None and allocated is not None else 0,
            eval_seconds_per_row=_per(costs.eval_seconds if costs is not None else None, loaded.eval_rows),
            save_seconds=costs.save_seconds if costs is not None else None,
            final_seconds=costs.final_seconds if costs is not None else None,
            load_seconds=costs.load_seconds if costs is not None else None,
        )
        with self._opened() as history:
            history.record_measurement(record)

    def evaluations(self, settings: Settings, costs: RunCosts, *, count: int, at_a_time: int) -> None:
        """Keeps what an evaluation takes. `count`: full ones of a run that it is the mean of, 0 for a trial's figures;
        `at_a_time`: rows that are answered together."""
        loaded = self._context.loaded
        if loaded is None or not loaded.eval_rows or costs.eval_seconds is None:
            return
        record = PastEvaluation(
            at=time.time(),
            run=self._context.folder.id,
            device=self._device,
            model=shape_key(settings, loaded.parameters),
            versions=self._versions,
            settings=evaluating_settings(settings),
            rows=loaded.eval_rows,
            at_a_time=at_a_time,
            evaluations=count,
            eval_seconds=costs.eval_seconds,
            generate_seconds=costs.generate_seconds,
            metric_seconds=costs.metric_seconds,
        )
        with self._opened() as history:
            history.record_evaluation(record)

    def past_evaluation(self, settings: Settings, parameters: int | None, at_a_time: int) -> PastEvaluation | None:
        """The newest of a run that evaluated with these settings and versions, else of a trial."""
        key = key_of_settings(evaluating_settings(settings))
        with self._opened() as history:
            found = history.latest_evaluation(
                self._device, shape_key(settings, parameters), key, versions=self._versions, at_a_time=at_a_time
            )
        return found

    def outcome(self, settings: Settings, p50_seconds: float, p90_seconds: float | None, actual_seconds: float) -> None:
        """Keeps what a run took beside what was expected of it."""
        loaded = self._context.loaded
        record = PastOutcome(
            at=time.time(),
            run=self._context.folder.id,
            device=self._device,
            model=shape_key(settings, loaded.parameters if loaded is not None else None),
            estimated_p50_seconds=p50_seconds,
            estimated_p90_seconds=p90_seconds,
            actual_seconds=actual_seconds,
        )
        with self._opened() as history:
            history.record_outcome(record)

    @property
    def _device(self) -> str:
        return self._context.devices[0].name if self._context.devices else "unknown"

    @property
    def _versions(self) -> str:
        return versions_key(self._context.versions)

    @contextmanager
    def _opened(self) -> Iterator[History]:
        """For one use; what is the matter with it is told once."""
        with History.open() as history:
            yield history
        if history.problem is not None and not self._told:
            self._told = True
            self._context.notice(history.problem, level="warning", hint=history.hint)


def _per(seconds: float | None, amount: float) -> float | None:
    return seconds / amount if seconds is not None and amount else None
