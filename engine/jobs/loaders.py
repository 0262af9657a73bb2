"""What the death of a loader process means."""

from __future__ import annotations

import re
import signal
import time
import traceback

import msgspec

DIED = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (.*)", re.DOTALL)
"""How torch begins all its messages about one: killed by a signal, or exited with a code."""
MEMORY_HINT = "Take fewer train.loader_workers or a smaller train.micro_batch_size, or give the machine more memory."
SHARED_HINT = "Make /dev/shm larger (docker run --shm-size=8g), or take fewer train.loader_workers."
GONE_SECONDS = 5.0
"""In which a process that was killed is dead, whose pipes are closed already."""
OWN_HINT = "Set train.loader_workers = 0 to see the error itself."


class LoaderDeath(msgspec.Struct, frozen=True, kw_only=True):
    """Why a loader process is gone."""

    reason: str
    hint: str


def loader_death(error: BaseException) -> LoaderDeath | None:
    """What an error, or one that it came from, says of a loader process that died; None where it is of another kind.

    torch raises it in the training thread wherever that happens to be, so the model cannot be saved any more.
    """
    chain: BaseException | None = error
    found: LoaderDeath | None = None
    while chain is not None:
        said = DIED.match(str(chain))
        if said is not None:
            found = _describe(said[1].strip(), said[2])
            if "signal" in said[2]:  # the one that knows most; the others only miss the process
                break
        chain = chain.__cause__ or chain.__context__
    return found or _behind_a_broken_pipe(error)


def _behind_a_broken_pipe(error: BaseException) -> LoaderDeath | None:
    """Of a batch that did not come whole: torch tells of its process only where that is dead when its pipe is."""
    reading = any(frame.f_code.co_name == "_try_get_data" for frame, _ in traceback.walk_tb(error.__traceback__))
    if not reading or not isinstance(error, ConnectionError | EOFError):
        return None
    import torch  # which is there, where a batch is

    try:
        end = time.monotonic() + GONE_SECONDS
        while time.monotonic() < end:
            torch._C._error_if_any_worker_fails()  # raises, as its handler of SIGCHLD does meanwhile
            time.sleep(0.01)
    except RuntimeError as died:
        return loader_death(died)
    return None


def _describe(pid: str, what: str) -> LoaderDeath:
    killed = re.match(r"is killed by signal: ([^.]+)\.", what)
    if killed is not None:
        return _killed(pid, _number_of(killed[1].strip()), killed[1].strip())
    code = re.search(r"exit code (-?\d+)", what)
    how = f"ended with exit code {code[1]}" if code is not None else "ended unexpectedly"
    return LoaderDeath(reason=f"a loader process (pid {pid}) {how}", hint=OWN_HINT)


def _killed(pid: str, number: signal.Signals | None, name: str) -> LoaderDeath:
    by = number.name if number is not None else name
    who = f"a loader process (pid {pid}) was killed by {by}"
    if number is signal.SIGBUS:
        return LoaderDeath(reason=f"{who}: the shared memory in /dev/shm is full", hint=SHARED_HINT)
    if number is signal.SIGKILL:
        return LoaderDeath(reason=f"{who}, as the kernel does where memory runs out", hint=MEMORY_HINT)
    return LoaderDeath(reason=who, hint=OWN_HINT)


def _number_of(description: str) -> signal.Signals | None:
    """The signal that the C library calls so, such as `Killed`."""
    return next((number for number in signal.Signals if signal.strsignal(number) == description), None)
