"""Events of a training as named numbers: the same ones while it goes on and after the fact."""

from __future__ import annotations

import math

import msgspec

from speedtui.engine import events as e
from speedtui.engine.efficiency import ModelFlops
from speedtui.engine.state.wall import WallFollower

HOUR = 3600.0
ETA_SECONDS = 10.0
"""Between two points of the estimate; a chart of twelve hours has four thousand of them."""


class MetricPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Some numbers at a step."""

    step: int
    time: float
    """Wall clock, seconds since the epoch."""
    values: dict[str, float]
    """By the name that a tracker shows; finite."""


class MetricStream:
    """Takes a run's events in their order and gives points.

    Names: `train/loss`, `train/learning_rate`, `train/tokens_per_second`, `train/mfu`; `device/idle_fraction` where
    steps were profiled; `phases/<name>` and, on a GPU, `device_phases/<name>`, seconds a step;
    `memory/peak_allocated_bytes`, `memory/peak_reserved_bytes`; `eval/loss` and `eval/<metric>`;
    `training/elapsed_hours`, `training/remaining_hours` and `training/on_track`, which is 1 when the
    likely finish is inside the window and 0 when it is not; at the end `optimization/estimated_hours`,
    `optimization/actual_hours` and `optimization/time_accuracy`, which is estimated / actual.
    """

    def __init__(
        self, *, estimated_seconds: float | None = None, since: float = 0.0, started_at: float = 0.0,
        told_step: int = 0, whole: bool = True,
    ) -> None:  # fmt: skip
        """`estimated_seconds`: what was expected before it began, counted from the run's time `since`; `started_at`:
        wall clock of t = 0; `told_step`: steps up to this one are known to whoever gets the points, from an earlier
        worker; `whole`: there was none. What the events say of these goes before."""
        self._estimated = estimated_seconds
        self._since = since
        self._wall = WallFollower(started_at)
        self._told_step = told_step
        self._step = told_step
        self._whole = whole
        self._estimates: dict[int, float] = {}  # of this run's trials, from the start of a training on
        self._phases: dict[str, None] = {}  # seen so far, in order
        self._eta_due = -math.inf
        self._verdict: e.Verdict | None = None
        self._flops: ModelFlops | None = None

    def take(self, event: e.AnyEvent) -> list[MetricPoint]:
        """The points of one event, in most cases one or none."""
        self._wall.see(event)
        match event:
            case e.RunStarted():
                self._whole = self._whole and event.restarts == 0
            case e.TrialFinished() if event.result.estimate is not None:
                estimate = event.result.estimate
                self._estimates[event.trial] = estimate.p50_seconds - estimate.terms.get("load", 0.0)
            case e.TrainingStarted():
                return self._on_started(event)
            case e.StepCompleted() if event.trial is None:
                return self._on_step(event)
            case e.DeviceBusyMeasured():
                return self._point(event.t, event.step, {"device/idle_fraction": event.idle_fraction})
            case e.EvaluationCompleted():
                return self._point(event.t, event.step, _evaluation(event))
            case e.EtaUpdated():
                return self._on_eta(event)
            case e.TrainingFinished():
                return self._on_finished(event)
        return []

    def _on_started(self, event: e.TrainingStarted) -> list[MetricPoint]:
        self._flops = event.flops
        if event.trial in self._estimates and event.first_step == 0:  # in one run with its study: the model was loaded
            self._estimated, self._since = self._estimates[event.trial], event.t
        if self._estimated is None:
            return []
        return self._point(event.t, self._step, {"optimization/estimated_hours": self._estimated / HOUR})

    def _on_step(self, event: e.StepCompleted) -> list[MetricPoint]:
        """A step that an earlier worker finished and this one had to do again is not told twice."""
        if event.step <= self._told_step:
            return []
        self._told_step = self._step = event.step
        values: dict[str, float | None] = {
            "train/loss": event.loss,
            "train/nonfinite_steps": event.nonfinite_steps or int(event.nonfinite) or None,
            "train/learning_rate": event.lr,
            "train/tokens_per_second": event.tokens / event.seconds if event.tokens and event.seconds else None,
            "train/mfu": self._mfu(event),
            "memory/peak_allocated_bytes": event.peak_allocated_bytes,
            "memory/peak_reserved_bytes": event.peak_reserved_bytes,
        }
        return self._point(event.t, event.step, values | self._phase_values(event))

    def _mfu(self, event: e.StepCompleted) -> float | None:
        if self._flops is None or not event.seconds:
            return None
        tokens = event.tokens / event.seconds if event.tokens is not None else None
        return self._flops.utilization(tokens, event.samples / event.seconds)

    def _phase_values(self, event: e.StepCompleted) -> dict[str, float | None]:
        """Seconds a step. A line leaves out phases of no time; for those that were there before it says 0."""
        tables = {"phases": event.phases, "device_phases": event.device_phases}
        present = {
            f"{table}/{name}": seconds / event.steps
            for table, phases in tables.items() if phases is not None
            for name, seconds in phases.items()
        }  # fmt: skip
        self._phases.update(dict.fromkeys(present))
        on_device = event.device_phases is not None
        return {name: present.get(name, 0.0) for name in self._phases if on_device or not name.startswith("device_")}

    def _on_eta(self, event: e.EtaUpdated) -> list[MetricPoint]:
        if event.t < self._eta_due and event.verdict == self._verdict:
            return []
        self._eta_due, self._verdict = event.t + ETA_SECONDS, event.verdict
        judged = event.verdict not in (None, "measuring")
        return self._point(event.t, self._step, {
            "training/elapsed_hours": (event.t - self._since) / HOUR,
            "training/remaining_hours": event.p50_seconds / HOUR if event.p50_seconds is not None else None,
            "training/on_track": float(event.verdict != "late") if judged else None,
        })  # fmt: skip

    def _on_finished(self, event: e.TrainingFinished) -> list[MetricPoint]:
        actual = event.t - self._since
        comparable = self._whole and event.reason == "steps" and self._estimated is not None and actual > 0
        return self._point(event.t, max(self._step, event.steps), {
            "training/elapsed_hours": actual / HOUR,
            "training/remaining_hours": 0.0,
            "optimization/estimated_hours": self._estimated / HOUR if self._estimated is not None else None,
            "optimization/actual_hours": actual / HOUR,
            "optimization/time_accuracy": self._estimated / actual if comparable and self._estimated else None,
        })  # fmt: skip

    def _point(self, t: float, step: int, values: dict[str, float | None]) -> list[MetricPoint]:
        known = {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}
        return [MetricPoint(step=step, time=self._wall.at(t), values=known)] if known else []


def _evaluation(event: e.EvaluationCompleted) -> dict[str, float | None]:
    values: dict[str, float | None] = {f"eval/{name}": value for name, value in event.metrics.items()}
    return values | {"eval/loss": event.loss}
