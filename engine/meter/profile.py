"""A profile of a few steps: for how long the device computed in each of their phases, by the kernels it shows."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import torch
from torch._C._autograd import DeviceType, _profiler_enabled
from torch.profiler import ProfilerActivity

from speedtui.engine.errors import first_line
from speedtui.engine.events import PHASES, STEP_PHASES, StepCompleted
from speedtui.engine.log.clock import WORKING
from speedtui.engine.log.writer import EventLog

PROFILED_STEPS = 3
"""Of a profile: a step's kernels hardly differ from the next one's, and each step is tens of thousands of events."""
WORK = ("kernel", "gpu_memcpy", "gpu_memset")
"""Kineto's names of what a device does; annotations and waits are on its time line too, and are none of it."""


class BusySteps(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile found, of all its steps together."""

    steps: int
    last_step: int
    phases: dict[str, float]
    """Seconds by phase, on the device's clock where there is one."""
    busy: dict[str, float]
    """Of those, seconds in which the device computed or copied."""

    def shares(self) -> dict[str, float]:
        """Busy share of each phase that took any time."""
        return {name: self.busy.get(name, 0.0) / seconds for name, seconds in self.phases.items() if seconds > 0}


class Profiled:
    """What a meter keeps of the steps of a profile: their boundaries, and the steps once they have resolved."""

    def __init__(self) -> None:
        self.boundaries: list[Boundary] = []
        """On the phase clock."""
        self.begun = 0
        """Steps that the CPU is done with."""
        self.steps: list[StepCompleted] = []
        """The pump thread's; all of them once the meter has settled."""

    def boundary(self, moment: int, phase: int) -> None:
        """A phase begins; by the training thread."""
        self.boundaries.append((moment, phase))

    def step_done(self, moment: int) -> None:
        """A step ends; what comes until the next one's data is nobody's."""
        self.boundaries.append((moment, BETWEEN))
        self.begun += 1


class ProfiledMeter(Protocol):
    """The part of a meter that a profile needs."""

    profiled: Profiled | None

    def settle(self, log: EventLog) -> None:
        """Waits until all steps so far are known."""


class StepProfile:
    """Follows some steps with torch's profiler; used by the training thread, at the ends of steps.

    On a GPU it records what the device does and the calls that launched it, no operators of torch and no shapes, so
    that a launch costs little more. Where torch was built without CUDA the CPU's operators stand in for kernels.
    Whatever the profiler raises is `failure`, and costs no training.
    """

    def __init__(self, meter: ProfiledMeter, log: EventLog) -> None:
        self._meter = meter
        self._log = log
        self._profiler: Any = None
        self._to_unix_ns = 0
        self.failure = ""
        """Why there is nothing to tell; empty while there is or may be."""
        self.seconds = 0.0
        """What starting, stopping and reading it took, the steps themselves left out."""

    @property
    def running(self) -> bool:
        """Whether steps are being followed."""
        return self._profiler is not None

    @property
    def full(self) -> bool:
        """Whether it has seen enough of them."""
        profiled = self._meter.profiled
        return profiled is not None and profiled.begun >= PROFILED_STEPS

    def begin(self) -> None:
        """Follows the steps from here on; all that was queued before is done first."""
        began = time.perf_counter()
        self._meter.settle(self._log)
        try:
            if _profiler_enabled():
                raise RuntimeError("another one is running")  # which starting a second one would end
            profiler = torch.profiler.profile(activities=[activity()])
            profiler.start()
        except Exception as error:  # such as CUPTI in the hands of another program, or not permitted
            self.failure = f"the profiler cannot be started: {first_line(error)}"
        else:
            self._profiler = profiler
            self._to_unix_ns = time.time_ns() - WORKING.now_ns()
            self._meter.profiled = Profiled()
        self.seconds += time.perf_counter() - began

    def end(self) -> BusySteps | None:
        """What it found; None where that is nothing, and `failure` says why."""
        profiled, self._meter.profiled = self._meter.profiled, None
        began = time.perf_counter()
        if profiled is not None:
            self._meter.settle(self._log)
        kernels = self._stop()
        found = self._found(profiled, kernels) if profiled is not None else None
        self.seconds += time.perf_counter() - began
        return found

    def abandon(self) -> None:
        """Stops following where the steps came to no good end; does nothing where it was not."""
        self._meter.profiled = None
        self._stop()

    def _stop(self) -> list[DeviceActivity]:
        """Ends the recording and reads it."""
        profiler, self._profiler = self._profiler, None
        if profiler is None:
            return []
        try:
            profiler.stop()
            return kernels_of(profiler.profiler.kineto_results.events())
        except Exception as error:  # whatever a profiler has to say, the training goes on
            self.failure = f"the profile cannot be read: {first_line(error)}"
            return []

    def _found(self, profiled: Profiled, kernels: list[DeviceActivity]) -> BusySteps | None:
        steps = profiled.steps
        if not steps or not kernels:
            self.failure = self.failure or "the profiler saw nothing of the device"
            return None
        per_step = [step.device_phases or step.phases for step in steps]
        phases = {name: sum(phases.get(name, 0.0) for phases in per_step) for name in STEP_PHASES}
        boundaries = [(moment + self._to_unix_ns, phase) for moment, phase in profiled.boundaries]
        busy = busy_seconds(busy_ns(kernels, boundaries), phases)
        return BusySteps(steps=len(steps), last_step=steps[-1].step, phases=phases, busy=busy)


def activity() -> ProfilerActivity:
    """What is recorded."""
    supported = torch.profiler.supported_activities()  # type: ignore[no-untyped-call]
    return ProfilerActivity.CUDA if ProfilerActivity.CUDA in supported else ProfilerActivity.CPU


def kernels_of(events: Iterable[Any]) -> list[DeviceActivity]:
    """What the device did, with the moment at which it was asked for.

    `events`: kineto's, nanoseconds since the epoch. What the device did has the correlation id of the call that
    launched it; without that call it counts as launched when it began. Where no event is a device's, the CPU's are.
    """
    launches: dict[int, int] = {}
    on_device, on_cpu = [], []
    for event in events:
        if event.device_type() == DeviceType.CPU:
            launches[event.correlation_id()] = event.start_ns()
            on_cpu.append(event)
        elif _is_work(event):
            on_device.append(event)
    if not on_device:
        return [_kernel(event, event.start_ns()) for event in on_cpu]
    return [_kernel(event, launches.get(event.correlation_id(), event.start_ns())) for event in on_device]


def _is_work(event: Any) -> bool:
    """torch 2.11 does not say an event's kind; then only annotations are told apart, and waits, which have to be asked
    for, are not among the events."""
    kind = getattr(event, "activity_type", None)
    return kind() in WORK if kind is not None else not event.is_user_annotation()


def _kernel(event: Any, launched: int) -> DeviceActivity:
    begin = event.start_ns()
    return DeviceActivity(launched=launched, begin=begin, end=begin + event.duration_ns())


BETWEEN = -1
"""In the place of a phase: between two steps, where nothing is billed."""

Boundary = tuple[int, int]
"""(nanoseconds, index of the phase that begins then, or BETWEEN)."""


class DeviceActivity(NamedTuple):
    """Something that the device did: a kernel, a copy, a fill. Nanoseconds, all on one clock."""

    launched: int
    """When the CPU asked for it, which is what tells the phase: the device comes to it later."""
    begin: int
    end: int


def busy_ns(kernels: Iterable[DeviceActivity], boundaries: Sequence[Boundary]) -> dict[int, int]:
    """Nanoseconds in which the device did something, by the index of the phase that asked for it.

    `boundaries`: in order of time, the last one BETWEEN. A moment in which several kernels ran, on streams of their
    own, counts once and for the one that began first, so that the phases add up to no more than the time that passed.
    """
    begins = [moment for moment, _ in boundaries]
    busy: dict[int, int] = defaultdict(int)
    counted = None
    for kernel in sorted(kernels, key=lambda kernel: kernel.begin):
        begin = kernel.begin if counted is None else max(kernel.begin, counted)
        if kernel.end <= begin:
            continue
        counted = kernel.end
        place = bisect_right(begins, kernel.launched) - 1
        phase = boundaries[place][1] if place >= 0 else BETWEEN
        if phase != BETWEEN:
            busy[phase] += kernel.end - begin
    return dict(busy)


def busy_seconds(busy: Mapping[int, int], phases: Mapping[str, float]) -> dict[str, float]:
    """Seconds by name of a step's phases, those of no phase of a step as other.

    Never more than the phase took: the two come from clocks that agree to microseconds.
    """
    seconds = dict.fromkeys(STEP_PHASES, 0.0)
    for index, nanoseconds in busy.items():
        name = PHASES[index]
        seconds[name if name in seconds else "other"] += nanoseconds / 1e9
    return {name: min(value, phases.get(name, 0.0)) for name, value in seconds.items()}
