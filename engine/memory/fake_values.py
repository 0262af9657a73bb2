"""Fake tensors in the place of weights and of a micro-batch, and what fake integers stand for, so that a model's
questions about its inputs are answered as in a real run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch._subclasses import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from speedtui.engine.workload.quantized import carry_scales

LIMIT = 1 << 20
"""Elements of the largest tensor whose values are kept: ids and masks of a micro-batch, not what is made of them."""

_VALUE = "_speedtui_value"
_DECIDING = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


def know(fake: torch.Tensor, value: torch.Tensor) -> None:
    """The fake tensor stands for this real one from now on."""
    setattr(fake, _VALUE, value)


def value_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """The real tensor that a fake one stands for, where it is known; a constant, which is real, is its own."""
    value: torch.Tensor | None = getattr(tensor, _VALUE, None)
    return value if value is not None or isinstance(tensor, FakeTensor) else tensor


def decide(func: Any, args: Any, kwargs: Any) -> Any:
    """The real result of an operation whose result, or its shape, depends on values that are known; else None."""
    if not any(tag in func.tags for tag in _DECIDING) or not all(_known(args, kwargs)):
        return None
    return _really(func, args, kwargs)


def follow(func: Any, args: Any, kwargs: Any, results: Sequence[torch.Tensor]) -> None:
    """Has the values of `results` known too where those that they were computed from are.

    Random ones are not, nor large ones. A single random number is taken to be 1, its upper end: what a model leaves
    out at random, such as layers, is not left out.
    """
    given = _known(args, kwargs)
    if not results:
        _write(func, args, kwargs, given)
        return
    random = torch.Tag.nondeterministic_seeded in func.tags
    if random and not given and results[0].numel() == 1:
        with _disable_current_modes():
            know(results[0], torch.ones(results[0].shape, dtype=results[0].dtype))
    elif random or not all(given):
        if any(given):
            _forget(results)
    elif given or "empty" not in func.name():
        _follow(func, args, kwargs, results)


def _follow(func: Any, args: Any, kwargs: Any, results: Sequence[torch.Tensor]) -> None:
    if sum(result.numel() for result in results) <= LIMIT:
        values = _tensors(_really(func, args, kwargs))
        for result, value in zip(results, values, strict=True):
            know(result, value)


def _write(func: Any, args: Any, kwargs: Any, given: Sequence[bool]) -> None:
    """What works in place on lists of tensors returns none of them: an optimizer's counts of steps."""
    if not func._schema.is_mutable or not any(given):
        return
    if all(given):
        _really(func, args, kwargs)
        return
    for argument, value in zip(func._schema.arguments, args, strict=False):
        if argument.alias_info is not None and argument.alias_info.is_write:
            _forget(_tensors(value))


def _forget(results: Sequence[torch.Tensor]) -> None:
    """What is not known was written into them."""
    for result in results:
        if getattr(result, _VALUE, None) is not None:
            delattr(result, _VALUE)


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _known(args: Any, kwargs: Any) -> list[bool]:
    """Of each tensor among the arguments."""
    return [value_of(tensor) is not None for tensor in _tensors((args, kwargs))]


def _really(func: Any, args: Any, kwargs: Any) -> Any:
    real_args, real_kwargs = tree_map(
        lambda leaf: value_of(leaf) if isinstance(leaf, torch.Tensor) else leaf, (args, kwargs)
    )
    with _disable_current_modes():
        return func(*real_args, **real_kwargs)


def _never(x: Any) -> bool:
    return False


@contextmanager
def masks_by_value() -> Iterator[None]:
    """Has transformers look at a fake mask's values, which are known here, instead of assuming some padding.

    For fake tensors it takes the way of a compiler: a whole mask where there is no padding, which a real run goes
    without.
    """
    from transformers.utils import import_utils

    asked = getattr(import_utils, "is_fake_tensor", None)
    if asked is None:  # an older release, which does not ask
        yield
        return
    import_utils.is_fake_tensor = _never
    try:
        yield
    finally:
        import_utils.is_fake_tensor = asked


def replace_tensors(model: nn.Module) -> None:
    """Puts a fake CPU tensor in the place of every parameter and buffer; inside a FakeTensorMode only.

    Tied ones stay tied. peft cannot wrap a model inside the mode ("Couldn't swap"), so a model is built and wrapped
    on the meta device first.
    """
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None and id(tensor) not in made:
                    made[id(tensor)] = _fake(tensor)
                    carry_scales(tensor, made[id(tensor)], _fake)
                if tensor is not None:
                    held[name] = made[id(tensor)]  # type: ignore[assignment]


def _fake(tensor: torch.Tensor) -> torch.Tensor:
    empty = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="cpu")
    return nn.Parameter(empty, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def fake_batch(batch: Any) -> Any:
    """The micro-batch as fake CPU tensors whose values are known; inside a FakeTensorMode only."""
    if isinstance(batch, torch.Tensor):
        fake = torch.empty_strided(batch.size(), batch.stride(), dtype=batch.dtype, device="cpu")
        if batch.numel() <= LIMIT and batch.device.type == "cpu":
            know(fake, batch)
        return fake
    if isinstance(batch, Mapping):
        return {key: fake_batch(value) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(fake_batch(value) for value in batch)
    return batch
