"""How a model of many equal layers is computed from two that have few of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from torch import nn

FIELDS = (
    (("encoder_layers", "num_hidden_layers"), ("decoder_layers",)),
    (("num_layers", "num_hidden_layers"), ("num_decoder_layers",)),
    (("num_hidden_layers",),),
)
"""Fields of a config that say how many layers there are, one group for each stack; the first set that is there.

Other spellings, such as GPT-2's n_layer, are transformers' aliases of these (`attribute_map`).
"""

SHALLOW, ADDED = 2, 2
"""Layers of the smaller model: one at each end; and how many more the larger has: one that is seen from each end."""

Counts = tuple[int, ...]
"""Layers of each stack."""
Signature = tuple[Any, ...]


class DepthPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The depths to compute at, and how to get from them to the whole model."""

    stacks: tuple[str, ...]
    """Name of the module that holds the layers, for each stack."""
    shallow: Counts
    deep: Counts
    full: Counts
    fields: tuple[tuple[str, ...], ...]

    @property
    def runs(self) -> list[Counts]:
        """All stacks deep first, then each one shallow."""
        single = [(*self.deep[:k], self.shallow[k], *self.deep[k + 1 :]) for k in range(len(self.deep))]
        return [self.deep, *single]

    def missing(self, stack: int) -> float:
        """How often the difference between deep and shallow is to be added for the whole model."""
        return (self.full[stack] - self.deep[stack]) / (self.deep[stack] - self.shallow[stack])

    def config(self, config: Any, counts: Counts) -> Any:
        """The config with so many layers."""
        return _cut(config, self.fields, counts)


def plan_depths(config: Any, whole: nn.Module, build: Any) -> DepthPlan | None:
    """None where the whole model is as cheap, or where fewer layers would not be a smaller model of the same kind.

    `whole`: the model on the meta device; `build`: makes one from a config. What is left of a smaller model's layers
    is compared with the whole model's, kind for kind: mixtures of experts in every other layer, windows in five of
    six, dense first layers are found by what the layers are, not by their names.
    """
    fields = _fields(config)
    full = tuple(int(getattr(config, group[0])) for group in fields)
    found = [_steps(whole, count) for count in full]
    if not fields or any(step is None for step in found):
        return None
    shallow = tuple(step[0] for step in found if step)
    deep = tuple(step[1] for step in found if step)
    plan = DepthPlan(stacks=(), shallow=shallow, deep=deep, full=full, fields=fields)
    if sum(map(sum, plan.runs)) >= sum(full):
        return None
    stacks = tuple(_stack_of(k, plan, config, whole, build) for k in range(len(full)))
    return None if "" in stacks else msgspec.structs.replace(plan, stacks=stacks)


def _fields(config: Any) -> tuple[tuple[str, ...], ...]:
    for groups in FIELDS:
        if all(isinstance(getattr(config, group[0], None), int) for group in groups):
            return tuple(tuple(name for name in group if hasattr(config, name)) for group in groups)
    return ()


def _cut(config: Any, fields: Sequence[Sequence[str]], counts: Counts) -> Any:
    """With fewer layers, in lists of one entry a layer as well."""
    smaller = copy.deepcopy(config)
    for group, count in zip(fields, counts, strict=True):
        whole = getattr(config, group[0])
        for name, value in vars(config).items():
            if isinstance(value, list | tuple) and len(value) == whole:
                setattr(smaller, name, value[:count])
        for name in group:
            setattr(smaller, name, count)
    return smaller


def _lists(model: nn.Module, count: int) -> dict[str, nn.ModuleList]:
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) == count}


def _steps(whole: nn.Module, count: int) -> tuple[int, int] | None:
    """(shallow, deep) for stacks of so many layers; None where their layers follow no short pattern."""
    found = [_pattern([signature(layer) for layer in stack]) for stack in _lists(whole, count).values()]
    if not found:
        return None
    head, period = max(head for head, _ in found), max(period for _, period in found)
    shallow = max(head + 1, SHALLOW)
    shallow += (count - shallow) % period
    deep = shallow + (ADDED if period == 1 else period)
    return (shallow, deep) if deep < count else None


def _pattern(layers: Sequence[Signature]) -> tuple[int, int]:
    """(head, period): after the first `head` layers each is like the one `period` before it."""
    best = (len(layers), 1)
    for period in range(1, len(layers) // 2 + 1):
        differing = [i for i in range(len(layers) - period) if layers[i] != layers[i + period]]
        head = differing[-1] + 1 if differing else 0
        if head + period < sum(best):
            best = (head, period)
    return best


def signature(layer: nn.Module) -> Signature:
    """What a layer is made of: its modules' classes, the shapes of their weights, their plain attributes."""
    return tuple(
        (name, type(module).__name__, tuple(_weights(module)), tuple(_attributes(module)))
        for name, module in layer.named_modules()
    )


def _weights(module: nn.Module) -> Iterator[tuple[Any, ...]]:
    for name, weight in (*module._parameters.items(), *module._buffers.items()):
        yield name, None if weight is None else (tuple(weight.shape), weight.dtype)


def _attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, value in vars(module).items():
        plain = isinstance(value, bool | int | float | str)
        if plain and "idx" not in name and "layer_id" not in name and not name.startswith("_"):
            yield name, value


def _stack_of(k: int, plan: DepthPlan, config: Any, whole: nn.Module, build: Any) -> str:
    """Name of the module list that gets shorter with the fields of stack k, all else staying; empty: none such."""
    counts = (*plan.full[:k], plan.deep[k], *plan.full[k + 1 :])
    smaller = build(plan.config(config, counts))
    shortened = [
        name for name, layers in _lists(smaller, plan.deep[k]).items()
        if name in (wholes := _lists(whole, plan.full[k])) and _same_start(layers, wholes[name])
    ]  # fmt: skip
    if len(shortened) != 1:
        return ""
    (name,) = shortened
    return name if _rest(smaller, name) == _rest(whole, name) else ""


def _same_start(layers: nn.ModuleList, whole: nn.ModuleList) -> bool:
    return all(signature(a) == signature(b) for a, b in zip(layers, whole, strict=False))


def _rest(model: nn.Module, stack: str) -> list[tuple[Any, ...]]:
    """Weights outside the stack."""
    return [
        (name, tuple(weight.shape), weight.dtype)
        for name, weight in (*model.named_parameters(), *model.named_buffers())
        if not name.startswith(stack + ".")
    ]
