"""Peaks predicted before a trial runs, told as events, and held against what the trial then shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, TrialResult
from speedtui.engine.config.capability import FLASH, Capability, words
from speedtui.engine.config.paths import differing_scalars, value_at
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext, JobStopped
from speedtui.engine.hardware.limits import available_memory_bytes
from speedtui.engine.hardware.peaks import named_device
from speedtui.engine.jobs.device import settle_device
from speedtui.engine.memory.peak_model import (
    Calibration,
    DeviceKind,
    MemoryRequest,
    MemorySurface,
    Prediction,
    Unpredictable,
)
from speedtui.engine.memory.predict import predict
from speedtui.engine.search.candidates import apply_candidate, make_candidate
from speedtui.engine.search.memory_fit import MemoryFit
from speedtui.engine.search.space import class_key, memory_request

if TYPE_CHECKING:
    import torch

    from speedtui.engine.trial.runner import TrialRunner

UNKNOWN_LENGTHS = "the length of the samples is not known"


class Predictor:
    """The predicted peaks of a study, corrected by its trials."""

    def __init__(self, context: JobContext, runner: TrialRunner, past: Calibration | None = None) -> None:
        """With a runner that has its workload; `past`: how peaks compared in earlier runs on this device."""
        self._context = context
        self._runner = runner
        self.past = past
        self.surfaces: dict[bytes, MemorySurface | Unpredictable] = {}
        self._seconds: dict[bytes, float] = {}
        self.free_bytes = free_bytes(runner, context)
        self._room = MemoryFit(self.surfaces, self.free_bytes, context.settings.train.effective_batch_size, past)
        self._noticed = False
        self._told: dict[int, tuple[str, int]] = {}
        """By trial: the label and the bytes that were told last."""

    def prepare(self, settings: Sequence[Settings]) -> None:
        """Predicts the memory classes of these configurations that are not known yet; tells once where it cannot.

        Raises:
            JobStopped: the job was asked to end.
        """
        wanted = {self._class(one): one for one in settings}
        wanted = {key: one for key, one in wanted.items() if key not in self.surfaces}
        requests = {key: self._request(one) for key, one in wanted.items()}
        asked = {key: request for key, request in requests.items() if request is not None}
        with self._context.phases.phase("load"):
            answers = self._predict(list(asked.values()))
        for key, answer in zip(asked, answers, strict=True):
            self.surfaces[key], self._seconds[key] = answer.outcome, answer.seconds
        for key in requests.keys() - asked.keys():
            self.surfaces[key] = Unpredictable(reason=UNKNOWN_LENGTHS)
        self._notice([self.surfaces[key] for key in wanted])

    def tell_classes(self, settings: Sequence[Settings]) -> None:
        """Tells of each class the largest micro-batch that fits, by all that differs between them."""
        differing = differing_scalars(settings)
        for one in settings:
            key = self._class(one)
            largest = self._room.largest(key)
            values = {path: value_at(one, path) for path in differing} | {"train.micro_batch_size": largest or 1}
            candidate = make_candidate(0, values, one, "a memory class")
            self._tell(key, candidate, None, largest)

    def tell(self, candidate: Candidate) -> None:
        """Tells what a candidate is expected to need, where that is news, and has it kept with the trial's result."""
        key, micro = self._key(candidate), candidate.micro_batch_size
        expected = self._room.expected_bytes(key, micro)
        if expected is None:
            return
        self._runner.predictions[candidate.id] = expected, self._room.breakdown(key, micro)
        if self._told.get(candidate.id) != (candidate.label, expected):
            self._told[candidate.id] = candidate.label, expected
            self._tell(key, candidate, candidate.id, self._room.largest(key))

    def predicted_bytes(self, candidate: Candidate) -> int | None:
        """The peak before any correction."""
        return self._room.predicted_bytes(self._key(candidate), candidate.micro_batch_size)

    def least_bytes(self, settings: Settings) -> int | None:
        """What the class of these settings is expected to need at micro-batch 1."""
        return self._room.expected_bytes(self._class(settings), 1)

    def learn(self, candidate: Candidate, result: TrialResult, *, tell: bool = True) -> None:
        """Takes in a trial; where that corrects the predictions, it is told."""
        key, before = self._key(candidate), self._room.calibration
        predicted = self._room.predicted_bytes(key, candidate.micro_batch_size)
        self._room.learn(key, candidate.micro_batch_size, result)
        now, measured = self._room.calibration, result.memory.peak_allocated_bytes if result.memory else None
        changed = (round(now.ratio, 3), now.gap_bytes) != (round(before.ratio, 3), before.gap_bytes)
        if tell and predicted and measured is not None and (changed or before.probes == 0):
            self._context.emit(
                e.MemoryCalibrated(
                    t=self._context.t, trial=candidate.id, predicted_bytes=predicted, measured_bytes=measured,
                    ratio=round(now.ratio, 4), gap_bytes=now.gap_bytes,
                )
            )  # fmt: skip

    def longest_that_fits(self, settings: Settings) -> tuple[int, int] | None:
        """(data.max_length, expected bytes): the longest of a half, a quarter and an eighth that fits at micro-batch 1.

        `settings`: the kind that needs least memory. None where none of them fits or nothing is predicted.
        """
        request = self._request(settings)
        if request is None or self.free_bytes is None:
            return None
        lengths = [request.longest_tokens // part for part in (2, 4, 8) if request.longest_tokens // part >= 2]
        shorter = [_cut(request, length) for length in lengths]
        for length, answer in zip(lengths, self._predict(shorter), strict=False):
            if isinstance(answer.outcome, MemorySurface):
                accumulates = settings.train.effective_batch_size > 1
                peak = answer.outcome.peak_bytes(1, accumulates=accumulates)
                if self._room.calibration.fits(peak, self.free_bytes):
                    return length, self._room.calibration.expected_bytes(peak)
        return None

    def _predict(self, requests: list[MemoryRequest]) -> list[Prediction]:
        """Whatever goes wrong with a prediction, trials can still be run."""
        if not requests:
            return []
        try:
            return predict(requests, self._context.progress)
        except JobStopped:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            return [Prediction(outcome=Unpredictable(reason=reason), seconds=0.0) for _ in requests]

    def _request(self, settings: Settings) -> MemoryRequest | None:
        workload = self._runner.data_for(settings)
        masked = not self._runner.without_mask(settings)
        return memory_request(
            settings, workload.facts, workload.vocabulary, *device_of(self._runner.device), masked=masked
        )

    def _notice(self, outcomes: list[MemorySurface | Unpredictable]) -> None:
        reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Unpredictable)]
        if reasons and not self._noticed:
            self._noticed = True
            auto = self._context.order.mode == "auto"
            hint = "The search starts at micro-batch 1 and goes by what it measures." if auto else ""
            self._context.notice(f"memory cannot be predicted: {reasons[0]}", hint=hint)

    def _tell(self, key: bytes, candidate: Candidate, trial: int | None, largest: int | None) -> None:
        expected = self._room.expected_bytes(key, candidate.micro_batch_size)
        if expected is None:
            return
        self._context.emit(
            e.MemoryPredicted(
                t=self._context.t, label=candidate.label, trial=trial, micro_batch_size=candidate.micro_batch_size,
                predicted_bytes=expected, breakdown=self._room.breakdown(key, candidate.micro_batch_size),
                limit_bytes=self.free_bytes, largest_micro_batch_size=largest,
                effective_batch_size=self._context.settings.train.effective_batch_size,
                seconds=round(self._seconds.pop(key, 0.0), 3),
            )
        )  # fmt: skip

    def _key(self, candidate: Candidate) -> bytes:
        return self._class(apply_candidate(candidate, self._context.settings))

    def _class(self, settings: Settings) -> bytes:
        return class_key(settings, masked=not self._runner.without_mask(settings))


