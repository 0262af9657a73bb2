"""The settings that `auto` moves by itself.

They change how fast a step runs and how much memory it takes, and not what is learned: the micro-batch at an unchanged
effective batch, gradient checkpointing, loader workers, the attention implementation, the fused form of the same
optimizer, torch.compile. What changes the arithmetic or the order of the samples (bf16 autocast, 8-bit
optimizers, group_by_length, packing, another rank) is the user's decision, and is tried where `search.knobs` lists it;
max_length, epochs, method and dtype stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from speedtui.engine.config.paths import value_at
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.search.candidates import CHECKPOINTING, WORKERS

ATTENTION = "model.attention"
OPTIMIZER = "train.optimizer"
COMPILE = "train.compile"

LOADER_WORKERS = (0, 2, 4)
"""More than four only help where reading a sample takes longer than anything here that reads text."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What decides which knobs there are."""

    cuda: bool = False
    cores: int = 1
    """That this process may use."""
    flash_attention: bool = False
    """The package is installed."""
    sdpa: bool = True
    """The model supports it."""


class Knob(msgspec.Struct, frozen=True, kw_only=True):
    """One setting and what it may be."""

    path: str
    values: tuple[Scalar, ...]
    """In the order of trying; the configured value is one of them."""
    shortens: str | None = None
    """The phase of a step that it can save at most; None: any."""

    def spoken(self, value: Scalar) -> str:
        """For messages: `loader workers 2`."""
        return f"{self.path.rpartition('.')[2].replace('_', ' ')} {'on' if value is True else value}"


def checkpointing_values(settings: Settings) -> tuple[bool, ...]:
    """Without recomputation first, since it costs a second forward pass. A recipe's model may not know of it."""
    if settings.model.kind == "python":
        return (settings.train.gradient_checkpointing,)
    return (False, True)


def stacked_knobs(settings: Settings, machine: Machine) -> list[Knob]:
    """Those tried one by one, in that order; each has another value than the configured one.

    Checkpointing is settled before them, and comes up again where one of them changed what it buys.
    """
    knobs = [
        Knob(path=WORKERS, values=_workers(settings, machine), shortens="data"),
        Knob(path=ATTENTION, values=_attention(settings, machine)),
        Knob(path=CHECKPOINTING, values=checkpointing_values(settings)),
        Knob(path=OPTIMIZER, values=_optimizers(settings), shortens="optimizer"),
        Knob(path=COMPILE, values=(settings.train.compile, True)),
    ]
    return [knob for knob in knobs if set(knob.values) != {value_at(settings, knob.path)}]


def moved_paths(settings: Settings, knobs: Sequence[Knob]) -> list[str]:
    """Every setting of a point besides its micro-batch."""
    return sorted({CHECKPOINTING, *(knob.path for knob in knobs)})


def _workers(settings: Settings, machine: Machine) -> tuple[int, ...]:
    allowed = [count for count in LOADER_WORKERS if count <= machine.cores]
    return tuple(dict.fromkeys((settings.train.loader_workers, *allowed)))


def _attention(settings: Settings, machine: Machine) -> tuple[str, ...]:
    """A recipe's model has none to switch; flash attention takes half precision only."""
    configured = settings.model.attention
    if settings.model.kind == "python":
        return (configured,)
    half = settings.model.dtype != "float32"
    flash = ["flash_attention_2"] if machine.cuda and machine.flash_attention and half else []
    plain = ["sdpa", "eager"] if machine.sdpa and configured != "auto" else []
    return tuple(dict.fromkeys((configured, *plain, *flash)))


def _optimizers(settings: Settings) -> tuple[str, ...]:
    """The fused kernel computes what the plain one does; any other optimizer would learn differently."""
    configured = settings.train.optimizer
    return (configured, "adamw_torch_fused") if configured == "adamw_torch" else (configured,)
