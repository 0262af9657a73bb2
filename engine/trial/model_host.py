"""What trials run on: a model that is loaded once, made ready for each and put back after it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import msgspec
import torch
from torch import nn

from speedtui.engine.candidate import (
    Candidate,
    MemoryBreakdown,
    TrialStatus,
)
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.meter.limit import CpuLimit, CudaLimit
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.output import warn_traceback
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.timing.possible import require_possible
from speedtui.engine.trainer.attending import attending
from speedtui.engine.trainer.loaded import tell_loaded
from speedtui.engine.trainer.needless_mask import keep_proof, proof_of, runs_without_mask
from speedtui.engine.trial.arithmetic import Arithmetic
from speedtui.engine.trial.costs import CostKey, MeasuredCosts, cost_key
from speedtui.engine.trial.failures import TrialEnded
from speedtui.engine.trial.prepared import StateGuard
from speedtui.engine.trial.probe_setup import ProbeSetup
from speedtui.engine.units import format_size
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.data_cache import DataCache
from speedtui.engine.workload.evaluation_batch import evaluation_rows, generation_rows
from speedtui.engine.workload.failures import kind_and_first_line, why_broken
from speedtui.engine.workload.load import load_workload, with_model
from speedtui.engine.workload.precision import require_device
from speedtui.engine.workload.quantized import held_tensors
from speedtui.engine.workload.recipe import data_differs, rebuild_needed

RETURNED = 1 << 20
"""Bytes a trial may leave allocated on a GPU; more means something still holds its tensors, and costs a new worker.

