"""A run's numbers handed to a tracker or written as tables, after the fact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from speedtui.engine import events as e
from speedtui.engine.config.recorded import shareable
from speedtui.engine.config.settings import Tracker, TrackSettings
from speedtui.engine.context.order import read_order
from speedtui.engine.errors import JobError, RunFolderError, SpeedtuiError, UsageError
from speedtui.engine.export.base import Target, TrackedRun, default_folder
from speedtui.engine.export.csv import write_tables
from speedtui.engine.export.metrics import MetricPoint, MetricStream
from speedtui.engine.export.sinks import let_go, open_sink
from speedtui.engine.log.read import ReadProgress, WholeLog, read_state
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState
from speedtui.engine.state.passed_over import PassedOver

BATCH = 256
"""Points handed to a tracker at once."""

OFFLINE_HINT = "With WANDB_MODE=offline it goes into files that `wandb sync` sends later."


class Exported(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an export left."""

    run: str
    to: Target
    where: str
    """The folder, or the command or page that shows it."""
    rows: dict[str, int]
    """By the path of each table; empty for a tracker."""
    points: int
    """Handed to a tracker; 0 for tables."""
    last_step: int | None
    passed_over: PassedOver | None = None
    """Of the log; None where nothing was."""


def export_run(folder: RunFolder, to: Target, out: Path | None, report: ReadProgress) -> Exported:
    """Exports what the log holds now. What an earlier export of this run left there is replaced.

    Raises:
        RunFolderError: `out` is not named and the run is somebody else's.
        UsageError: the tracker is not installed, there is nothing that it could be told, or `out` cannot be written.
        JobError: the tracker refused.
    """
    if out is None:
        _require_own(folder)
    place = (out if out is not None else default_folder(folder, to)).absolute()
    state = read_state(folder.events, lambda done, total: report(done // 2, total))
    _refuse_unfit(folder, to, state)
    try:
        if to == "csv":
            return _as_tables(folder, place, state, report)
        return _to_tracker(folder, to, place, out is not None, state, report)
    except SpeedtuiError:
        raise
    except OSError as error:
        where = error.filename or place
        raise UsageError(
            f"{where}: cannot be written: {error.strerror or error}", "Make room or name another folder with --out."
        ) from error


def _require_own(folder: RunFolder) -> None:
    try:
        folder.require_obeyed()
    except RunFolderError as error:
        raise RunFolderError(error.message, "Name another folder with --out.") from None


def _refuse_unfit(folder: RunFolder, to: Target, state: RunState) -> None:
    training = state.training
    if to != "csv" and (training is None or not (training.step or training.evaluations)):
        raise UsageError(
            f"run {folder.id} has no training to export to {to}",
            "Its trials are a table: --to csv" if state.study is not None else "Train first: speedtui train",
        )
    if training is None and state.study is None:
        raise UsageError(f"run {folder.id} has neither steps nor trials to export", "Train first: speedtui train")
    if to != "csv" and to in _track(folder, state).to:
        alive = folder.worker_alive()
        if alive or (alive is None and state.outcome is None):
            goes_on = "goes on" if alive else "may go on"
            raise UsageError(f"run {folder.id} {goes_on} and is tracked by {to} itself", "Export it when it is over.")


def _as_tables(folder: RunFolder, place: Path, state: RunState, report: ReadProgress) -> Exported:
    rows = write_tables(_second_reading(folder, report), place)
    return Exported(
        run=folder.id, to="csv", where=str(place), rows={str(path): count for path, count in rows.items()}, points=0,
        last_step=state.training.step if state.training is not None else None, passed_over=state.passed_over or None,
    )  # fmt: skip


def _to_tracker(
    folder: RunFolder, to: Tracker, place: Path, placed: bool, state: RunState, report: ReadProgress
) -> Exported:
    if to == "trackio" and placed:
        os.environ["TRACKIO_DIR"] = str(place)  # read when its package is imported
    try:
        sink = open_sink(to, _tracked(folder, place, state))
        points = 0
        for batch in _batches(_points(folder, report)):
            sink.write(batch)
            points += len(batch)
        where = sink.where
        sink.close()
    except (SpeedtuiError, OSError):
        raise
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        let_go(to)
        raise JobError(f"{to}: {reason}", OFFLINE_HINT if to == "wandb" else "With -v it says where.") from error
    last_step = state.training.step if state.training is not None else None
    return Exported(
        run=folder.id,
        to=to,
        where=where,
        rows={},
        points=points,
        last_step=last_step,
        passed_over=state.passed_over or None,
    )


def _tracked(folder: RunFolder, place: Path, state: RunState) -> TrackedRun:
    track = _track(folder, state)
    return TrackedRun(
        id=folder.id,
        name=track.name or folder.id,
        project=track.project,
        config=shareable(state.config),
        folder=place,
        live=False,
    )


def _track(folder: RunFolder, state: RunState) -> TrackSettings:
    try:
        return msgspec.convert(state.config.get("track", {}), TrackSettings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{folder.events}: [track] cannot be read: {error}", "Its tables can: --to csv") from None


def _points(folder: RunFolder, report: ReadProgress) -> Iterator[MetricPoint]:
    stream = MetricStream(estimated_seconds=_estimated_seconds(folder))
    for event in _second_reading(folder, report):
        yield from stream.take(event)


def _estimated_seconds(folder: RunFolder) -> float | None:
    """What the trial or plan that the training came from expected; None where there was none."""
    try:
        estimate = read_order(folder).estimate
    except (OSError, msgspec.DecodeError):
        return None
    return estimate.p50_seconds if estimate is not None else None


def _batches(points: Iterator[MetricPoint]) -> Iterator[list[MetricPoint]]:
    batch: list[MetricPoint] = []
    for point in points:
        batch.append(point)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _second_reading(folder: RunFolder, report: ReadProgress) -> Iterator[e.AnyEvent]:
    """A tracker wants the configuration of the whole run first."""
    return WholeLog(folder.events, lambda done, total: report(total // 2 + done // 2, total)).events()
