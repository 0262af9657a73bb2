"""From a checked configuration to a session that is ready to run."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.load import dump_settings, utf8_name
from speedtui.engine.config.settings import Scalar, Settings, WindowSettings
from speedtui.engine.config.window import Window, resolve_window
from speedtui.engine.config.zone import LOCAL
from speedtui.engine.context.order import Alternative, Order, PlanOrder, Program, read_order, write_order
from speedtui.engine.errors import RunFolderError
from speedtui.engine.events import Job
from speedtui.engine.files import write_whole
from speedtui.engine.hardware.available import device_memory_bytes
from speedtui.engine.hardware.host import free_bytes
from speedtui.engine.hardware.peaks import named_device
from speedtui.engine.log.read import read_state
from speedtui.engine.runs import RunFolder
from speedtui.engine.search.start_list import plan_study
from speedtui.engine.session.base import Session
from speedtui.engine.session.new_run import create_run, discard
from speedtui.engine.session.process import ProcessSession
from speedtui.engine.session.program import ProgramSession
from speedtui.engine.session.thread import ThreadSession
from speedtui.engine.units import format_size, parse_size
from speedtui.engine.workload.packages import require_training_packages
from speedtui.engine.workload.sources import check_sources


class StartOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is started, whatever its job."""

    runs: Path
    where: str
    """The configuration's file, for messages."""
    train_command: Sequence[str]
    """How to call `speedtui train` later."""
    in_thread: bool = False
    restarts: int = 0
    """Times in a row that a lost worker of a training is started again."""
    queued: bool = True
    hold: bool = False


def start_study(settings: Settings, options: StartOptions, *, job: Job = "tune") -> Session:
    """A study over the configuration's candidates; `demo` trains with the winner in the same run.

    Raises:
        SpeedtuiError: nothing could be started, and nothing is left behind.
    """
    require_training_packages(settings.model)
    if job != "demo":  # whose worker makes its own model and data
        check_sources(settings, options.where)
    memory = _memory_bytes(settings)
    plan = plan_study(settings, memory)
    order = Order(
        job=job,
        started_at=time.time(),
        mode=plan.mode,
        candidates=plan.candidates,
        note=plan.note,
        queued=options.queued,
        hold=options.hold,
        memory_limit_bytes=memory,
        enforce_limit=bool(settings.search.memory_limit),
        window=_window(settings, options.where),
        train_command=list(options.train_command),
    )
    return _session(_write(settings, order, options.runs), options)


def _memory_bytes(settings: Settings) -> int:
    """What a trial here may take: the limit that is set, else the device's memory."""
    return parse_size(settings.search.memory_limit) if settings.search.memory_limit else device_memory_bytes()


def start_plan(settings: Settings, options: StartOptions, plan: PlanOrder) -> Session:
    """Profiles, schedules and goals against the window, for this device or for one that is not here.

    Raises:
        SpeedtuiError: nothing could be started, and nothing is left behind.
    """
    require_training_packages(settings.model)
    check_sources(settings, options.where)
    order = Order(
        job="plan",
        started_at=time.time(),
        mode="plan",
        plan=plan,
        profile=plan.profile,
        memory_limit_bytes=named_device(plan.device).memory_bytes if plan.device else _memory_bytes(settings),
        enforce_limit=settings.search.memory_limit is not None and not plan.device,
        window=_window(settings, options.where),
        train_command=list(options.train_command),
    )
    return _session(_write(settings, order, options.runs), options)


def start_training(
    settings: Settings,
    options: StartOptions,
    *,
    named: Iterable[str] = (),
    trial: int | None = None,
    profile: str | None = None,
    estimate: Estimate | None = None,
    step_seconds: float | None = None,
    alternatives: Sequence[Alternative] = (),
) -> Session:
    """A training with the configuration as it is.

    `named`: settings by path that its label tells besides the usual ones; `profile`: where its settings come from;
    `step_seconds`, `alternatives`: what the trial or plan behind it measured.

    Raises:
        SpeedtuiError: nothing could be started, and nothing is left behind.
    """
    require_training_packages(settings.model)
    check_sources(settings, options.where)
    order = Order(
        job="train",
        started_at=time.time(),
        window=_window(settings, options.where),
        named=list(named),
        trial=trial,
        profile=profile,
        estimate=estimate,
        step_seconds=step_seconds,
        alternatives=list(alternatives),
        train_command=list(options.train_command),
    )
    return _session(_write(settings, order, options.runs), options)


