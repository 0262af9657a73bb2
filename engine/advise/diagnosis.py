"""What holds a run back: the largest part of its time and why, what is wasted, what room there is, what limits it.

Every figure is one that was measured; nothing is said where nothing was.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from speedtui.engine.advise.gains import measurement
from speedtui.engine.config.settings import Settings
from speedtui.engine.events import Books, DeviceSample
from speedtui.engine.state import RunState, TrialRow
from speedtui.engine.units import format_share, format_size

BESIDES = 0.25
"""Share of the run above which evaluations or checkpoints are the bottleneck and not its steps: a step that costs
nothing at all would not make up for them much sooner."""
WAITING = 0.10
"""Share of a step above which waiting for the loader is."""
BUSY = 0.80
"""Share of a step in which a GPU computes, below which something other than its arithmetic holds the step back."""
OPTIMIZER = 0.25
"""Share of a step above which the optimizer is."""
WASTED = 0.02
"""Shares below it are not worth a word."""
ROOM = 0.25
"""Share of the memory that has to be free before a larger micro-batch is spoken of."""

COMPUTE = ("forward", "backward")
EVALUATION = ("eval", "generate", "metric")
CHECKPOINTS = ("checkpoint", "write")


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """In words; empty where nothing is known."""

    bottleneck: str = ""
    """What takes most of the time."""
    reason: str = ""
    """The setting behind it, where one is known to be."""
    shares: tuple[str, ...] = ()
    """The figures that show it, the most telling ones first."""
    waste: tuple[str, ...] = ()
    headroom: str = ""
    room: bool = False
    """There is memory for a larger micro-batch."""
    limit: tuple[str, ...] = ()
    throttled: bool = False
    basis: str = ""
    """What was looked at: `the last 50 steps`, `trial #3`."""


def diagnose(front: RunState, settings: Settings, present: TrialRow | None) -> Diagnosis:
    """`settings`: as they are in use; `present`: the trial that measured them, where one did."""
    phases, padding, peak, basis = _looked_at(front, present)
    total = sum(phases.values())
    shares = {name: seconds / total for name, seconds in phases.items()} if total else {}
    device = front.hardware.devices[0] if front.hardware is not None and front.hardware.devices else None
    busy = _busy(front, present, device)
    name, reason = _bottleneck(front, settings, shares, device, busy)
    headroom, room = _headroom(front, peak)
    return Diagnosis(
        bottleneck=name, reason=reason, shares=_shares(front, present, shares, device), waste=_waste(shares, padding),
        headroom=headroom, room=room, limit=_limits(device), basis=basis,
        throttled=any(bool(one.throttled) for one in front.hardware.devices) if front.hardware is not None else False,
    )  # fmt: skip


def _looked_at(
    front: RunState, present: TrialRow | None
) -> tuple[Mapping[str, float], float | None, int | None, str]:  # fmt: skip
    """Seconds of a step by phase, padding share, peak bytes, and whose they are."""
    live = front.training.steps if front.training is not None else None
    memory = present.result.memory if present is not None and present.result is not None else None
    probed = memory.peak_bytes if memory is not None else None
    if live is not None and live.count:
        peaks = (live.peak_reserved_bytes, live.peak_allocated_bytes, probed)
        peak = next((peak for peak in peaks if peak is not None), None)
        return live.phases, live.padding_fraction, peak, f"the last {live.count} steps"
    measured = measurement(present) if present is not None else None
    if present is None or measured is None:
        return {}, None, None, ""
    return (
        measured.phases,
        measured.padding_fraction,
        probed,
        f"trial #{present.candidate.id}, {measured.batches} batches",
    )


def _bottleneck(
    front: RunState, settings: Settings, shares: Mapping[str, float], device: DeviceSample | None, busy: float | None
) -> tuple[str, str]:  # fmt: skip
    """What takes most, and the setting behind it."""
    books = front.books
    if books is not None and _part(books, EVALUATION) > BESIDES:
        return "evaluation", f"every {settings.schedule.eval_every}{_answers(books)}"
    if books is not None and _part(books, CHECKPOINTS) > BESIDES:
        return "checkpoints", f"every {settings.schedule.checkpoint_every}"
    if not shares:
        return "", ""
    if shares.get("data", 0.0) > WAITING:
        workers = settings.train.loader_workers
        return "waiting for data", "the loader has no workers" if not workers else f"{workers} loader workers"
    if busy is not None and busy < BUSY:
        small = settings.train.micro_batch_size == 1
        return "launching kernels", "a micro-batch of 1 leaves the GPU idle" if small else "the GPU waits for work"
    if shares.get("optimizer", 0.0) > OPTIMIZER:
        return "the optimizer", settings.train.optimizer
    if sum(shares.get(name, 0.0) for name in COMPUTE) > 1 / 2:
        return "GPU compute" if device is not None else "CPU compute", ""
    return f"{max(shares, key=lambda name: shares[name])}", ""


def _idle(front: RunState, present: TrialRow | None) -> float | None:
    """Share of a step in which the device does nothing, by a profile of what `_looked_at` looks at."""
    training = front.training
    if training is not None and training.steps.count:
        return training.device_busy.idle_fraction if training.device_busy is not None else None
    measured = measurement(present) if present is not None else None
    return measured.idle_fraction if measured is not None else None


def _busy(front: RunState, present: TrialRow | None, device: DeviceSample | None) -> float | None:
    """Share of a step in which the device computes; by the driver, which is kinder, where no profile was made."""
    idle = _idle(front, present)
    if idle is not None:
        return 1 - idle
    return device.utilization if device is not None else None


def _mfu(front: RunState, present: TrialRow | None) -> float | None:
    training = front.training
    if training is not None and training.steps.count:
        return training.recent_mfu
    measured = measurement(present) if present is not None else None
    return measured.mfu if measured is not None else None


def _answers(books: Books) -> str:
    """Generation and the metric, where they are most of it."""
    phases = books.phases
    answers = phases.get("generate", 0.0) + phases.get("metric", 0.0)
    return ", mostly answers and their metric" if answers > phases.get("eval", 0.0) else ""


def _part(books: Books, phases: tuple[str, ...]) -> float:
    """Of the run's time."""
    return sum(books.phases.get(name, 0.0) for name in phases) / books.wall if books.wall else 0.0


