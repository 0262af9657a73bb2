"""What a block has at hand: its device, a folder, and somebody to tell what it found."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity

from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState
from speedtui.engine.trial.runner import TrialRunner
from tests.gpu.found import Findings
from tests.simulated_cuda import SimulatedCuda

REPOSITORY = Path(__file__).resolve().parents[2]


class Site:
    """One block at work. In a rehearsal the device is simulated: the same calls, with models that are tiny."""

    def __init__(self, findings: Findings, folder: Path, simulated: SimulatedCuda | None) -> None:
        """`folder` is shared by all blocks; `simulated`: the device of a rehearsal."""
        self._findings = findings
        self.folder = folder
        self.simulated = simulated
        self.device = torch.device("cuda", 0)
        self._jobs = 0

    @property
    def rehearsal(self) -> bool:
        """Its figures say nothing of a GPU."""
        return self.simulated is not None

    def pick(self, on_gpu: Any, rehearsed: Any) -> Any:
        """The first on a GPU, the second in a rehearsal."""
        return rehearsed if self.rehearsal else on_gpu

    # -- what was found ----------------------------------------------------------------------------

    def claim(self, key: str, held: bool, found: str) -> None:
        """What came of a claim of this block."""
        self._findings.claim(key, held, found)

    def cannot(self, *keys: str, why: str) -> None:
        """These claims cannot be looked at here."""
        for key in keys:
            self._findings.claim(key, None, why)

    def figures(self, **values: Any) -> None:
        """What was measured, by name; each is on disk at once."""
        self._findings.figures(values)

    # -- what it needs -----------------------------------------------------------------------------

    @property
    def activities(self) -> list[ProfilerActivity]:
        """What torch.profiler is to look at: a build without CUDA has no kernels to be seen."""
        return [self.pick(ProfilerActivity.CUDA, ProfilerActivity.CPU)]

    def seconds(self, run: Callable[[], object]) -> float:
        """Wall seconds of something, until the device is done with it."""
        torch.cuda.synchronize()
        began = time.perf_counter()
        run()
        torch.cuda.synchronize()
        return time.perf_counter() - began

    @contextlib.contextmanager
    def context(self, settings: Any, limit_bytes: int | None = None) -> Iterator[JobContext]:
        """A job of its own folder and log in this process."""
        self._jobs += 1
        folder = self.folder / f"{time.monotonic_ns()}-{self._jobs}"
        folder.mkdir()
        log = EventLog(folder / "events.jsonl", RunClock())
        order = Order(
            job="tune", started_at=time.time(), memory_limit_bytes=limit_bytes, enforce_limit=limit_bytes is not None
        )
        try:
            yield JobContext(RunFolder(folder), settings, order, log, RunState(), frozenset())
        finally:
            log.close()

    @contextlib.contextmanager
    def runner(self, settings: Any, limit_bytes: int | None = None) -> Iterator[TrialRunner]:
        """Trials in this process, with the model loaded."""
        with self.context(settings, limit_bytes) as context:
            runner = TrialRunner(context, self.device)
            runner.load(settings)
            yield runner
