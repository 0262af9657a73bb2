"""Answers on a simulated CUDA device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from speedtui.engine.config.settings import Settings
from speedtui.engine.evaluate.generation import Generation
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_workload
from tests.engine.workload.small import LLAMA
from tests.simulated_cuda import SimulatedCuda

CUDA = torch.device("cuda", 0)


def test_answers_are_those_of_the_cpu_and_fewer_at_a_time_where_memory_ends(
    cuda: SimulatedCuda, asked: Callable[..., Settings]
) -> None:
    settings = asked(LLAMA, schedule={"generation_batch_size": 4})
    notices: list[str] = []
    found = []
    for device in (torch.device("cpu"), CUDA):
        workload = load_workload(settings, device=device, report=silent)
        generation = Generation(settings, workload, device, silent, notices.append)
        if device == CUDA:
            cuda.on_operation = out_of_memory_once(cuda)
        found.append(generation.texts(workload.model, settings.schedule, range(6)))
    assert found[0] == found[1]
    assert notices == ["generating for 4 samples at a time ran out of memory; it goes on with 2"]


def test_the_time_of_answers_is_taken_when_the_device_is_through(
    cuda: SimulatedCuda, asked: Callable[..., Settings]
) -> None:
    settings = asked(LLAMA, schedule={"generation_batch_size": 2})
    workload = load_workload(settings, device=CUDA, report=silent)
    generation = Generation(settings, workload, CUDA, silent, lambda text: None)
    before = cuda.synchronized
    written = generation.timed(workload.model, settings.schedule, range(2), 3)
    assert written.tokens == 3
    assert cuda.synchronized - before >= 3 + 2  # of each token, before the first and after the last


def out_of_memory_once(cuda: SimulatedCuda) -> Any:
    def fail(operator: Any) -> None:
        cuda.on_operation = None
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return fail
