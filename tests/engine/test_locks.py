"""Locks on file systems that have none or have them in their own way: a verdict is a known one, or none is given."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import RunFolderError
from speedtui.engine.jobs.execute import execute
from speedtui.engine.locks import hold_lock, is_locked
from speedtui.engine.log.run_summary import read_summary, status_of
from speedtui.engine.report.listing import list_entries
from speedtui.engine.runs import UNKNOWN, RunFolder
from speedtui.engine.session.new_run import create_run
from speedtui.engine.session.process import ProcessSession
from speedtui.engine.session.thread import ThreadSession
from tests.engine.events_of_a_run import started, step, training

FLOCK = {"x86_64": 73, "aarch64": 32}
"""Number of the system call, by machine."""
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2


class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(Instruction))]


def refuse_locks(number: int) -> None:
    """Has the kernel answer every flock(2) of this process with that error, as one whose file system has none does."""
    program = (Instruction * 4)(
        Instruction(0x20, 0, 0, 0),  # the number of the call
        Instruction(0x15, 0, 1, FLOCK[platform.machine()]),
        Instruction(0x06, 0, 0, 0x00050000 | number),  # this error
        Instruction(0x06, 0, 0, 0x7FFF0000),  # any other call is let through
    )
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(FilterProgram(4, program))) == 0, ctypes.get_errno()


def without_locks(number: int, work: Callable[[], str]) -> str:
    """What some work says in a process of its own, for which no file can be locked."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            refuse_locks(number)
            said = work()
        except BaseException as error:
            said = repr(error)
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def refusal(work: Callable[[], object]) -> str:
    try:
        return f"no refusal: {work()}"
    except RunFolderError as error:
        return error.message


@pytest.mark.skipif(platform.machine() not in FLOCK, reason="the number of flock(2) on this machine is not known")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_files_cannot_be_locked_no_run_is_alive_or_lost_and_none_is_begun(number: int, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "20260101-000000-train-aaaa")
    run.path.mkdir(mode=0o700)
    run.events.write_bytes(b"".join(map(e.encode, (started("train"), training(), step(1)))))
    run.worker_lock.touch(0o600)
    words = os.strerror(number)

    def look() -> str:
        (entry,) = list_entries(tmp_path)
        return " ".join(
            [str(is_locked(run.worker_lock)), str(run.goes_on()), status_of(read_summary(run)), entry.state]
        )

    assert without_locks(number, look) == "None None unknown unknown"
    begun = without_locks(number, lambda: refusal(lambda: create_run(tmp_path, "train")))
    assert begun.endswith(f"its file system locks no files: {words}")
    assert list(tmp_path.iterdir()) == [run.path]
    resumed = without_locks(number, lambda: refusal(ProcessSession(run).run))
    assert resumed == f"{run.owner_lock}: cannot be locked: {words}"
    resumed = without_locks(number, lambda: refusal(ThreadSession(run).run))
    assert resumed == f"{run.session_lock}: cannot be locked: {words}"
    worker = without_locks(number, lambda: refusal(lambda: execute(run)))
    assert worker == f"{run.worker_lock}: cannot be locked: {words}"
    assert "cannot be told" in UNKNOWN


def test_a_lock_that_is_shared_is_seen_over_nfs_which_wants_to_write_for_an_exclusive_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock

    def over_nfs(file: int, kind: int) -> None:
        """flock(2) there is a lock of bytes: exclusive for who may write, shared for who may read, else EBADF."""
        mode = fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE
        if (kind & fcntl.LOCK_EX and mode == os.O_RDONLY) or (kind & fcntl.LOCK_SH and mode == os.O_WRONLY):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(file, kind)

    monkeypatch.setattr(fcntl, "flock", over_nfs)
    folder = RunFolder(tmp_path)
    with hold_lock(folder.session_lock, shared=True), hold_lock(folder.worker_lock):
        assert folder.watched() is True and folder.worker_alive() is True
    assert folder.watched() is False and folder.goes_on() is False
