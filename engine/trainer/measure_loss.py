"""Measures once for a model what its loss is a mean of; no signature tells it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from speedtui.engine.clean import clean
from speedtui.engine.errors import first_line
from speedtui.engine.evaluate.answering import base_of
from speedtui.engine.trainer.loaders import kept_randomness, to_device
from speedtui.engine.trainer.weighing import WORDS, Unit, Weighing, amount, kept_weighing, likely_units
from speedtui.engine.workload.base import Batch
from speedtui.engine.workload.collate import IGNORED, PadPacks, PadPairs, PadRight
from speedtui.engine.workload.failures import is_the_devices
from speedtui.engine.workload.model import loss_of
from speedtui.engine.workload.quantized import multiplies_in_half

FEW, MANY = 2, 24
"""Label tokens of the two rows that are compared: so different that a mean over tokens is none over rows."""
BEFORE = 8
"""Tokens left in front of them."""
LOOKED_AT = 16
"""Rows among which the two are looked for."""
SAME, SAME_HALF = 2e-6, 2e-3
"""Relative differences of two losses that mean nothing, in float32 and in half precision: of one row alone and of the
same row beside another, which other kernels compute."""
OFF, OFF_HALF = 1e-4, 2e-2
"""Those from which on a loss is not what it was taken for."""
ALIKE = 3
"""Misses that are this close to each other tell nothing: then the likeliest unit is taken."""
TINY = 1e-12
"""A loss of nothing differs by nothing."""


def weighing_of(model: nn.Module, dataset: Any, collator: Callable[[list[Any]], Any]) -> Weighing:
    """How the losses of this model's micro-batches add up; measured with the first call for a base model.

    Two rows are put through the model alone and together, in evaluation mode and without gradients: whether the loss
    of both is the mean by label tokens, the mean of the two or their sum tells what it is, whatever the model's
    `forward` takes. Weights, gradients, random numbers and modes stay as they are. `model`: with its adapter, if any;
    `dataset`, `collator`: the training's.
    """
    base = base_of(model)
    return kept_weighing(base, lambda: _measured(model, base, dataset, collator))


def _measured(model: nn.Module, base: Any, dataset: Any, collator: Callable[[list[Any]], Any]) -> Weighing:
    units: list[Unit] = ["rows"]
    if isinstance(collator, PadRight | PadPacks | PadPairs):
        units = ["tokens" if isinstance(collator, PadPairs) else "next_tokens"]
    config = getattr(base, "config", None)
    encoder_decoder = bool(getattr(config, "is_encoder_decoder", False))
    try:
        with unchanged(model), without_router_losses(base):
            first, second = two_rows(dataset, collator)
            batches = [collator(rows) for rows in ([first], [second], [first, second])]
            units = likely_units(batches[2], encoder_decoder=encoder_decoder)
            losses = _losses(model, [*batches, batches[2]])
    except Exception as error:  # the training's first step will say it better, if it fails there too
        doubt = f"what its loss is a mean of could not be measured ({clean(first_line(error), 200)})"
        doubt += f"; it is taken for {WORDS[units[0]]}"
        return Weighing(unit=units[0], doubt=doubt, passing=is_the_devices(error))
    flash = str(getattr(config, "_attn_implementation", "")).startswith("flash")
    unit, doubt = _judged(units, batches, losses, half=flash or multiplies_in_half(base))
    return Weighing(unit=unit, doubt=doubt or _coupled(base))


def _judged(units: list[Unit], batches: list[Batch], losses: list[float], *, half: bool) -> tuple[Unit, str]:
    """(what the loss is a mean of, why that is in doubt)."""
    one, other, both, again = losses
    if not all(map(math.isfinite, losses)):
        return units[0], f"the loss of its first rows is not finite; it is taken for {WORDS[units[0]]}"
    if abs(both - again) > (SAME_HALF if half else SAME) * abs(both):
        return _of_random(units, one, other, both)
    misses = {unit: _miss(unit, batches, one, other, both) for unit in units}
    least, same, off = min(misses.values()), *((SAME_HALF, OFF_HALF) if half else (SAME, OFF))
    if least <= off:
        return next(unit for unit in units if misses[unit] <= least + same), ""
    unit = next(unit for unit in units if misses[unit] <= ALIKE * least)
    return unit, (
        f"the loss of two rows together is no mean of theirs and no sum ({one:.4g} and {other:.4g} make {both:.4g}); "
        f"it is taken for {WORDS[unit]}, and what else is in it depends on the micro-batch"
    )


def _of_random(units: list[Unit], one: float, other: float, both: float) -> tuple[Unit, str]:
    """A loss that draws random numbers tells no more than whether it is a sum."""
    mean = (one + other) / 2
    unit: Unit = "whole" if abs(both - 2 * mean) < abs(both - mean) else units[0]
    return (
        unit,
        f"the loss draws random numbers: what it is a mean of cannot be measured; it is taken for {WORDS[unit]}",
    )


def _miss(unit: Unit, batches: list[Batch], one: float, other: float, both: float) -> float:
    """How far the loss of both rows is from what it would be, relative to it."""
    weighing = Weighing(unit=unit)
    first, second = weighing.shares(batches[:2])
    return abs(one * first + other * second - both) / max(abs(both), TINY)


def _coupled(base: nn.Module) -> str:
    """What evaluation mode does not show."""
    if any(isinstance(module, _BatchNorm) for module in base.modules()):
        return "batch normalization takes the statistics of each micro-batch, so a step depends on how it is cut"
    if router_configs(base):
        return (
            "the balancing loss of its router is that of each micro-batch by nature; it is scaled like the rest, and "
            "left out of evaluations"
        )
    return ""


# -- two rows --------------------------------------------------------------------------------------


def two_rows(dataset: Any, collator: Callable[[list[Any]], Any]) -> tuple[Any, Any]:
    """Two rows whose label tokens differ much; of this program's own data a few tokens of each are enough."""
    rows = [dataset[index] for index in range(min(len(dataset), LOOKED_AT))]
    learned = [amount("tokens", collator([row])) for row in rows]
    many = max(range(len(rows)), key=learned.__getitem__)
    others = [index for index in range(len(rows)) if index != many] or [many]
    few = min(others, key=learned.__getitem__)
    if isinstance(collator, PadRight | PadPacks):
        few = next((index for index in others if learned[index] >= FEW), many)
        return _cut(rows[few], FEW), _cut(rows[many], MANY)
    if isinstance(collator, PadPairs):
        return _cut_pair(rows[few], FEW), _cut_pair(rows[many], MANY)
    return rows[few], rows[many]


