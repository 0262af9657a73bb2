"""The process that computes predictions: requests in on stdin, answers out on stdout, a JSON line each.

One of its own, because torch's C++ code ends the process where a fake tensor meets what it does not know, and because
whoever asks needs no torch. It ends with its stdin.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import warnings

import msgspec

from speedtui.engine.clean import clean
from speedtui.engine.errors import RecipeError, SpeedtuiError
from speedtui.engine.memory.child import PredictionReply
from speedtui.engine.memory.peak_model import MemoryRequest, Prediction, Unpredictable
from speedtui.engine.output import warn_traceback
from speedtui.engine.workload.imports import uncollected


def main() -> None:
    """Answers until there is nobody left to ask."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    requests: queue.SimpleQueue[MemoryRequest] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    _prepare()
    while True:
        answers.write(msgspec.json.encode(answer(requests.get())) + b"\n")
        answers.flush()


def _read(requests: queue.SimpleQueue[MemoryRequest]) -> None:
    for line in sys.stdin.buffer:
        requests.put(msgspec.json.decode(line, type=MemoryRequest))
    os._exit(0)  # in the middle of a prediction: whoever asked is gone


def _prepare() -> None:
    with uncollected():
        from transformers.utils import logging

        from speedtui.engine.memory import compute  # noqa: F401  # what is loaded now is not billed to a request

    warnings.simplefilter("ignore")
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers leaves it bare
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def answer(request: MemoryRequest) -> PredictionReply:
    """The surface, or why there is none."""
    from speedtui.engine.memory.compute import surface

    began = time.process_time()
    lasting = True
    try:
        outcome: object = surface(request)
    except Exception as error:
        warn_traceback(error)
        outcome = Unpredictable(reason=_reason(error))
        lasting = not isinstance(error, SpeedtuiError | OSError | MemoryError)
    seconds = round(time.process_time() - began, 3)
    return PredictionReply(prediction=Prediction(outcome=outcome, seconds=seconds), lasting=lasting)  # type: ignore[arg-type]


def _reason(error: Exception) -> str:
    if isinstance(error, RecipeError):
        return f"the recipe cannot be built on the meta device: {error.message}"
    if isinstance(error, SpeedtuiError):
        return error.message
    from speedtui.engine.memory.trace import HiddenMemory

    if isinstance(error, HiddenMemory):
        return str(error)
    from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

    if isinstance(error, DataDependentOutputException | DynamicOutputShapeException):
        return f"what the model does depends on values that only a real run computes ({error.func})"
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"the model does not run on fake tensors: {type(error).__name__}: {clean(first, 200)}"


if __name__ == "__main__":
    main()
