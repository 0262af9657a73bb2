"""Runs a job from its order to `run_finished`, in whatever process or thread this is called."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import metadata

import msgspec

from speedtui.engine import events as e
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext, JobStopped
from speedtui.engine.context.order import Order, read_order
from speedtui.engine.errors import ExitCode, RunFolderError, SpeedtuiError
from speedtui.engine.hardware.available import describe_devices
from speedtui.engine.hardware.host import HostReader
from speedtui.engine.hardware.nvml import NvmlReader
from speedtui.engine.hardware.sampler import LOST_HINT, HardwareSampler
from speedtui.engine.home import said_of_home
from speedtui.engine.jobs.loaders import loader_death
from speedtui.engine.jobs.result import JobResult, TrainingBroken, WorkerSpent, failed
from speedtui.engine.jobs.resume_hint import how_to_go_on
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.read import WholeLog
from speedtui.engine.log.writer import EventLog
from speedtui.engine.output import warn_traceback
from speedtui.engine.report.document import write_run_report
from speedtui.engine.runs import RunFolder, holding
from speedtui.engine.state import RunState, StateReducer

VERSIONED = ("speedtui", "torch", "transformers", "peft", "accelerate", "datasets", "bitsandbytes")


def execute(
    folder: RunFolder,
    started: Callable[[JobContext], None] = lambda context: None,
    *,
    restartable: bool = False,
    replaceable: bool = True,
    wall: Callable[[], float] = time.time,
) -> ExitCode:
    """Runs the job that the folder orders; `started` gets the context, for instance to stop it from outside; `wall`:
    the wall clock, seconds since the epoch.

    Every way to end writes `run_finished`; nothing but a killed process leaves the log without it, and a training
    that failed where the session that owns the run is to start it again (`restartable`), or a process that another one
    is to replace (`replaceable`).

    Raises:
        RunFolderError: another worker holds this run.
        WorkerSpent: the job is not over, but this process is.
    """
    with ExitStack() as stack:
        held = RunFolderError(f"{folder.path}: a worker is writing this run already", "`speedtui attach` shows it.")
        stack.enter_context(holding(folder.worker_lock, held=held))
        folder.require_obeyed()
        order = read_order(folder)
        settings = load_settings(folder.config)
        context = open_context(folder, settings, order, stack, wall=wall)
        context.devices, context.versions = describe_devices(), versions()
        context.emit(run_started(context, settings), flush=True)
        context.warn_once(context.before.passed_over.words)
        context.warn_once(said_of_home())
        sampler = start_sampler(context, stack)
        started(context)
        result = _run_job(context, replaceable=replaceable)
        books = context.phases.books()
        sampler.stop()
        again = result.exit_code is ExitCode.FAILED and not result.final
        if restartable and order.job == "train" and again and folder.owned():
            context.emit(e.BooksUpdated(t=context.t, books=books))
            context.notice(result.reason, level="error", hint=result.next)
            raise TrainingBroken(result.reason)
        context.finish(
            e.RunFinished(
                t=context.t, outcome=result.outcome, exit_code=result.exit_code, reason=result.reason,
                next=result.next, books=books,
            )
        )  # fmt: skip
        _write_report(context)
        return result.exit_code


def _write_report(context: JobContext) -> None:
    """What a training came to, once its end is in the log; a study and a plan have written their own."""
    if context.order.job not in ("train", "demo"):
        return
    try:
        unwritten = write_run_report(context.folder)
    except RunFolderError as error:  # the folder was moved or removed, which has been told
        context.notice(f"no report was written: {error.message}", level="warning")
        unwritten = {}
    for path, reason in unwritten.items():
        context.notice(f"{path} could not be written: {reason}", level="warning", hint="Make room.")
    context.log.flush()


def start_sampler(context: JobContext, stack: ExitStack) -> HardwareSampler:
    """The 1 Hz readings; what the driver cannot tell is a notice."""
    devices = NvmlReader()
    stack.callback(devices.close)
    for note in devices.notes:
        context.notice(note)
    for number, reason in devices.lost.items():
        text = f"GPU {number} of this machine is lost: the driver says {reason!r}"
        context.notice(text, level="warning", hint=LOST_HINT)

    def emit(event: e.HardwareSampled | e.Notice) -> None:
        if isinstance(event, e.HardwareSampled):
            context.readings.take(event)
        context.emit(event)

    sampler = HardwareSampler(emit, context.clock.now, devices, HostReader(context.folder.path))
    sampler.start()
    stack.callback(sampler.stop)
    return sampler


def _run_job(context: JobContext, *, replaceable: bool) -> JobResult:
    try:
        return _job(context.order)(context)
    except JobStopped as stopped:
        return _stopped(context, stopped)
    except WorkerSpent as spent:
        if replaceable:
            raise
        return _spent(context, spent)
    except SpeedtuiError as error:
        warn_traceback(error)
        outcome: e.Outcome = "no_fit" if error.exit_code is ExitCode.NO_FIT else "failed"
        hint = error.hint.replace("worker.log", str(context.folder.worker_log))  # whoever raised it does not know where
        return JobResult(outcome=outcome, exit_code=error.exit_code, reason=error.message, next=hint)
    except Exception as error:
        warn_traceback(error)
        return _unforeseen(context, error)


def _spent(context: JobContext, spent: WorkerSpent) -> JobResult:
    """Where the job runs in the process that wanted it."""
    again = how_to_go_on(context.folder, context.order) or "What has a result is in the run's folder."
    reason = f"this process cannot be trusted with another trial: {spent}"
    return failed(reason, f"{again} With --engine process another worker would go on.")


def _unforeseen(context: JobContext, error: Exception) -> JobResult:
    death = loader_death(error)  # torch raises it wherever the job happens to be, even after the training
    if death is not None:
        return failed(death.reason, f"{death.hint} {how_to_go_on(context.folder, context.order)}".strip())
    reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
    return failed(reason, f"The whole traceback is in {context.folder.worker_log}.")


def _job(order: Order) -> Callable[[JobContext], JobResult]:
    """The job's function; importing it brings in torch."""
    if order.job == "tune":
        from speedtui.engine.jobs.tune import run_tune

        return run_tune
    if order.job == "plan":
        from speedtui.engine.jobs.plan import run_plan

        return run_plan
    if order.job == "train":
        from speedtui.engine.jobs.train import run_train

        return run_train
    from speedtui.engine.jobs.demo import run_demo

    return run_demo