Not measured yet: what a library keeps for itself besides the work spaces that `release_memory` clears is known only on
a GPU. tests/gpu prints what each kind of trial leaves."""


class ModelHost:
    """Holds the workload between trials, and what was found out about it; one thread uses it."""

    def __init__(self, context: JobContext, device: torch.device) -> None:
        self.context = context
        self.device = device
        self.workload: Workload | None = None
        self.loads = 0
        """How often a model was loaded."""
        self._loaded_for: Settings | None = None
        self._without_mask: dict[bytes, bool] = {}
        """By what it hangs on besides the model."""
        self._data_cache: DataCache | None = None
        self.arithmetic = Arithmetic(context, device)
        self.guard = StateGuard(device)
        """Puts the model back after each trial."""
        self._baseline_bytes = 0
        self._stepped = False
        self.load_seconds: float | None = None
        """From the start of a worker to a loaded model, as the first load of this one took."""
        self.costs: dict[CostKey, MeasuredCosts] = {}
        """Of evaluations and saves, by the kind of run: measured with its first trial that is ok."""
        self.predictions: dict[int, tuple[int, MemoryBreakdown | None]] = {}
        """By trial: the peak expected, calibrated, in bytes, and what it consists of; goes into its result."""
        self.poisoned = ""
        """Why this process can run no further trial; empty while it can."""
        self.stop_trial: int | None = None
        """The trial somebody asked to stop."""
        self.deadline: float | None = None
        """Of the study's budget, on `working_seconds`."""

    def load(self, settings: Settings) -> Workload:
        """The workload for these settings: the one in memory where it serves, else loaded now.

        Raises:
            SpeedtuiError: the model or the data cannot be used, or not with these settings.
        """
        require_device(settings, self.device)
        workload = self._loaded(settings)
        require_possible(settings, workload)
        return workload

    def _loaded(self, settings: Settings) -> Workload:
        loaded_for = self._loaded_for
        if self.workload is not None and loaded_for is not None and not rebuild_needed(loaded_for, settings):
            return self._with_data(self.workload, loaded_for, settings)
        known = self._known_of_mask(settings)
        self.workload = self._loaded_for = self._data_cache = None  # before the next one comes, not once it has come
        self.guard.forget()
        self.arithmetic.forget()
        gc.unfreeze()
        release_memory(self.device)
        started = working_seconds()
        with self.context.phases.phase("load"):
            workload = load_workload(settings, device=self.device, report=self.context.progress)
        keep_proof(workload.model, known)
        self.workload, self._loaded_for = workload, settings
        self._data_cache = DataCache(workload, settings, self.context.progress)
        self.loads += 1
        gc.freeze()  # what is loaded stays: else each of a trial's collections walks through all of torch again
        seconds = working_seconds() - started
        tell_loaded(self.context, workload, settings, seconds)
        if self.device.type == "cuda":
            release_memory(self.device)  # the work spaces of what was computed on the way come and go
            self._baseline_bytes = torch.cuda.memory_allocated(self.device)
        if self.load_seconds is None:
            self.load_seconds = self._since_start()
        return workload

    def _known_of_mask(self, settings: Settings) -> bool | None:
        """What the loaded model has shown of its mask, if the next one is the same in another precision: what was
        predicted by the one holds for the other's trial."""
        if self.workload is None or self._loaded_for is None:
            return None
        old, new = self._loaded_for.model, settings.model
        same = msgspec.structs.replace(old, dtype=new.dtype, quantize=new.quantize, attention=new.attention) == new
        return proof_of(self.workload.model) if same else None

    def data_for(self, settings: Settings) -> Workload:
        """A workload with the data of these settings, without a model; what is loaded stays so.

        Raises:
            DataError, ConfigError: they name data that cannot be used.
        """
        if self._data_cache is None:
            return self._loaded(settings)
        with self.context.phases.phase("load"):
            return self._data_cache.get(settings)

    def _with_data(self, workload: Workload, loaded_for: Settings, settings: Settings) -> Workload:
        """The loaded model with the data of these settings, which another maximum length or packing makes anew."""
        if data_differs(loaded_for, settings):
            self.workload = with_model(self.data_for(settings), workload, settings)
            self._loaded_for = settings
        return self.workload or workload

    def _since_start(self) -> float:
        """What a new worker takes until its model is loaded: its process, importing the libraries, loading."""
        return self.context.phases.books().phases.get("load", 0.0)

    def run_costs(self, settings: Settings, start: RunCosts) -> RunCosts:
        """What is known of a run's costs by now; `start`: of its beginning."""
        measured = self.costs.get(cost_key(settings))
        start = msgspec.structs.replace(start, load_seconds=self.load_seconds)
        if measured is None or self.workload is None:
            return start
        costs = measured.of_run(self.workload, evaluation_rows(settings, self.workload), start=start)
        return costs if measured.answers is None else measured.answers.of_run(costs, self.workload, settings)

    def without_mask(self, settings: Settings) -> bool:
        """Whether attention goes without the mask of padding in a run with these settings.

        By the model that is loaded, in whatever precision; while none is, as it was last.
        """
        if self.device.type != "cuda":
            return False
        model, data, train = settings.model, settings.data, settings.train
        key = msgspec.json.encode((model, data.packing, train.compile, train.bf16, train.fp16))
        workload = self.workload
        if workload is not None:
            same = workload.packed == data.packing
            with_data = workload if same else self.data_for(settings)
            self._without_mask[key] = runs_without_mask(workload.model, with_data, settings, self.device)
        return self._without_mask.get(key, False)

    def answered_at_a_time(self, settings: Settings) -> int:
        """Rows of a batch of answers in a run with these settings."""
        assert self.workload is not None
        return generation_rows(settings, self.workload)

    @contextmanager
    def trial(self, settings: Settings) -> Iterator[tuple[Workload, nn.Module]]:
        """The workload, and its model made ready as a training with these settings has it; both as before afterwards.

        Raises:
            SpeedtuiError: the model or the data cannot be used, or not with these settings.
        """
        workload = self.load(settings)
        with (
            self.guard.trial(workload, settings) as model,
            attending(self.context, model, workload, settings, self.device),
        ):
            yield workload, model

    def probe_setup(self, candidate: Candidate, settings: Settings, model: nn.Module) -> ProbeSetup:
        """What the probes of a candidate need, within its `trial`."""
        assert self.workload is not None
        return ProbeSetup(
            context=self.context, workload=self.workload, model=model, settings=settings, device=self.device,
            trial=candidate.id, check=lambda: self.check_trial(candidate),
        )  # fmt: skip

    def limit(self, model: nn.Module) -> AbstractContextManager[None]:
        """The memory limit made real for the length of a memory probe, where the user set one.

        It includes the weights. What the probe survives no batch of the data exceeds, so the rest goes without.
        """
        order = self.context.order
        if not order.enforce_limit or order.memory_limit_bytes is None:
            return nullcontext()
        if self.device.type == "cpu":
            release_memory(self.device)
            first, self._stepped = not self._stepped, True
            return CpuLimit(order.memory_limit_bytes, resident_bytes=_weight_bytes(model), first=first)
        return CudaLimit(order.memory_limit_bytes, self.device)

    @property
    def over_budget(self) -> bool:
        """Whether the study's budget is spent."""
        return self.deadline is not None and working_seconds() > self.deadline

    def check_trial(self, candidate: Candidate) -> None:
        """Raises `TrialEnded` where somebody stopped the trial or the budget is spent."""
        if self.stop_trial == candidate.id:
            self.stop_trial = None
            raise TrialEnded(TrialStatus.PRUNED, "stopped by hand")
        if self.over_budget:
            raise TrialEnded(TrialStatus.TIMED_OUT, "the study's budget was spent during this trial")

    def settle(self) -> None:
        """Gives memory back and looks whether this process can be trusted with another trial.

        It raises nothing: the trial that was has its result, and what goes wrong here is the next one's loss alone.
        On a device that is known to be broken nothing is called: such a call may wait for ever.
        """
        self.poisoned = self.poisoned or self.guard.lost
        if self.poisoned:
            return
        try:
            release_memory(self.device)
            self.poisoned = why_broken(self.device) or self._why_held()
        except Exception as error:
            warn_traceback(error)
            self.poisoned = kind_and_first_line(error)

    def _why_held(self) -> str:
        """Why a next trial would have less memory; empty where it has all of it."""
        if self.device.type != "cuda":
            return ""
        left = torch.cuda.memory_allocated(self.device) - self._baseline_bytes
        return f"{format_size(left)} of a trial were still on the device after it" if left > RETURNED else ""


def _weight_bytes(model: nn.Module) -> int:
    return sum(tensor.untyped_storage().nbytes() for tensor in held_tensors(model))
