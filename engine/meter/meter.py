"""The meter inside the trainer: boundaries in the training thread, arithmetic and writing in the pump thread."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import torch

from speedtui.engine.events import STEP_PHASES, Probe, StepCompleted
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.meter.device import DeviceClock, Readings
from speedtui.engine.meter.memory import allocator_peaks, reset_peaks
from speedtui.engine.meter.phases import INDEX, OTHER, STEP_INDEXES, PhaseClock
from speedtui.engine.meter.profile import Profiled
from speedtui.engine.meter.step_lines import StepLines
from speedtui.engine.meter.step_record import (
    BatchTokens,
    LossScale,
    MicroStep,
    StepRecord,
    batch_rows,
    of_step,
    seconds_by_phase,
    sized_micro_steps,
    skipped_step,
)

BUFFER = 65_536
"""Steps held between two visits of the pump thread; a guard, not a working size."""
PEAK_SECONDS = 1.0
"""Between two readings of the allocator's statistics, which cost tens of microseconds."""

_DATA, _H2D, _FORWARD, _BACKWARD = INDEX["data"], INDEX["h2d"], INDEX["forward"], INDEX["backward"]
_OPTIMIZER, _GAP, _FIRST_BATCH = INDEX["optimizer"], INDEX["gap"], INDEX["first_batch"]


