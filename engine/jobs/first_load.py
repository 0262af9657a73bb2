"""A model or adapter that finds no memory when it is made: the run has not failed, nothing fits; and what would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import NothingFits, SpeedtuiError
from speedtui.engine.units import format_size

if TYPE_CHECKING:
    import torch

TELLING = 0.05
"""Share of a device's memory from which on what others hold of it is told; less is the context of this process."""


@contextmanager
def first_load(settings: Settings, device: torch.device) -> Iterator[None]:
    """A block in which the run's model is loaded.

    Raises:
        NothingFits: there was no memory for it; the hint is what would help.
    """
    with _must_fit("the model", lambda: what_would_load(settings, device)):
        yield


@contextmanager
def first_adapter() -> Iterator[None]:
    """A block in which a loaded model gets its adapter.

    Raises:
        NothingFits: there was no memory for it.
    """
    with _must_fit("the adapter", lambda: "Lower train.lora.r, or name fewer layers in train.lora.target_modules."):
        yield


@contextmanager
def _must_fit(what: str, hint: Callable[[], str]) -> Iterator[None]:
    from speedtui.engine.trial.failures import describe_failure
    from speedtui.engine.workload.failures import is_out_of_memory

    try:
        yield
        return
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        reason = describe_failure(error).reason
    raise NothingFits(f"{what} does not fit in memory: {reason}", hint())


def what_would_load(settings: Settings, device: torch.device) -> str:
    """What its weights take of what is there, who else has some of that, and what makes them smaller."""
    weights, there = weights_bytes(settings), memory_of(device)
    facts, ways = [], []
    if weights is not None and there is not None:
        facts.append(f"Its weights alone take {format_size(weights)} of {format_size(there[1])}.")
    if there is not None and there[0] > TELLING * there[1]:
        facts.append(f"{format_size(there[0])} of the device are taken by something else than this process's tensors.")
        ways.append("free them or name another device in CUDA_VISIBLE_DEVICES")
    if settings.model.dtype == "float32" and settings.model.kind != "python":
        ways.append('set model.dtype = "bfloat16"')
    if settings.model.quantize == "none" and settings.train.method == "lora" and settings.model.kind != "python":
        ways.append('model.quantize = "nf4"')
    ways.append("take a smaller model")
    advice = ", or ".join(ways)
    return " ".join([*facts, f"{advice[0].upper()}{advice[1:]}."])


def weights_bytes(settings: Settings) -> int | None:
    """Of the model's parameters and buffers, from its config alone; None where that does not tell."""
    architecture = settings.model.architecture
    if settings.model.kind == "python" or settings.model.quantize != "none":
        return None
    if architecture and "vocab_size" not in architecture:  # its tokenizer's
        return None
    from speedtui.engine.memory.build import build_model, config_of
    from speedtui.engine.memory.peak_model import MemoryRequest

    request = MemoryRequest(settings=settings, longest_tokens=1)
    try:
        model = build_model(config_of(request), settings.model)
    except SpeedtuiError:
        return None
    return sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))


def memory_of(device: torch.device) -> tuple[int, int] | None:
    """(bytes neither free nor held by torch here, all bytes) of a GPU; None on the CPU or where it does not tell."""
    if device.type != "cuda":
        return None
    import torch

    try:
        free, total = torch.cuda.mem_get_info(device)
        return max(total - free - torch.cuda.memory_reserved(device), 0), total
    except RuntimeError:
        return None
