"""Runs as their logs tell them, for tests that export them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Settings, TrackSettings
from speedtui.engine.config.window import Window
from speedtui.engine.context.order import Order, write_order
from speedtui.engine.runs import RunFolder
from tests.engine import events_of_a_run as a

RUN = "20260101-120000-train-ab12"
STARTED_AT = 1_767_268_800.0
WINDOW = Window(deadline=STARTED_AT + 7200, margin_seconds=600.0)
ESTIMATE = Estimate(p50_seconds=3600.0, p90_seconds=3700.0, terms={"steps": 3600.0}, total_steps=4, evals=2, saves=1)


def run_started(job: e.Job = "train", **changes: Any) -> e.RunStarted:
    settings = changes.pop("settings", Settings())
    return a.started(
        job, run=RUN, started_at=STARTED_AT, config=msgspec.to_builtins(settings), window=WINDOW, **changes
    )  # fmt: skip


def eta(t: float, remaining: float | None, verdict: e.Verdict | None = "on_track") -> e.EtaUpdated:
    return e.EtaUpdated(t=t, p50_seconds=remaining, p90_seconds=remaining, verdict=verdict)


def evaluation(step: int, t: float, loss: float | None, **metrics: float) -> e.EvaluationCompleted:
    return e.EvaluationCompleted(
        t=t, step=step, loss=loss, seconds=3.0, rows=10, metrics=metrics, phases={"eval": 2.0, "metric": 1.0}
    )


def training_finished(t: float, steps: int, reason: e.EndReason = "steps") -> e.TrainingFinished:
    return e.TrainingFinished(
        t=t, steps=steps, seconds=t, first_loss=2.0, last_loss=1.0, model_path="model", reason=reason
    )


def training_events(settings: Settings | None = None) -> list[e.AnyEvent]:
    """A training of four steps, two evaluations and an estimate that changes its mind."""
    return [
        run_started(settings=settings or Settings()),
        a.training(total=4),
        a.step(1, loss=2.0, lr=1e-4, peak_allocated_bytes=1000, peak_reserved_bytes=2000),
        eta(20.0, 3000.0, "measuring"),
        a.step(2, loss=1.5, lr=5e-5),
        evaluation(2, 40.0, 1.8, accuracy=0.25),
        eta(60.0, 7000.0, "late"),
        a.step(3, loss=1.25, lr=2e-5),
        a.step(4, loss=None, nonfinite=True, lr=0.0),
        evaluation(4, 80.0, 1.6, accuracy=0.5),
        training_finished(4000.0, 4),
        e.RunFinished(t=4001.0, outcome="ok", exit_code=0),
    ]


def study_events() -> list[e.AnyEvent]:
    """Two trials, one of which ran out of memory."""
    return [
        run_started("tune"),
        a.study(0, 1),
        e.TrialStarted(t=2.0, trial=0),
        a.step(1, trial=0, probe="throughput"),
        a.finished(0, a.ok(8.0)),
        a.finished(1, a.out_of_memory()),
        e.StudyFinished(t=9.0, best=0),
        e.RunFinished(t=9.1, outcome="ok", exit_code=0),
    ]


def write_run(
    runs: Path, events: Iterable[e.AnyEvent], *, name: str = RUN, job: e.Job = "train", estimate: Estimate | None = None
) -> RunFolder:
    """A run's folder with this log."""
    folder = RunFolder(runs / name)
    folder.path.mkdir(parents=True, exist_ok=True)
    write_order(folder, Order(job=job, started_at=STARTED_AT, estimate=estimate))
    folder.events.write_bytes(b"".join(e.encode(event) for event in events))
    return folder


def tracked(*to: str, project: str = "speedtui", name: str | None = None) -> Settings:
    """Settings with these trackers."""
    return Settings(track=TrackSettings(to=list(to), project=project, name=name))  # type: ignore[arg-type]
