"""Which settings are worth a trial on this machine and with these data; no gain is claimed for any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from speedtui.engine.advise.costs import FIRST_WORKERS
from speedtui.engine.advise.strategy import (
    ATTENTION,
    BF16,
    CHECKPOINTING,
    COMPILE,
    FP16,
    FUSED,
    GROUPING,
    LIGER,
    OPTIMIZER,
    PACKING,
    TF32,
    WORKERS,
    Need,
)
from speedtui.engine.advise.words import MICRO_BATCH
from speedtui.engine.config.batch import divisors
from speedtui.engine.config.capability import BFLOAT16, FLASH, TENSOR_CORES, TRITON, Capability, has
from speedtui.engine.config.capability import TF32 as TF32_UNITS
from speedtui.engine.config.precision import computes_in_half
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.units import format_share, format_size

TELLING = 0.02
"""What takes less of a step than this gains less than the trials' own intervals: it is not worth a trial."""
REASONS: dict[str, str] = {
    MICRO_BATCH: "larger matrix products, fewer of them", WORKERS: "workers read and collate while a step runs",
    CHECKPOINTING: "every layer is computed a second time in the backward pass, and keeps less in memory",
    ATTENTION: "another way to compute the same scores", OPTIMIZER: "one kernel for all parameters",
    COMPILE: "fuses small operations and launches fewer of them", BF16: "matrix products in half the bits",
    FP16: "matrix products in half the bits", TF32: "matrix products that read 19 bits instead of 32",
    LIGER: "norms, rotation and the loss in a kernel each",
    GROUPING: "samples of about the same length together: less padding",
    PACKING: "samples laid end to end: no padding",
}  # fmt: skip
"""Why each can make a difference at all."""
NOT_MOVED = 'mode auto leaves it as it is unless search.numerics = "may change"'
NOT_LISTED = "mode auto tries it where search.knobs lists it"
HOLD = "hold the losses of both against each other"
COSTS: dict[str, str] = {
    MICRO_BATCH: "with mixed lengths also more padding", WORKERS: "its processes start anew each epoch",
    ATTENTION: "rounding in the last digits", COMPILE: "compiling at first and for new shapes",
    GROUPING: "less random", BF16: HOLD, FP16: HOLD, TF32: HOLD, LIGER: HOLD,
    PACKING: "a row then holds several samples",
}  # fmt: skip
"""What each costs besides memory."""


class UntriedChange(msgspec.Struct, frozen=True, kw_only=True):
    """One setting with the value to be tried."""

    path: str
    value: Scalar
    why: str
    needs: tuple[Need, ...] = ()
    not_worth_it: str = ""
    """Why it gains nothing here; empty where it may."""


