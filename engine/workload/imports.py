"""Importing torch and what is built on it without looking for garbage there."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is collected while torch is imported within it, and none is ever looked for in what came.

    Three quarters of a million objects come to stay. Python would go through those that are there again and again, a
    sixth of the time that the imports take, and through all of them at each full collection, of which a trainer asks
    for several a run. Where torch is there already nothing is done: then other things are among what is collected.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    gc.freeze()
