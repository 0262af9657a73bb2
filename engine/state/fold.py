"""Events in, one snapshot out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import assert_never

import msgspec

from speedtui.engine import events as e
from speedtui.engine.plan_types import Advice, Plan
from speedtui.engine.state.evaluations_checkpoints import ToldLever
from speedtui.engine.state.event_words import describe, kind_of, trial_of
from speedtui.engine.state.liveness import Liveness
from speedtui.engine.state.passed_over import PassedOver
from speedtui.engine.state.series import RecentSeries
from speedtui.engine.state.snapshot import HardwareHistory, LogLine, RunState, RunStatus
from speedtui.engine.state.study import StudyFold
from speedtui.engine.state.training import TrainingFold
from speedtui.engine.state.wall import Moves
from speedtui.engine.state.windows import MINUTE

LOG_LINES = 500
HISTORY_POINTS = 120
"""Ten minutes of hardware, a point every five seconds."""
HISTORY_SECONDS = 5.0
MINUTE_POINTS = 60
"""One minute of hardware, a point every second: it is not sampled more often."""
ADVICE = 64
"""Kept of the advice given."""


def fold(events: Iterable[e.AnyEvent]) -> RunState:
    """The state after all of the events."""
    folder = StateReducer()
    for event in events:
        folder.apply(event)
    return folder.snapshot()


class StateReducer:
    """Takes in events one by one and gives snapshots; applying one costs the same however long the run is."""

    def __init__(self) -> None:
        self._started: e.RunStarted | None = None
        self._first_started_at = 0.0
        self._t = 0.0
        self._model: e.ModelLoaded | None = None
        self._progress: e.ProgressMade | None = None
        self._study: StudyFold | None = None
        self._training: TrainingFold | None = None
        self._plan: Plan | None = None
        self._advice: deque[Advice] = deque(maxlen=ADVICE)
        self._hardware: e.HardwareSampled | None = None
        self._histories: dict[int, tuple[deque[float | None], deque[float | None]]] = {}
        self._minutes: dict[int, tuple[RecentSeries, RecentSeries]] = {}
        self._last_history = -HISTORY_SECONDS
        self._log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._books: e.Books | None = None
        self._signs = Liveness()
        self._moves = Moves()
        self._dropped = 0
        self._passed_over = PassedOver()
        self._full_disk: int | None = None
        self._worker_unknown = False
        self._paused = False
        self._lost = self._restarting = False
        self._finished: e.RunFinished | None = None
        self._snapshot: RunState | None = None
        self._told = ToldLever()

    def apply(self, event: e.AnyEvent) -> None:
        """Takes in one event."""
        self._snapshot = None
        self._t = max(self._t, event.t)
        if isinstance(event, e.StepCompleted):  # nearly all of them, and none is a line for a person
            self._signs.see(event)
            self._on_step(event)
            return
        line = describe(event)
        if not self._told.again(event) and line is not None:
            kind, trial = kind_of(event), trial_of(event)
            self._log.append(LogLine(t=event.t, level=line[0], text=line[1], kind=kind, trial=trial))
        self._signs.see(event)
        self._dispatch(event)

    def pass_over(self, passed_over: PassedOver) -> None:
        """Notes how much of the log its reader could not use so far, with one line for a person."""
        if passed_over == self._passed_over:
            return
        if self._passed_over:
            self._log = deque((line for line in self._log if line.kind != "log"), maxlen=LOG_LINES)
        self._passed_over, self._snapshot = passed_over, None
        if passed_over:
            self._log.append(LogLine(t=self._t, level="warning", text=passed_over.words, kind="log"))

    def see_disk(self, full: int | None) -> None:
        """Notes the free bytes of a run's disk that is full; None: it is not any more."""
        self._full_disk, self._snapshot = full, None

    def see_worker(self, *, unknown: bool) -> None:
        """Notes whether it cannot be told if a worker lives."""
        if unknown != self._worker_unknown:
            self._worker_unknown, self._snapshot = unknown, None

    def _dispatch(self, event: e.AnyEvent) -> None:
        match event:
            case e.RunStarted():
                self._on_run_started(event)
            case e.ProgressMade():
                done = event.total is not None and event.done >= event.total
                self._progress = None if done else event
            case e.ModelLoaded():
                self._model, self._progress = event, None
            case e.BooksUpdated():
                self._books = event.books
            case e.StepCompleted():
                pass  # taken in already
            case e.HardwareSampled():
                self._on_hardware(event)
            case e.StudyStarted():
                self._study, self._progress = StudyFold(event), None
            case (
                e.CandidateAdded() | e.CandidateEdited() | e.CandidateRemoved() | e.TrialQueued() | e.TrialStarted()
                | e.TrialFinished() | e.StudyFinished() | e.TrialPromoted() | e.MemoryPredicted() | e.MemoryCalibrated()
                | e.DecisionMade()
            ):  # fmt: skip
                self._progress = None
                if self._study is not None:
                    self._tell_missing(event, self._study.missing(event))
                    self._study.apply(event)
            case e.TrainingStarted():
                self._on_training_started(event)
            case (
                e.SpanCompleted() | e.EvaluationCompleted() | e.EvaluationRehearsed() | e.CheckpointSaved()
                | e.NonFiniteFound() | e.FiniteAgain() | e.DeviceBusyMeasured()
                | e.CheckpointFailed() | e.EtaUpdated() | e.LeversFound() | e.SettingsChanged() | e.TrainingFinished()
            ):  # fmt: skip
                if isinstance(event, e.EvaluationCompleted | e.TrainingFinished):
                    self._progress = None
                if self._training is not None:
                    self._training.apply(event)
            case e.PlanMade():
                self._plan, self._progress = event.plan, None
            case e.AdviceGiven():
                self._advice.append(event.advice)
            case e.ClockMoved():
                self._moves = self._moves.plus(event)
            case (
                e.Stalled() | e.WorkerSuspended() | e.CommandReceived() | e.CommandApplied() | e.CommandRefused()
                | e.AlertSent() | e.Notice()
            ):  # fmt: skip
                pass  # signs of life, or lines for a person
            case e.Paused():
                self._paused = True
            case e.Resumed():
                self._paused = False
            case e.WorkerLost():
                self._lost, self._restarting = True, event.restarting
            case e.EventsDropped():
                self._dropped += event.count
            case e.RunFinished():
                self._finished, self._paused = event, False
                self._books = event.books or self._books
            case _:
                assert_never(event)

    def _tell_missing(self, event: e.AnyEvent, trial: int | None) -> None:
        if trial is not None:
            text = f"#{trial} was never added: a part of the log is missing, and what it has tried is not known"
            self._log.append(LogLine(t=event.t, level="warning", text=text, kind=kind_of(event), trial=trial))

    def _on_run_started(self, event: e.RunStarted) -> None:
        if self._started is None:
            self._first_started_at = event.started_at
        elif self._study is not None:
            self._study.worker_restarted()
        self._started, self._finished, self._lost, self._paused = event, None, False, False

    def _on_training_started(self, event: e.TrainingStarted) -> None:
        self._progress = None
        if self._training is None or (self._training.finished and not event.first_step):
            self._training = TrainingFold(event)
        else:
            self._training.resume(event)

    def _on_step(self, event: e.StepCompleted) -> None:
        if self._progress is not None and event.t > self._progress.t:
            self._progress = None  # an evaluation that was left tells no end of it
        if event.trial is not None:
            if self._study is not None:
                self._study.step(event)
        elif self._training is not None:
            self._training.step(event)

    def _on_hardware(self, event: e.HardwareSampled) -> None:
        self._hardware = event
        self._add_to_minutes(event)
        if event.t - self._last_history < HISTORY_SECONDS:
            return
        self._last_history = event.t
        for device in event.devices:
            if device.index not in self._histories:
                self._histories[device.index] = (deque(maxlen=HISTORY_POINTS), deque(maxlen=HISTORY_POINTS))
            utilization, memory = self._histories[device.index]
            utilization.append(device.utilization)
            memory.append(_memory(device))

    def _add_to_minutes(self, event: e.HardwareSampled) -> None:
        for device in event.devices:
            if device.index not in self._minutes:
                self._minutes[device.index] = (RecentSeries(MINUTE, MINUTE_POINTS), RecentSeries(MINUTE, MINUTE_POINTS))
            for series, value in zip(self._minutes[device.index], (device.utilization, _memory(device)), strict=True):
                if value is not None:
                    series.add(event.t, value)

    def _history(self, index: int) -> HardwareHistory:
        utilization, memory = self._histories[index]
        minute_utilization, minute_memory = self._minutes[index]
        return HardwareHistory(
            utilization=tuple(utilization), memory_fraction=tuple(memory),
            minute_utilization=minute_utilization.course(self._t), minute_memory_fraction=minute_memory.course(self._t),
        )  # fmt: skip

    def _status(self) -> RunStatus:
        if self._finished is not None:
            return RunStatus.FINISHED
        if self._lost:
            return RunStatus.LOST
        if self._worker_unknown:
            return RunStatus.UNKNOWN
        if self._started is None:
            return RunStatus.STARTING
        if self._paused:
            return RunStatus.PAUSED
        if self._training is not None and not self._training.finished:
            return RunStatus.TRAINING
        if self._study is not None and (self._study.running or (self._study.pending and self._model is not None)):
            return RunStatus.TUNING
        if self._study is not None and not self._study.pending and self._started.job == "tune":
            return RunStatus.IDLE
        return RunStatus.LOADING

    def snapshot(self) -> RunState:
        """The state now; the same object until another event comes."""
        if self._snapshot is None:
            self._snapshot = self._build()
        return self._snapshot

    def _build(self) -> RunState:
        started, finished = self._started, self._finished
        state = RunState(
            status=self._status(),
            restarting=self._restarting and self._status() is RunStatus.LOST,
            t=self._t,
            started_at=self._first_started_at,
            moves=self._moves,
            model=self._model,
            progress=self._progress if finished is None else None,
            study=self._study.snapshot(over=finished is not None) if self._study is not None else None,
            training=self._training.snapshot(self._t) if self._training is not None else None,
            plan=self._plan,
            advice=tuple(self._advice),
            hardware=self._hardware,
            hardware_history=tuple(self._history(index) for index in sorted(self._histories)),
            log=tuple(self._log),
            books=self._books,
            stalled=self._signs.stalled,
            suspended=self._signs.suspended,
            stalls=self._signs.stalls,
            stall_totals=self._signs.totals(self._t),
            pending_commands=self._signs.waiting,
            dropped_events=self._dropped,
            full_disk_bytes=self._full_disk,
            passed_over=self._passed_over,
        )
        if started is not None:
            state = msgspec.structs.replace(
                state, run=started.run, job=started.job, host=started.host, pid=started.pid, restarts=started.restarts,
                devices=tuple(started.devices), versions=started.versions, config=started.config,
                window=started.window,
            )  # fmt: skip
        if finished is not None:
            state = msgspec.structs.replace(
                state, outcome=finished.outcome, exit_code=finished.exit_code, reason=finished.reason,
                next=finished.next,
            )  # fmt: skip
        return state


def _memory(device: e.DeviceSample) -> float | None:
    """Share of the device's memory that is used."""
    used, total = device.memory_used_bytes, device.memory_total_bytes
    return used / total if used is not None and total else None
