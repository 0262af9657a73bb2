"""The runs of a folder in a line each, those that are over from a cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.files import make_folder, write_whole
from speedtui.engine.log.read import read_state
from speedtui.engine.log.run_summary import RunSummary, Stamp, read_summary, stamp_of
from speedtui.engine.regular_file import read_regular
from speedtui.engine.run_start import started_at
from speedtui.engine.runs import RunFolder, list_runs
from speedtui.engine.state import RunStatus
from speedtui.engine.state.event_words import plan_words
from speedtui.engine.units import format_figure
from speedtui.engine.workload.cache import key_of

FORMAT = 1
"""Of what is kept; with another one it is read anew."""
SETTLED_SECONDS = 10.0
"""A file system tells two changes apart that are some milliseconds from one another, a network's some seconds: what has
changed so lately could change again without another stamp."""
T = TypeVar("T")


class ListingCache(Generic[T]):
    """Entries by run, each with the stamp of the log that it was read from: a log that has changed has none."""

    def __init__(self, runs: Path, folder: Path | None, kind: type[T]) -> None:
        """`folder`: to keep them in, None to keep nothing; one file for each folder of runs."""
        self._path = folder / f"{key_of(str(runs.resolve()))}.json" if folder is not None else None
        self._type = tuple[int, dict[str, tuple[Stamp, kind]]]  # type: ignore[valid-type]
        self._before: dict[str, tuple[Stamp, T]] = {}
        self._now: dict[str, tuple[Stamp, T]] = {}
        if self._path is not None:
            with suppress(OSError, ValueError, RecursionError, msgspec.DecodeError):
                version, entries = msgspec.json.decode(read_regular(self._path), type=self._type)
                self._before = entries if version == FORMAT else {}

    def of(self, folder: RunFolder) -> T | None:
        """The one of a run, where its log is as it was."""
        kept = self._before.get(str(folder.path)) if self._path is not None else None
        if kept is None or kept[0] != stamp_of(folder.events):
            return None
        self._now[str(folder.path)] = kept
        return kept[1]

    def keep(self, folder: RunFolder, entry: T) -> None:
        """Takes in what was read of a run just now, unless its log has changed just now, too."""
        stamp = stamp_of(folder.events)
        if stamp and abs(time.time() - stamp[-1] / 1e9) > SETTLED_SECONDS:
            self._now[str(folder.path)] = stamp, entry

    def save(self) -> None:
        """Writes them where they are others than before; a disk that takes nothing only costs the time of reading."""
        if self._path is None or self._now == self._before:
            return
        with suppress(OSError):
            make_folder(self._path.parent)
            write_whole(self._path, msgspec.json.encode((FORMAT, self._now)))


WHOLE_BYTES = 64 << 20
"""A longer log is not read for a row, but its two ends are."""


class RunEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One run as a list shows it."""

    run: str
    job: str
    state: str
    """`alive`, an outcome, `lost` where the worker is gone without one, `unknown` where that cannot be told, or
    `unreadable`."""
    started_at: float | None
    """Wall clock, seconds since the epoch."""
    seconds: float | None
    result: str
    """The best trial or the training's progress, in words; of one that cannot be read why."""
    passed_over: str = ""
    """How much of its log told nothing, in words."""


def list_entries(
    runs: Path, progress: Callable[[int, int], None] = lambda done, total: None, *, kept: Path | None = None
) -> list[RunEntry]:
    """Every run, the one that was started last first. Each is read by itself: one that cannot be costs its own row.

    `progress`: is told (runs read, all of them); `kept`: a folder for what was read of the runs that are over.
    """
    folders, entries = list_runs(runs), []
    store = ListingCache(runs, kept, RunEntry)
    for done, folder in enumerate(folders):
        progress(done, len(folders))
        alive = folder.goes_on()
        entry = store.of(folder) if alive is False else None
        if entry is None:
            entry = _guarded(folder, alive=alive)
            if alive is False and entry.state != UNREADABLE:
                store.keep(folder, entry)
        entries.append(entry)
    store.save()
    return entries


UNREADABLE = "unreadable"


def _guarded(folder: RunFolder, *, alive: bool | None) -> RunEntry:
    try:
        return _entry(folder, alive=alive)
    except Exception as error:  # not foreseen; the other runs are listed
        return _unreadable(folder, f"cannot be read: {type(error).__name__}: {error}", alive=alive)


def _unreadable(folder: RunFolder, problem: str, *, alive: bool | None) -> RunEntry:
    return RunEntry(
        run=folder.id, job="", state="alive" if alive else UNREADABLE, started_at=started_at(folder.id, folder.events),
        seconds=None, result=problem,
    )  # fmt: skip


def _entry(folder: RunFolder, *, alive: bool | None) -> RunEntry:
    seen = read_summary(folder)
    if not seen.whole and folder.events.stat().st_size <= WHOLE_BYTES:
        seen = _as_a_whole(seen)
    state = seen.state
    if seen.problem:
        return _unreadable(folder, seen.problem, alive=alive)
    return RunEntry(
        run=folder.id,
        job=state.job,
        state="alive" if alive else state.outcome or ("lost" if alive is False else RunStatus.UNKNOWN.value),
        started_at=state.started_at,
        seconds=round(state.t, 3),
        result=_result(seen),
        passed_over=state.passed_over.words,
    )


def _as_a_whole(seen: RunSummary) -> RunSummary:
    try:
        state = read_state(seen.folder.events)
    except SpeedtuiError:
        return seen
    step = state.training.step if state.training is not None else None
    return msgspec.structs.replace(
        seen, state=state, whole=True, step=step, problem=seen.problem if not state.run else ""
    )


def _result(seen: RunSummary) -> str:
    state = seen.state
    if state.training is not None:
        training = state.training
        loss = f", loss {format_figure(training.smoothed_loss)}" if training.smoothed_loss is not None else ""
        loss = ", loss not finite" if training.nonfinite is not None else loss
        return f"step {seen.step if seen.step is not None else '–'} of {training.total_steps}{loss}"
    if state.plan is not None and state.job == "plan":
        return plan_words(state.plan)
    if state.study is not None:
        best = f", best #{state.study.best}" if state.study.best is not None else ""
        finished = f"{sum(row.status.finished for row in state.study.rows)} of " if seen.whole else ""
        return f"{finished}{len(state.study.rows)} trials{best}"
    return state.reason
