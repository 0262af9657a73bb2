"""The folders of runs: what is in them, found, listed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from speedtui.engine.errors import RunFolderError
from speedtui.engine.locks import hold_lock, is_locked
from speedtui.engine.run_start import is_own_name, started_at
from speedtui.engine.trust import flaw, mine

LOG_NAME = "events.jsonl"
UNKNOWN = "whether its worker lives cannot be told: its lock cannot be looked at from here"
"""What is said of a run of which `goes_on` does not know."""


class RunFolder(msgspec.Struct, frozen=True):
    """`runs/<id>/` and the names in it."""

    path: Path
    log: Path | None = None
    """A log that lies alone, without its run's folder, such as one that was sent; it can be shown and nothing else."""

    @property
    def id(self) -> str:
        """The run's id, the folder's name."""
        return _as_text(self.path.name if self.log is None else self.log.stem)

    @property
    def events(self) -> Path:
        """The source of truth."""
        return self.path / LOG_NAME if self.log is None else self.log

    @property
    def commands(self) -> Path:
        """What sessions ask of the worker."""
        return self.path / "commands.jsonl"

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.toml"

    @property
    def order(self) -> Path:
        """What the worker is to do: job, candidates, options."""
        return self.path / "job.json"

    @property
    def worker_log(self) -> Path:
        """stdout and stderr of the worker."""
        return self.path / "worker.log"

    @property
    def screen_log(self) -> Path:
        """stdout and stderr of what runs beside a screen; nowhere for a log that lies alone or is somebody else's."""
        return self.path / "screen.log" if self.log is None and not flaw(self.path) else Path(os.devnull)

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of the training."""
        return self.path / "checkpoints"

    @property
    def worker_lock(self) -> Path:
        """Locked by the worker as long as it lives."""
        return self.path / "worker.lock"

    @property
    def program_lock(self) -> Path:
        """Locked by the process of a user's own program that is metered; its worker is who started the program."""
        return self.path / "program.lock"

    @property
    def session_lock(self) -> Path:
        """Locked, shared, by every session that looks on."""
        return self.path / "session.lock"

    @property
    def owner_lock(self) -> Path:
        """Locked by the session that started the worker, which alone starts it again or ends the run in its place."""
        return self.path / "owner.lock"

    @property
    def stall_lock(self) -> Path:
        """Locked by a session for the moment in which it tells of a stall."""
        return self.path / "stall.lock"

    @property
    def alert_lock(self) -> Path:
        """Locked by the process that sends the run's alerts."""
        return self.path / "alert.lock"

    def flaw(self) -> str:
        """What in it is obeyed and can have been written by somebody else, and why; empty where nothing is."""
        obeyed = (self.events, self.order, self.config, self.commands, self.checkpoints)
        locks = (
            self.worker_lock,
            self.program_lock,
            self.session_lock,
            self.owner_lock,
            self.stall_lock,
            self.alert_lock,
        )
        for path in (self.path, *obeyed, *locks):
            if found := flaw(path):
                return f"{path} {found}"
        return ""

    def require_obeyed(self) -> None:
        """To be asked before anything in it is followed, executed, written or killed.

        Raises:
            RunFolderError: it is somebody else's, and was not named in full as trusted.
        """
        if found := self.flaw():
            raise RunFolderError(
                f"{found}, so this run is only looked at",
                f"To act on it all the same, add --trust {shlex.quote(str(self.path))}; links in it are not followed.",
            )

    def worker_alive(self) -> bool | None:
        """Whether a worker holds the run now; true across process ids and reboots. None where that cannot be told, such
        as of somebody else's run whose lock may not be read."""
        return is_locked(self.worker_lock)

    def owned(self) -> bool | None:
        """Whether the session that started the worker is there and will do something when that dies; None as above."""
        return is_locked(self.owner_lock)

    def goes_on(self) -> bool | None:
        """Whether either is so; None where neither is known to be, and one may be."""
        held = self.worker_alive(), self.owned()
        return any(held) or (None if None in held else False)

    def watched(self) -> bool | None:
        """Whether any session is attached; None as above."""
        return is_locked(self.session_lock, shared=True)


def _as_text(name: str) -> str:
    """A file's name as UTF-8 can hold it, also where the locale's encoding is another one than the name's."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    return name


@contextmanager
def holding(path: Path, *, held: RunFolderError | None = None, shared: bool = False) -> Iterator[None]:
    """Holds one of a run's locks; `held`: what is raised where somebody else does.

    Raises:
        RunFolderError: somebody does, or the file system has no locks.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(path, shared=shared))
        except OSError as error:
            if held is not None and isinstance(error, BlockingIOError):
                raise held from None
            raise RunFolderError(
                f"{path}: cannot be locked: {error.strerror or error}",
                "A run goes on where files can be locked: copy its folder to another disk.",
            ) from None
        yield


def find_run(runs: Path, name: str | None) -> RunFolder:
    """The run with that id, its beginning, a link's name or its path, one's own before another's; for None the one of
    one's own that was started last of those that can be read.

    Raises:
        RunFolderError: there is none, or several begin so.
    """
    if name is not None:
        _require_name(name)
        for path in (Path(name), runs / name):
            if os.path.lexists(path / LOG_NAME):
                return RunFolder(path.resolve())
    known = list_runs(runs)
    own = [run for run in known if mine(run.path)]
    if not known or (name is None and not own):
        what = "no runs here" if not known else "no runs of yours here"
        raise RunFolderError(f"{runs}: {what}", "Start one with `speedtui tune`, or name the folder with --runs.")
    if name is None:
        return next((run for run in own if os.access(run.events, os.R_OK)), own[0])
    name = _as_text(name)
    matches = [run for run in own if name in run.id] or [run for run in known if name in run.id]
    if len(matches) == 1:
        return matches[0]
    problem = "no run of that name" if not matches else f"{len(matches)} runs match"
    raise RunFolderError(f"{name}: {problem} in {runs}", "`speedtui runs` lists them.")


def _require_name(name: str) -> None:
    """Every name has nothing in it, and a path of nothing is the folder one is in."""
    if not name.strip():
        raise RunFolderError("the name of a run is empty", "`speedtui runs` lists them.")


def find_recording(runs: Path, name: str) -> RunFolder:
    """The run with that id, its beginning or its path, or the log that has this path.

    Raises:
        RunFolderError: there is none, or several begin so.
    """
    path = Path(os.path.realpath(name))
    is_log = os.path.lexists(path) and not os.path.isdir(path)
    return RunFolder(path.parent, path) if is_log else find_run(runs, name)


def list_runs(runs: Path) -> list[RunFolder]:
    """Every run in the folder, the one that was started last first; a link to one of them is no other run.

    One that may not be looked into, or has something else in the place of its log, is one too: its row says so.
    """
    try:
        found = {os.path.realpath(path) for path in runs.iterdir() if _may_be_run(path)}
    except OSError:
        return []
    return sorted((RunFolder(Path(path)) for path in found), key=_order, reverse=True)


def _may_be_run(path: Path) -> bool:
    try:
        os.lstat(path / LOG_NAME)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _order(folder: RunFolder) -> tuple[float, bool, float]:
    """By its start; before a copy of it, which has another name."""
    try:
        written = folder.events.stat().st_mtime
    except OSError:  # deleted meanwhile, or not to be read
        written = 0.0
    return started_at(folder.id, folder.events) or written, is_own_name(folder.id), written
