"""The settings that `auto` moves by itself.

They change how fast a step runs and how much memory it takes, and not what is learned: the micro-batch at an unchanged
effective batch, gradient checkpointing, loader workers, the attention implementation, the fused form of the same
optimizer, torch.compile. The precision of the arithmetic (autocast, TF32) is moved where `search.numerics` allows it.
What else changes it or the order of the samples (8-bit optimizers, liger's kernels, group_by_length, packing, another
rank) is the user's decision, and is tried where `search.knobs` lists it; max_length, epochs, method and dtype stay as
they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from speedtui.engine.config.paths import value_at
from speedtui.engine.config.precision import computes_in_half
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.search.candidates import BF16, CHECKPOINTING, FP16, TF32, WORKERS

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
    flash_attention_3: bool = False
    """Its package is."""
    bf16: bool = True
    """The device computes in bfloat16 by itself; the CPU does in any case."""
    tf32: bool = False
    """It multiplies float32 by TF32 where it is asked to."""
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
        *_precisions(settings, machine),
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


def _precisions(settings: Settings, machine: Machine) -> Iterator[Knob]:
    """First of all, since what is fastest beside them is another thing; weights in half precision leave them little."""
    train = settings.train
    if settings.search.numerics != "may change" or settings.model.dtype != "float32":
        return
    if not (train.bf16 or train.fp16):
        half = BF16 if machine.bf16 or not machine.cuda else FP16
        yield Knob(path=half, values=(False, True))
    if machine.tf32 and not train.tf32:
        yield Knob(path=TF32, values=(False, True))


def _attention(settings: Settings, machine: Machine) -> tuple[str, ...]:
    """A recipe's model has none to switch; flash attention takes half precision only.

    Eager is no candidate on a GPU: it writes what the kernels of sdpa never do, the scores of all pairs of tokens.
    """
    configured = settings.model.attention
    if settings.model.kind == "python":
        return (configured,)
    there = {"flash_attention_2": machine.flash_attention, "flash_attention_3": machine.flash_attention_3}
    flash = [name for name, found in there.items() if found and machine.cuda and computes_in_half(settings)]
    kinds = ["sdpa"] if machine.cuda else ["sdpa", "eager"]
    plain = kinds if machine.sdpa and configured != "auto" else []
    return tuple(dict.fromkeys((configured, *plain, *flash)))


def _optimizers(settings: Settings) -> tuple[str, ...]:
    """The fused kernel computes what the plain one does; any other optimizer would learn differently."""
    configured = settings.train.optimizer
    return (configured, "adamw_torch_fused") if configured == "adamw_torch" else (configured,)
