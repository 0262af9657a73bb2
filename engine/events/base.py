"""What every event has, and the words they share."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

PHASES = ("load", "compile", "data", "h2d", "forward", "backward", "optimizer", "log", "eval", "generate", "metric",
          "checkpoint", "write", "gap", "first_batch", "paused", "away", "other")  # fmt: skip
"""Exclusive: every second of a run belongs to one of them.

An evaluation is `eval` (its forward passes), `generate` and `metric`; a checkpoint `write` (to files) and `checkpoint`
(the rest). `gap` is between two epochs, `first_batch` the wait for an epoch's first micro-batches. `away`: no worker
was there, or it died before it could say what it did.
"""
STEP_PHASES = ("data", "h2d", "forward", "backward", "optimizer", "log", "other")
"""Those that make up a step."""

Job = Literal["tune", "plan", "train", "demo", "run"]
EvaluationKind = Literal["full", "loss"]
SaveReason = Literal["first", "schedule", "best", "command", "change", "stop", "deadline"]
"""`first`: soon after the start, so that a disk that takes none is found out early; `change`: settings that need
another trainer; the others as they read."""
EndReason = Literal["steps", "deadline", "patience", "stop", "diverged"]
"""`diverged`: its weights, or its losses for too long, were not finite."""
NonFinite = Literal["loss", "gradient_norm", "weights"]
Outcome = Literal["ok", "late", "stopped", "failed", "no_fit"]
Verdict = Literal["measuring", "on_track", "tight", "late"]
Probe = Literal["memory", "throughput"]
Level = Literal["info", "warning", "error"]
MoveCause = Literal["set", "slept", "suspended"]
"""`set`: by a person, NTP or its own drift; `slept`: the machine did; `suspended`: the worker's process was stopped."""


def _tag(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """Where the wall time of the run went, from its start on, all workers together."""

    wall: float
    phases: dict[str, float]
    unaccounted: float
    """wall - sum of phases."""
    device_phases: dict[str, float] | None = None
    """The training steps' phases on the device's clock, where there is one."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_tag):
    """Something that happened at `t`."""

    t: float


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator, or the CPU where there is none."""

    index: int
    kind: Literal["cuda", "cpu"]
    name: str
    memory_bytes: int | None
    capability: tuple[int, int] | None = None
    """CUDA's compute capability, such as (9, 0); None where the driver does not tell."""
