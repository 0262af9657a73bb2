"""One way to make a run faster: what it changes, what is known of its gain, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from speedtui.engine.advise.words import MICRO_BATCH, value_words
from speedtui.engine.config.settings import Scalar

ATTENTION, DTYPE = "model.attention", "model.dtype"
PACKING, MAX_LENGTH = "data.packing", "data.max_length"
EFFECTIVE_BATCH = "train.effective_batch_size"
BF16, FP16, TF32, LIGER = (f"train.{name}" for name in ("bf16", "fp16", "tf32", "liger"))
CHECKPOINTING, COMPILE, GROUPING, OPTIMIZER, WORKERS = (
    f"train.{name}" for name in ("gradient_checkpointing", "compile", "group_by_length", "optimizer", "loader_workers")
)

ChangeKey = tuple[tuple[str, Scalar], ...]
"""Settings by path, as something to look up by."""
GainSource = Literal["measured", "in_turns", "estimate", "none"]
"""Where the gain comes from: two trials, two trials measured in turns, a computation, or nowhere yet."""
StrategyState = Literal["applied", "ready", "unproven", "not_worth_it", "to_probe", "queued", "not_possible"]
"""`applied`: in use now; `ready`: it gains, and waits to be taken; `unproven`: the interval contains no change;
`queued`: a trial of it waits or runs."""
Risk = Literal["none", "memory", "order", "schedule", "numbers"]
"""What it touches besides the speed; `order`: of the samples, `schedule`: what is seen and kept of the run,
`numbers`: the arithmetic or what is learned."""
SEVERITY: tuple[Risk, ...] = ("none", "memory", "schedule", "order", "numbers")
"""The last one that a change of several settings touches is its risk."""

NAMES: dict[str, str] = {
    MICRO_BATCH: "micro-batch", CHECKPOINTING: "checkpointing", WORKERS: "loader workers", ATTENTION: "attention",
    OPTIMIZER: "optimizer", COMPILE: "torch.compile", BF16: "bf16 autocast", FP16: "fp16 autocast", TF32: "TF32",
    LIGER: "liger kernels", GROUPING: "group by length",
    PACKING: "packing", MAX_LENGTH: "max length", "train.lora.r": "LoRA rank", "schedule.eval_every": "evaluations",
    "schedule.checkpoint_every": "checkpoints",
}  # fmt: skip
SHORT: dict[str, str] = {
    MICRO_BATCH: "mb", CHECKPOINTING: "ckpt", WORKERS: "workers", COMPILE: "compile", BF16: "bf16", FP16: "fp16",
    TF32: "tf32", LIGER: "liger", GROUPING: "grouping", "train.lora.r": "r",
}  # fmt: skip
_RISKS: dict[str, Risk] = {
    MICRO_BATCH: "memory", CHECKPOINTING: "memory", WORKERS: "none", ATTENTION: "none", COMPILE: "none",
    GROUPING: "order", PACKING: "order",
}  # fmt: skip
FUSED = ("adamw_torch", "adamw_torch_fused")
"""Two forms of one optimizer: the fused kernel computes what the plain one does."""


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """How much faster steps become, in samples a second with it over those without."""

    ratio: float
    low: float | None = None
    """Of the 95 % interval; None where it is computed and not measured."""
    high: float | None = None
    before: int | None = None
    """The trial without it."""
    after: int | None = None

    @property
    def open(self) -> bool:
        """The interval contains no change at all; not known without one."""
        return self.low is not None and self.high is not None and self.low <= 1 <= self.high


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has to be so."""

    text: str
    met: bool | None = None
    """None where it is not known."""


class AdvisorStrategy(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed, or was, and everything that is known of it."""

    name: str
    values: dict[str, Scalar]
    """The change, as settings by path."""
    before: dict[str, Scalar | None]
    """Those settings without it."""
    state: StrategyState
    source: GainSource = "none"
    gain: Gain | None = None
    """None where it does not change a step, or nobody measured it."""
    peak_delta_bytes: int | None = None
    """With it minus without, as measured or predicted."""
    peak_predicted: bool = False
    risk: Risk = "none"
    evidence: str = ""
    """Where the gain comes from, or why there is none, in a few words."""
    why: str = ""
    """Why it could help here."""
    needs: tuple[Need, ...] = ()
    saves_seconds: float | None = None
    """Of a run like this one, as projected; negative where it costs time."""
    steps: int | None = None
    """Of that run."""
    live: bool = False
    """The training in progress can take it from its next step on."""

    @property
    def open(self) -> bool:
        """It was measured, and its interval contains no change at all."""
        return self.gain is not None and self.gain.open

    @property
    def key(self) -> ChangeKey:
        """What tells it from the others."""
        return tuple(sorted(self.values.items()))


def risk_of(path: str, before: object, after: object) -> Risk:
    """What changing a setting touches; whatever is not known to leave the numbers alone may change them."""
    if path == OPTIMIZER and before in FUSED and after in FUSED:
        return "none"
    if path.startswith("schedule."):
        return "schedule"
    return _RISKS.get(path, "numbers")


def change_name(path: str, before: object, after: object) -> str:
    """`micro-batch 8 → 16`, `torch.compile on`, `flash attention 2`."""
    name = NAMES.get(path, path.rpartition(".")[2].replace("_", " "))
    if path == ATTENTION:
        spoken = str(after).replace("_", " ")
        return spoken if name in spoken else f"{spoken} {name}"
    if isinstance(after, bool):
        return f"{name} {'on' if after else 'off'}"
    return f"{name} {value_words(before)} → {value_words(after)}"


def short_change(path: str, value: object) -> str:
    """For a line that lists several: `mb16`, `no ckpt`, `workers 2`."""
    name = SHORT.get(path, path.rpartition(".")[2].replace("_", " "))
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name}{value}" if path in (MICRO_BATCH, "train.lora.r") else f"{name} {value_words(value)}"


def short_changes(values: Mapping[str, Scalar]) -> list[str]:
    """Several of them, the best known settings first."""
    order = list(NAMES)
    paths = sorted(values, key=lambda path: (order.index(path) if path in order else len(order), path))
    return [short_change(path, values[path]) for path in paths]


def held(values: Mapping[str, Scalar], settings: Mapping[str, Any]) -> bool:
    """Whether all of these values are so in settings by path."""
    return all(path in settings and settings[path] == value for path, value in values.items())
