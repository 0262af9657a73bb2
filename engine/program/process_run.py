"""The run of a user's own program, as the one of its processes sees it that trains."""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from pathlib import Path

import msgspec

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import Refused
from speedtui.engine.context.order import OWN_SETTINGS, read_order
from speedtui.engine.files import write_whole
from speedtui.engine.hardware.available import describe_devices
from speedtui.engine.jobs.execute import open_context, run_started, start_sampler, versions
from speedtui.engine.locks import hold_lock
from speedtui.engine.program.inside import RUN
from speedtui.engine.runs import RunFolder


class ProcessRun:
    """Holds the run's log from a program's first training to its end."""

    def __init__(self, folder: RunFolder, settings: Settings) -> None:
        """`settings`: of its first training.

        Raises:
            BlockingIOError: another process of the program has the log.
            SpeedtuiError, OSError: the folder is not as it was made.
        """
        self._owner = os.getpid()
        self._stack = ExitStack()
        with ExitStack() as stack:
            stack.enter_context(hold_lock(folder.program_lock))
            self.context = open_context(folder, settings, read_order(folder), stack)
            self.context.handlers[c.Set] = _refuse_settings
            self.context.devices, self.context.versions = describe_devices(), versions()
            start_sampler(self.context, stack)
            self._stack = stack.pop_all()
        atexit.register(self.close)

    @property
    def of_this_process(self) -> bool:
        """Not so in a forked child, in which no thread of ours runs and the log is its parent's."""
        return os.getpid() == self._owner

    def tell_settings(self, settings: Settings) -> None:
        """Of the training that begins."""
        self.context.settings = settings
        write_whole(self.context.folder.config, dump_settings(settings))
        self.context.emit(msgspec.structs.replace(run_started(self.context, settings), restarts=0), flush=True)

    def close(self) -> None:
        """The books up to here are in the log; whoever started the program tells of its end."""
        if not self.of_this_process:
            return
        self.context.emit(e.BooksUpdated(t=self.context.t, books=self.context.phases.books()))
        self._stack.close()


def _refuse_settings(command: c.AnyCommand) -> str:
    raise Refused(OWN_SETTINGS)


_run: ProcessRun | None = None


def run_of_process(settings: Settings) -> ProcessRun:
    """The run of this process, begun with its first training.

    Raises:
        BlockingIOError: another process of the program has the log, or the one that this was forked from.
    """
    global _run
    if _run is None:
        _run = ProcessRun(RunFolder(Path(os.environ[RUN])), settings)
    if not _run.of_this_process:
        raise BlockingIOError
    return _run
