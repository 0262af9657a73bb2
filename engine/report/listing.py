"""The runs of a folder in a line each."""

from __future__ import annotations

from pathlib import Path

import msgspec

from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder, list_runs
from speedtui.engine.state import RunState, fold
from speedtui.engine.units import format_figure


class RunEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One run as a list shows it."""

    run: str
    job: str
    state: str
    """`alive`, an outcome, or `lost` where the worker is gone without one."""
    started_at: float
    """Wall clock, seconds since the epoch."""
    seconds: float
    result: str
    """The best trial or the training's progress, in words."""


def list_entries(runs: Path) -> list[RunEntry]:
    """Every run, the newest first."""
    return [_entry(folder) for folder in list_runs(runs)]


def _entry(folder: RunFolder) -> RunEntry:
    state = fold(read_events(folder.events))
    alive = folder.worker_alive()
    return RunEntry(
        run=folder.id,
        job=state.job,
        state="alive" if alive else state.outcome or "lost",
        started_at=state.started_at,
        seconds=round(state.t, 3),
        result=_result(state),
    )


def _result(state: RunState) -> str:
    if state.training is not None:
        training = state.training
        loss = f", loss {format_figure(training.smoothed_loss)}" if training.smoothed_loss is not None else ""
        loss = ", loss not finite" if training.nonfinite is not None else loss
        return f"step {training.step} of {training.total_steps}{loss}"
    if state.study is not None:
        finished = sum(row.status.finished for row in state.study.rows)
        best = f", best #{state.study.best}" if state.study.best is not None else ""
        return f"{finished} of {len(state.study.rows)} trials{best}"
    return state.reason