class Here(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the machine and of a step."""

    settings: Settings
    """In use now."""
    cuda: bool
    capability: Capability | None = None
    """Of the GPU; None where its driver did not tell."""
    cores: int | None
    padding: float | None
    """Share of the padded tokens."""
    shares: Mapping[str, float]
    """Of a step, by phase; empty where none was measured."""


def offers(
    here: Here, failed: int | None, predicted: Mapping[int, tuple[int | None, int | None]]
) -> list[UntriedChange]:
    """What applies here, the most usual first.

    `failed`: the smallest micro-batch that ran out of memory with these settings; `predicted`: (peak, limit)
    by micro-batch.
    """
    found = [*_micro_batch(here, failed, predicted), *_checkpointing(here), *_workers(here), *_attention(here)]
    found += [*_optimizer(here), *_compile(here), *_grouping(here), *_packing(here), *_precision(here)]
    return [*found, *_liger(here)]


def _micro_batch(
    here: Here, failed: int | None, predicted: Mapping[int, tuple[int | None, int | None]]
) -> Iterator[UntriedChange]:  # fmt: skip
    """The next larger one; the effective batch stays."""
    train = here.settings.train
    larger = [n for n in divisors(train.effective_batch_size) if n > train.micro_batch_size]
    if not larger or (failed is not None and larger[0] >= failed):
        return
    micro, effective = larger[0], train.effective_batch_size
    peak, limit = predicted.get(micro, (None, None))
    memory = Need(text="memory: not predicted")
    if peak is not None:
        room = f" of {format_size(limit)}" if limit is not None else ""
        memory = Need(text=f"memory ~{format_size(peak)}{room}", met=peak <= limit if limit is not None else None)
    yield UntriedChange(
        path=MICRO_BATCH, value=micro, needs=(memory,),
        why=f"fewer, larger matrix products: {effective // micro} micro-steps a step instead of "
            f"{effective // train.micro_batch_size}, the effective batch stays {effective}",
    )  # fmt: skip


def _checkpointing(here: Here) -> Iterator[UntriedChange]:
    if here.settings.train.gradient_checkpointing and here.settings.model.kind != "python":
        yield UntriedChange(path=CHECKPOINTING, value=False,
                            why="every layer is computed a second time in the backward pass",
                            needs=(Need(text="memory: not predicted"),))  # fmt: skip


def _workers(here: Here) -> Iterator[UntriedChange]:
    workers = here.settings.train.loader_workers
    value = 2 * workers or FIRST_WORKERS
    share = here.shares.get("data")
    little = f"data takes {_percent(share)} of a step" if share is not None and share < TELLING else ""
    enough = here.cores is None or value <= here.cores
    if enough:
        need = Need(text=f"{value} cores of {here.cores}", met=True) if here.cores is not None else Need(text="cores")
        yield UntriedChange(path=WORKERS, value=value, why=f"{_waits(share)}; workers collate meanwhile", needs=(need,),
                            not_worth_it=little)  # fmt: skip


def _attention(here: Here) -> Iterator[UntriedChange]:
    model = here.settings.model
    if model.kind == "python":
        return
    if model.attention == "eager":
        yield UntriedChange(
            path=ATTENTION, value="sdpa", why="eager attention keeps the whole matrix of scores in memory"
        )
    if here.cuda and not model.attention.startswith("flash") and has(here.capability, FLASH) is not False:
        half = Need(text="bfloat16 or float16, of the weights or by autocast", met=computes_in_half(here.settings))
        needs = (Need(text="the package flash-attn"), half)
        yield UntriedChange(
            path=ATTENTION, value="flash_attention_2", needs=needs,
            why="never writes the matrix of scores; pays with long samples",
        )  # fmt: skip


def _optimizer(here: Here) -> Iterator[UntriedChange]:
    plain, fused = FUSED
    if here.settings.train.optimizer != plain:
        return
    share = here.shares.get("optimizer")
    little = f"the optimizer takes {_percent(share)} of a step" if share is not None and share < TELLING else ""
    yield UntriedChange(path=OPTIMIZER, value=fused, why="one kernel for all parameters instead of several for each",
                        not_worth_it=little)  # fmt: skip


def _compile(here: Here) -> Iterator[UntriedChange]:
    if not here.settings.train.compile:
        yield UntriedChange(path=COMPILE, value=True, why="fuses small operations and launches fewer of them")


def _grouping(here: Here) -> Iterator[UntriedChange]:
    settings = here.settings
    if settings.model.kind == "python" or settings.data.packing or settings.train.group_by_length:
        return
    single = settings.train.micro_batch_size == 1
    little = "a micro-batch of 1 has no padding" if single else _no_padding(here)
    yield UntriedChange(
        path=GROUPING, value=True, why=REASONS[GROUPING] if single else _padded(here), not_worth_it=little
    )


def _packing(here: Here) -> Iterator[UntriedChange]:
    if here.settings.model.kind == "causal-lm" and not here.settings.data.packing:
        single = here.settings.train.micro_batch_size == 1  # it has no padding, and still short rows
        why = "samples laid end to end: fewer, longer rows" if single else _padded(here)
        yield UntriedChange(path=PACKING, value=True, why=why, not_worth_it=_no_padding(here))


def _precision(here: Here) -> Iterator[UntriedChange]:
    """Of float32 weights that are multiplied as they are."""
    settings, train = here.settings, here.settings.train
    whole = settings.model.dtype == "float32" or settings.model.quantize != "none"  # whose other layers are float32
    if not whole or train.bf16 or train.fp16:
        return
    left = settings.search.mode == "auto" and settings.search.numerics == "same"
    more = f"; {NOT_MOVED}" if left else ""
    if (own := has(here.capability, BFLOAT16)) is not False:
        slower = "" if here.cuda else "; on a CPU without bfloat16 units it is slower"
        yield UntriedChange(path=BF16, value=True, why=f"{REASONS[BF16]}{slower}{more}",
                            needs=(Need(text="a device with bfloat16 units", met=own),))  # fmt: skip
    elif has(here.capability, TENSOR_CORES):
        yield UntriedChange(path=FP16, value=True, why=f"{REASONS[FP16]}, since this GPU has no bfloat16{more}",
                            needs=(Need(text="a device with float16 units", met=True),))  # fmt: skip
    if here.cuda and not train.tf32 and (own := has(here.capability, TF32_UNITS)) is not False:
        yield UntriedChange(path=TF32, value=True, why=f"{REASONS[TF32]}{more}",
                            needs=(Need(text="an NVIDIA GPU from Ampere on", met=own),))  # fmt: skip


def _liger(here: Here) -> Iterator[UntriedChange]:
    settings = here.settings
    usable = here.cuda and has(here.capability, TRITON) is not False
    if not usable or settings.train.liger or settings.model.kind == "python":
        return
    left = settings.search.mode == "auto" and settings.search.knobs.keys().isdisjoint((LIGER, "liger"))
    package = Need(text="the package liger-kernel, which knows many kinds of model and not all")
    yield UntriedChange(path=LIGER, value=True, why=f"{REASONS[LIGER]}{f'; {NOT_LISTED}' if left else ''}",
                        needs=(package, Need(text="memory: not predicted")))  # fmt: skip


def _waits(share: float | None) -> str:
    return f"{_percent(share)} of a step waits for data" if share is not None else "a step may wait for data"


def _padded(here: Here) -> str:
    if here.padding is None:
        return "padding is computed like tokens"
    return f"{format_share(here.padding)} of the computed tokens are padding"


def _no_padding(here: Here) -> str:
    """Empty where there is padding to be saved, or where nobody knows; a micro-batch of 1 has none to show."""
    padding = here.padding
    if padding is None or padding >= TELLING or here.settings.train.micro_batch_size == 1:
        return ""
    return f"padding is {format_share(padding)} of the tokens"


def _percent(share: float | None) -> str:
    """With a digit below ten percent, where rounding would hide the figure."""
    return format_share(share) if share is None or share >= 0.1 else f"{share * 100:.1f} %"