def device_of(device: torch.device) -> tuple[DeviceKind, Capability | None]:
    """As a prediction takes it: its kind and, of a GPU, its compute capability."""
    if device.type != "cuda":
        return "cpu", None
    import torch

    return "cuda", torch.cuda.get_device_capability(device)


def planned_device(context: JobContext) -> tuple[DeviceKind, Capability | None]:
    """The same of what a plan is for that measures nothing; tells of a GPU whose capability is not known.

    Raises:
        UsageError: it is for this machine, on which the run could not be made.
    """
    asked = context.order.plan.device if context.order.plan is not None else ""
    if asked:
        found = [(asked, named_device(asked).capability)]
    elif settle_device(context).type == "cuda":
        found = [(device.name, device.capability) for device in context.devices if device.kind == "cuda"]
    else:
        return "cpu", None
    name, capability = found[0] if found else ("the GPU", None)
    if capability is None:
        context.notice(
            f"the compute capability of {name} is not known: memory is predicted as for {words(FLASH)}, "
            "and an older GPU needs more",
            hint="A known name tells it, such as --device L40S." if asked else "",
        )  # fmt: skip
    return "cuda", capability


def free_bytes(runner: TrialRunner, context: JobContext) -> int | None:
    """What a trial may take, the weights that are loaded included; None where nobody knows.

    On a GPU what the driver has free, plus what this process holds, up to the limit. On the CPU the limit that was
    set, which counts tensors alone; without one what the machine has left.
    """
    order, device = context.order, runner.device
    limit = order.memory_limit_bytes
    if device.type == "cuda":
        import torch

        free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
        return free if limit is None else min(limit, free)
    if order.enforce_limit:
        return limit
    from speedtui.engine.workload.quantized import held_tensors

    held = held_tensors(runner.workload.model) if runner.workload is not None else []
    weights = sum(tensor.numel() * tensor.element_size() for tensor in held)
    left = available_memory_bytes() + weights
    return left if limit is None else min(limit, left)


def _cut(request: MemoryRequest, length: int) -> MemoryRequest:
    targets = request.longest_target_tokens
    return msgspec.structs.replace(
        request, longest_tokens=length, longest_target_tokens=targets and min(targets, length)
    )  # fmt: skip