class StepTiming(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a probe, as precisely as its device tells."""

    micro_steps: tuple[tuple[float, float], ...]
    """(padded tokens, or samples where tokens are unknown; seconds with the share of waiting for the loader)."""
    optimizer_seconds: float
    phases: dict[str, float]
    loss: float | None
    nonfinite: bool = False
    """The loss or the gradient norm was NaN or infinite."""


class Meter:
    """Follows one training or probe.

    The training thread calls the boundary methods: they read clocks and append to a bounded buffer.
    The pump thread calls `pump`: it resolves, counts, coalesces and emits.
    """

    def __init__(
        self,
        clock: PhaseClock,
        run_clock: RunClock,
        emit: Callable[[StepCompleted], None],
        *,
        token_counts: Callable[[Mapping[str, Any]], BatchTokens],
        device: DeviceClock | None = None,
        trial: int | None = None,
        probe: Probe | None = None,
        keep_timings: bool = False,
        watch: Callable[[StepCompleted], None] | None = None,
    ) -> None:
        """`watch` sees every step by itself, in the pump thread, before several of them share a line."""
        self.clock = clock
        self._run_clock = run_clock
        self._watch = watch
        self._lines = StepLines(emit, every_step_matters=probe is not None)
        self._token_counts = token_counts
        self._device = device
        self._readings = Readings(device)
        self._trial = trial
        self._probe: Probe | None = probe
        self._buffer: deque[StepRecord] = deque(maxlen=BUFFER)
        self._micro_steps: list[MicroStep] = []
        self._gradient_norm: torch.Tensor | None = None
        self._loss_scale: LossScale | None = None
        self._step_before = list(clock.totals_ns)
        self._step_start_ns = clock.boundary_ns
        self.epoch_begins = probe is None  # a probe has no epochs
        """The next micro-batches are the first ones of an epoch."""
        self._peaks_due_ns = 0
        self._retries_before = reset_peaks() if device is not None else 0  # what ran before has peaks of its own
        self._over = False
        self.timings: list[StepTiming] | None = [] if keep_timings else None
        """Every step that was pumped, for a probe that judges them; None in training."""
        self.profiled: Profiled | None = None
        """Takes in the steps that a profile follows; None while none does. A probe tells and judges others only."""

    # -- training thread ---------------------------------------------------------------------------

    def data(self) -> None:
        """The trainer asks the loader for the micro-batches of a step."""
        phase = _FIRST_BATCH if self.epoch_begins else _DATA
        self.clock.switch(phase)
        self._begin_step()
        self._mark(phase)

    def data_done(self) -> None:
        """The micro-batches are there. The wait for an epoch's first ones is no part of its first step."""
        self._boundary(OTHER)
        if self.epoch_begins:
            self.epoch_begins = False
            self._begin_step()

    def _begin_step(self) -> None:
        self._step_before = list(self.clock.totals_ns)
        self._step_start_ns = self.clock.boundary_ns

    def micro_step(self, batch: Mapping[str, Any]) -> None:
        """A micro-batch is at hand and goes to the device."""
        self._boundary(_H2D)
        micro_step = MicroStep(batch_rows(batch), self._token_counts(batch), self.clock.boundary_ns)
        if self._probe == "memory":  # of which a mask that waits for the pump thread would be a part
            micro_step.token_counts()
        self._micro_steps.append(micro_step)

    def forward(self) -> None:
        """The forward pass begins."""
        self._boundary(_FORWARD)

    def backward(self) -> None:
        """The backward pass begins."""
        self._boundary(_BACKWARD)

    def other(self) -> None:
        """Something of the trainer's own begins."""
        self._boundary(OTHER)

    def micro_step_done(self, loss: torch.Tensor) -> None:
        """A micro-step ended with this loss (scalar, detached), already weighted by accumulation."""
        self._boundary(OTHER)
        micro_step = self._micro_steps[-1]
        micro_step.end_ns = self.clock.boundary_ns
        micro_step.loss = loss

    def optimizer(self) -> None:
        """Clipping, the optimizer and the schedule begin."""
        self._boundary(_OPTIMIZER)

    def gradient_norm(self, norm: torch.Tensor) -> None:
        """What clipping computed of this step's gradient (scalar), before it was clipped; looked at later."""
        self._gradient_norm = norm

    def loss_scale(self, scale: torch.Tensor, change: torch.Tensor) -> None:
        """The scale of this step's gradients, and the next one's relative to it: scalars, looked at later."""
        self._loss_scale = scale, change

    def step_done(self, step: int, lr: float | None) -> None:
        """The optimizer step is complete; `step` counts from 1."""
        clock = self.clock
        self._boundary(OTHER)
        now = clock.boundary_ns
        peaks = None
        if self._device is not None and now >= self._peaks_due_ns:
            self._peaks_due_ns = now + int(PEAK_SECONDS * 1e9)
            allocated, reserved, retries = allocator_peaks()
            peaks = allocated, reserved, retries - self._retries_before
        marks = self._device.cut() if self._device is not None else None
        record = StepRecord(
            step=step, start_ns=self._step_start_ns, end_ns=now, before=self._step_before,
            totals=list(clock.totals_ns), micro_steps=self._micro_steps, lr=lr, marks=marks, peaks=peaks,
            gradient_norm=self._gradient_norm, loss_scale=self._loss_scale, profiled=self.profiled,
        )  # fmt: skip
        self._micro_steps, self._gradient_norm, self._loss_scale = [], None, None
        if self.profiled is not None:
            self.profiled.step_done(now)
        self._buffer.append(record)

    def epoch_ended(self) -> None:
        """What comes until the next batch is the gap between epochs."""
        self.epoch_begins = True
        self.clock.switch(_GAP)

    def _boundary(self, phase: int) -> None:
        self.clock.switch(phase)
        self._mark(phase)

    def _mark(self, phase: int) -> None:
        if self._device is not None:
            self._device.mark(phase)
        if self.profiled is not None:
            self.profiled.boundary(self.clock.boundary_ns, phase)

    # -- pump thread -------------------------------------------------------------------------------

    def pump(self, urgent: bool = False) -> None:
        """Turns what is in the buffer into events, as far as the device has come."""
        while self._buffer:
            record = self._buffer[0]
            pairs = self._readings.pairs(record.marks)
            if pairs is None and record.marks is not None and not (self._over or self._readings.broken):
                break
            pairs = of_step(pairs) if pairs is not None else None
            self._buffer.popleft()
            step = self._event(record, pairs)
            if record.profiled is not None:
                record.profiled.steps.append(step)
                if self._probe is not None:
                    continue
            if self._watch is not None:
                self._watch(step)
            self._lines.add(step, record.end_ns)
        self._lines.release(self.clock.now_ns(), urgent=urgent)

    def settle(self, log: EventLog) -> None:
        """Waits until all steps so far are known: not in a step, but before something that rests on them."""
        if self._device is not None:
            self._device.synchronize()
        log.flush()

    def close(self, log: EventLog) -> None:
        """Has the log's pump emit the rest; the training or probe is over.

        Raises:
            RuntimeError: the device is broken; what is known of the steps is emitted all the same.
        """
        try:
            if self._device is not None:
                self._device.synchronize()
        finally:
            self._over = True  # what has not resolved by now never will
            log.flush()

    def _event(self, record: StepRecord, pairs: list[tuple[int, float]] | None) -> StepCompleted:
        known = [counts for m in record.micro_steps if (counts := m.token_counts()) is not None]
        all_known = bool(known) and len(known) == len(record.micro_steps)
        losses = [self._readings.value(m.loss) for m in record.micro_steps if m.loss is not None]
        told = [value for value in losses if value is not None]
        loss = sum(told) if record.micro_steps and len(told) == len(losses) else None
        finite = loss is not None and math.isfinite(loss)
        nonfinite = loss is not None and not finite
        norm = self._readings.value(record.gradient_norm)
        skipped, scaled = skipped_step(record.loss_scale, self._readings.value)
        nonfinite_gradient = not scaled and (skipped or (norm is not None and not math.isfinite(norm)))
        samples = sum(micro_step.rows for micro_step in record.micro_steps)
        phases = {name: _rounded(record.totals[i] - record.before[i]) for name, i in _STEP_PHASE_INDEXES}
        device_phases = seconds_by_phase(pairs) if pairs is not None else None
        for name, seconds in (device_phases or {}).items():
            self.clock.device_seconds[name] = self.clock.device_seconds.get(name, 0.0) + seconds
        resolved = record.marks is None or pairs is not None
        if self.timings is not None and resolved and record.profiled is None:
            self.timings.append(_timing(record, pairs, device_phases or phases, loss if finite else None,
                                        nonfinite=nonfinite or nonfinite_gradient))  # fmt: skip
        allocated, reserved, retries = record.peaks if record.peaks is not None else (None, None, None)
        return StepCompleted(
            t=round(self._run_clock.at(record.end_ns), 3),
            step=record.step,
            micro_steps=len(record.micro_steps),
            samples=samples,
            tokens=sum(tokens for tokens, _ in known) if all_known else None,
            padding_tokens=sum(padding for _, padding in known) if all_known else None,
            loss=round(loss, 6) if loss is not None and finite else None,
            nonfinite=nonfinite,
            nonfinite_steps=int(nonfinite),
            nonfinite_gradients=int(nonfinite_gradient),
            skipped_steps=int(skipped),
            lr=float(f"{record.lr:.6g}") if record.lr is not None else None,
            seconds=_rounded(record.end_ns - record.start_ns),
            phases=phases,
            device_phases=device_phases,
            peak_allocated_bytes=allocated,
            peak_reserved_bytes=reserved,
            alloc_retries=retries,
            trial=self._trial,
            probe=self._probe,
        )


_STEP_PHASE_INDEXES = tuple(zip(STEP_PHASES, STEP_INDEXES, strict=True))


def _timing(
    record: StepRecord, pairs: list[tuple[int, float]] | None, phases: dict[str, float], loss: float | None, *,
    nonfinite: bool,
) -> StepTiming:  # fmt: skip
    return StepTiming(
        micro_steps=sized_micro_steps(record, pairs, waited=phases["data"]),
        optimizer_seconds=phases["optimizer"],
        phases=phases,
        loss=loss,
        nonfinite=nonfinite,
    )


def _rounded(nanoseconds: int) -> float:
    return round(nanoseconds / 1e9, 6)
