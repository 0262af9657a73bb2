"""A library's long call beside the thread that asked for it, which goes on telling and listening meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

LOOK_SECONDS = 0.1
"""Between two reports while the call lasts."""
_left: list[threading.Thread] = []


def aside(call: Callable[[], Result], waiting: Callable[[], None]) -> Result:
    """What `call` returns or raises. `waiting` is called again and again until it does, in this thread, which may alone
    get signals; where it raises, the call is left behind and its result is dropped.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="aside", daemon=True)
    thread.start()
    _left.append(thread)
    while thread.is_alive():
        thread.join(LOOK_SECONDS)
        waiting()
    _left.remove(thread)
    if errors:
        raise errors[0]
    return results[0]


def left_behind() -> bool:
    """Whether a call is still going on that nobody waits for: a process that ends in order would be aborted by it."""
    return any(thread.is_alive() for thread in _left)