def _cut(sample: Mapping[str, torch.Tensor], learned: int) -> dict[str, torch.Tensor]:
    """The first learned tokens and a few before them; of a pack as if it were one sample."""
    first = int(sample["labels"].ne(IGNORED).nonzero()[0])
    kept = slice(max(first - BEFORE, 0), first + learned)
    return {name: sample[name][kept] for name in ("input_ids", "labels")}


def _cut_pair(sample: Mapping[str, torch.Tensor], learned: int) -> dict[str, torch.Tensor]:
    return {"input_ids": sample["input_ids"][:BEFORE], "labels": sample["labels"][:learned]}


# -- the model -------------------------------------------------------------------------------------


def _losses(model: nn.Module, batches: list[Batch]) -> list[float]:
    """Of collated batches; under autocast where it is not done without, as with flash attention.

    Raises:
        ValueError: the model's forward gives none.
    """
    try:
        return [_loss(model, batch) for batch in batches]
    except RuntimeError as error:
        if is_the_devices(error):
            raise
    device = next(model.parameters()).device.type
    with torch.autocast(device, torch.bfloat16):
        return [_loss(model, batch) for batch in batches]


def _loss(model: nn.Module, batch: Batch) -> float:
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    loss = loss_of(model(**{key: to_device(value, device) for key, value in batch.items()}))
    if loss is None:
        raise ValueError("in evaluation mode its forward gives no loss")
    return float(loss)


@contextmanager
def unchanged(model: nn.Module, *, gradients: bool = False) -> Iterator[None]:
    """Evaluation mode, without gradients unless they are asked for.

    Modes, each module's own, and random numbers are as before afterwards.
    """
    training = [module for module in model.modules() if module.training]
    try:
        model.eval()
        with kept_randomness(), torch.set_grad_enabled(gradients):
            yield
    finally:
        for module in training:
            module.training = True


def router_configs(model: nn.Module) -> list[Any]:
    """The configs in a model that add the balancing loss of a mixture of experts to the loss."""
    configs = {id(config): config for config in (getattr(module, "config", None) for module in model.modules())}
    return [config for config in configs.values() if getattr(config, "output_router_logits", False) is True]


@contextmanager
def without_router_losses(model: nn.Module) -> Iterator[None]:
    """The loss without the balancing part, which is a measure of a batch's routing and not of what was learned."""
    configs = router_configs(model)
    for config in configs:
        config.output_router_logits = False
    try:
        yield
    finally:
        for config in configs:
            config.output_router_logits = True