def start_program(command: Sequence[str], options: StartOptions, *, own_output: bool) -> Session:
    """A user's own program, in the folder that this is called in.

    `own_output`: see `ProgramSession`.

    Raises:
        RunFolderError: the run's folder cannot be made.
    """
    program = Program(command=list(command), folder=os.getcwd())
    order = Order(job="run", started_at=time.time(), program=program, train_command=list(options.train_command))
    return ProgramSession(_write(Settings(), order, options.runs), own_output=own_output)


def resume_training(
    folder: RunFolder, options: StartOptions, window: WindowSettings | None = None,
    changes: Mapping[str, Scalar] | None = None,
) -> Session:  # fmt: skip
    """Goes on with a training from its last checkpoint, in the same run.

    `window`: the time there is now; None leaves the run its own, as far as that is not over. `changes`: settings by
    path that are other ones from now on.

    Raises:
        RunFolderError: it is somebody else's or no training, it has made all its steps, or its worker is alive.
        ConfigError: the window cannot be used.
    """
    require_training_packages()
    folder.require_obeyed()
    if folder.worker_alive():
        raise RunFolderError(f"run {folder.id} is running", f"Look at it with `speedtui attach {folder.id}`.")
    try:
        order = read_order(folder)
    except (OSError, msgspec.DecodeError):
        raise RunFolderError(f"{folder.order}: cannot be read", "Only runs made by speedtui can go on.") from None
    if order.job != "train":
        raise RunFolderError(f"run {folder.id} is no training but a {order.job}", "Start its train.sh instead.")
    _require_steps_left(folder)
    remaining = _remaining(order.window, window, options)
    order = msgspec.structs.replace(order, resume=True, window=remaining, changes=dict(changes or {}))
    try:
        write_order(folder, order)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise RunFolderError(
            f"{folder.order}: cannot be written, so the run cannot go on: {error.strerror or error}",
            f"Make room on its disk, where {format_size(free_bytes(folder.path))} are free, and say it again."
            if full else "It goes on where its folder can be written: mend that, or copy the folder elsewhere.",
        ) from None  # fmt: skip
    return _session(folder, options)


def _require_steps_left(folder: RunFolder) -> None:
    training = read_state(folder.events).training
    finished = training.finished if training is not None else None
    if finished is not None and finished.reason == "steps":
        raise RunFolderError(
            f"run {folder.id} has made all its {finished.steps} steps",
            f"Go on from its model with a second stage: speedtui train --from {folder.id} --epochs 1",
        )


def _remaining(before: Window | None, given: WindowSettings | None, options: StartOptions) -> Window | None:
    """The window of a run that goes on."""
    now = datetime.now(LOCAL)
    if given is not None:
        return resolve_window(given, now, options.where, os.environ)
    of_job = resolve_window(WindowSettings(), now, options.where, os.environ)
    if before is None or before.deadline <= now.timestamp() or before.source:
        return of_job
    return before if of_job is None or before.safe_until <= of_job.safe_until else of_job


def _window(settings: Settings, where: str) -> Window | None:
    return resolve_window(settings.window, datetime.now(LOCAL), where, os.environ)


def _write(settings: Settings, order: Order, runs: Path) -> RunFolder:
    utf8_name(runs.resolve())
    folder = create_run(runs, order.job)
    try:
        write_whole(folder.config, dump_settings(settings), durable=True)
        write_order(folder, order)
    except OSError as error:
        discard(folder)
        raise RunFolderError(
            f"{folder.path}: the run's files cannot be written: {error.strerror or error}",
            "Make room or name another folder with --runs.",
        ) from None
    return folder


def _session(folder: RunFolder, options: StartOptions) -> Session:
    return ThreadSession(folder) if options.in_thread else ProcessSession(folder, restarts=options.restarts)