def _stopped(context: JobContext, stopped: JobStopped) -> JobResult:
    reasons = {
        ExitCode.INTERRUPTED: "interrupted",
        ExitCode.TERMINATED: "terminated",
        ExitCode.DONE: "stopped on request",
    }
    code = stopped.exit_code
    return JobResult(
        outcome="stopped", exit_code=code, reason=reasons[code], next=how_to_go_on(context.folder, context.order)
    )


def open_context(
    folder: RunFolder, settings: Settings, order: Order, stack: ExitStack, *, wall: Callable[[], float] = time.time
) -> JobContext:
    """The run as whoever writes it now goes on with it; its log is closed with the stack."""
    before, handled = replay_before(folder)
    log = EventLog(folder.events, RunClock(order.started_at, before.t, before.moves.seconds, wall=wall))
    stack.callback(log.close)
    return JobContext(folder, settings, order, log, before, handled)


def replay_before(folder: RunFolder) -> tuple[RunState, frozenset[str]]:
    """What an earlier worker of this run left: its state, and the commands it answered."""
    state, log, handled = StateReducer(), WholeLog(folder.events), set()
    if folder.events.exists():
        for event in log.events():
            state.apply(event)
            if isinstance(event, e.CommandApplied | e.CommandRefused):
                handled.add(event.id)
    state.pass_over(log.passed_over)
    return state.snapshot(), frozenset(handled)


def run_started(context: JobContext, settings: Settings) -> e.RunStarted:
    """That this process has taken up the run."""
    order, before = context.order, context.before
    return e.RunStarted(
        t=context.t,
        run=context.folder.id,
        job=order.job,
        started_at=context.clock.started_at,
        host=socket.gethostname(),
        pid=os.getpid(),
        devices=context.devices,
        versions=context.versions,
        config=msgspec.to_builtins(settings),
        window=order.window,
        restarts=before.restarts + 1 if before.run else 0,
    )


def versions() -> dict[str, str]:
    """Of Python and of what trains, by name; only what is installed."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