def _shares(
    front: RunState, present: TrialRow | None, shares: Mapping[str, float], device: DeviceSample | None
) -> tuple[str, ...]:  # fmt: skip
    words, books = [], front.books
    idle, mfu = _idle(front, present), _mfu(front, present)
    if mfu is not None:
        words.append(f"MFU {format_share(mfu)}")
    if idle is not None:
        words.append(f"idle {format_share(idle)} of a step")
    elif device is not None and device.utilization is not None:
        words.append(f"kernel ran {format_share(device.utilization)}")
    if "data" in shares:
        words.append(f"data wait {format_share(shares['data'])}")
    words += [f"{name} {format_share(shares[name])}" for name in COMPUTE if name in shares]
    if books is not None and _part(books, EVALUATION) > WASTED:
        words.append(f"evaluation {format_share(_part(books, EVALUATION))} of the run")
    return tuple(words)


def _waste(shares: Mapping[str, float], padding: float | None) -> tuple[str, ...]:
    words = [] if padding is None else [f"padding {format_share(padding)} of tokens"]
    for name, spoken in (("optimizer", "optimizer"), ("h2d", "copies to the device"), ("log", "logging"),
                         ("other", "other")):  # fmt: skip
        if shares.get(name, 0.0) > WASTED:
            words.append(f"{spoken} {format_share(shares[name])}")
    return tuple(words)


def _headroom(front: RunState, peak: int | None) -> tuple[str, bool]:
    limit = front.study.memory_limit_bytes if front.study is not None else None
    if limit is None and front.devices and front.devices[0].kind == "cuda":
        limit = front.devices[0].memory_bytes
    if limit is None or peak is None or not limit:
        return "", False
    free = 1 - peak / limit
    return f"memory {format_share(free)} free of {format_size(limit)}", free > ROOM


def _limits(device: DeviceSample | None) -> tuple[str, ...]:
    if device is None:
        return ()
    words = ["throttled"] if device.throttled else []
    power = "at its power limit" if device.power_capped else "power"
    if device.power_watts is not None and device.power_limit_watts is not None:
        words.append(f"{power} {device.power_watts:.0f}/{device.power_limit_watts:.0f} W")
    elif device.power_capped:
        words.append(power)
    if device.temperature_celsius is not None:
        words.append(f"{device.temperature_celsius:.0f} °C")
    if device.throttled is False:
        words.append("no throttling")
    return tuple(words)
