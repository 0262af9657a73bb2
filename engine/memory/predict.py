"""Peaks from fake tensors, computed in a process of their own and kept in the cache."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from speedtui.engine.memory.child import Child, ChildDied
from speedtui.engine.memory.peak_model import MemoryRequest, Prediction, Unpredictable
from speedtui.engine.memory.prediction_cache import keep, kept, key_of_request
from speedtui.engine.workload.base import Report

WHAT = "predicting memory"


def predict(requests: Sequence[MemoryRequest], report: Report) -> list[Prediction]:
    """A surface for each request, in order, or why there is none.

    What was predicted before comes from the cache; the rest is computed one after the other in a child process on one
    core, some seconds each. A request that kills the child, which fake tensors can, costs itself only. `report` is
    called all along and may raise to end it: the child is killed then. Importing this module loads no torch; neither
    does calling it.
    """
    keys = [key_of_request(request) for request in requests]
    found = {number: answer for number, key in enumerate(keys) if (answer := kept(key)) is not None}
    same = [keys.index(key) if key is not None else number for number, key in enumerate(keys)]
    missing = [number for number in range(len(requests)) if number not in found and same[number] == number]
    known = len(requests) - len(missing)
    with closing(_computed(missing, requests, known, report)) as computed:
        for done, (number, answer, lasting) in enumerate(computed, start=1):
            found[number] = answer
            if lasting:
                keep(keys[number], answer)
            report(WHAT, known + done, len(requests))
    return [found[same[number]] for number in range(len(requests))]


def _computed(
    missing: Sequence[int], requests: Sequence[MemoryRequest], known: int, report: Report
) -> Generator[tuple[int, Prediction, bool]]:
    """(number, prediction, whether it is worth keeping) of each missing request."""
    child: Child | None = None
    try:
        for done, number in enumerate(missing):
            tick = _ticking(report, known + done, len(requests))
            tick()
            child = child or Child()
            try:
                answer = child.ask(requests[number], tick)
                yield number, answer.prediction, answer.lasting
            except ChildDied as death:
                child.close()
                child = None
                yield number, Prediction(outcome=Unpredictable(reason=death.reason), seconds=death.seconds), False
    finally:
        if child is not None:
            child.close()


def _ticking(report: Report, done: int, total: int) -> Callable[[], None]:
    return lambda: report(WHAT, done, total)
