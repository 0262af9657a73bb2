"""An object that several threads use, one at a time."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

C = TypeVar("C", bound=type[Any])


def one_thread_at_a_time(cls: C) -> C:
    """A class whose public methods and properties hold one lock, its `_lock`: no thread sees what another is in the
    middle of changing. They may call each other. Whatever is added to the class is guarded likewise."""
    make = cls.__init__

    @functools.wraps(make)
    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        self._lock = threading.RLock()
        make(self, *args, **kwargs)

    cls.__init__ = made
    for name, member in list(vars(cls).items()):
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            setter = _alone(member.fset) if member.fset is not None else None
            setattr(cls, name, property(_alone(member.fget), setter, doc=member.__doc__))  # type: ignore[arg-type]
        elif inspect.isfunction(member):
            setattr(cls, name, _alone(member))
    return cls


def _alone(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def alone(self: Any, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return method(self, *args, **kwargs)

    return alone
