"""Peaks from fake tensors, computed in a process of their own and kept in the cache."""

from __future__ import annotations

from collections.abc import Sequence

from speedtui.engine.memory.surface import MemoryRequest, Prediction
from speedtui.engine.workload.base import Report


def predict(requests: Sequence[MemoryRequest], report: Report) -> list[Prediction]:
    """A surface for each request, in order, or why there is none.

    Importing this module loads no torch; neither does calling it.
    """
    raise NotImplementedError
