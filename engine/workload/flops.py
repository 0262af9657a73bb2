"""The floating-point operations of a model, counted on a row of its data without computing anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from speedtui.engine.efficiency import ModelFlops
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.model import loss_of

COUNTABLE = ("eager", "sdpa")
"""Attention of transformers whose products torch knows; a kernel of another library is no operation that it counts."""
ROWS_OF_A_RECIPE = 2
"""A batch of one is refused by layers that normalize over it."""


TORCHS_OWN = ("aten", "prim", "prims")
"""Namespaces of operators that are looked at; what one of another library computes is not known."""
UNKNOWN_PRODUCT = re.compile(r"mm(_|$)|attention|conv|rnn")
"""Names of products; one that torch has no formula for, such as that of grouped experts, would be left out."""


class NotCounted(Exception):
    """The operations cannot be counted; the text says why."""


def count_flops(model: nn.Module, workload: Workload) -> ModelFlops:
    """Of the forward and backward pass as the model is trained: `model` has its adapter, if any, and is left as it is.

    Fake tensors go through it, so that it takes no device and no memory, and about as long as launching a step.
    Attention is counted as the plain products, what it recomputes in its backward pass left out, and so is what
    gradient checkpointing recomputes: a model in evaluation mode does without.

    Raises:
        NotCounted: the weights are quantized, or the model does something that fake tensors cannot.
    """
    if not all(parameter.is_floating_point() for parameter in model.parameters()):
        raise NotCounted("its weights are quantized")
    tokens = workload.row_tokens
    index = telling_row(tokens) if tokens is not None else 0
    rows = 1 if tokens is not None else ROWS_OF_A_RECIPE
    batch = workload.collator([workload.train_dataset[index]] * rows)
    try:
        counted = _count(model, batch)
    except NotCounted:
        raise
    except Exception as error:  # a model of somebody's own may do anything
        text = str(error).strip().partition("\n")[0]
        raise NotCounted(f"{type(error).__name__}: {text}" if text else type(error).__name__) from None
    if not counted:
        raise NotCounted("it multiplies no matrices")
    if tokens is None:
        return ModelFlops(per_sample=counted / rows)
    per_token = counted / float(tokens[index])
    return ModelFlops(per_sample=per_token * float(tokens.mean()), per_token=per_token)


def telling_row(tokens: NDArray[np.int32]) -> int:
    """Index of a row whose cost a token is that of all rows: (rows,), int32, tokens of each.

    A row costs a L + b L^2, its attention being the square. All tokens then cost a + b x sum L^2 / sum L on the mean,
    as those of a row of length sum L^2 / sum L do; the nearest row is taken.
    """
    lengths = tokens.astype(np.float64)
    return int(np.abs(lengths - (lengths**2).sum() / lengths.sum()).argmin())


def math_precision(model: nn.Module, *, autocast: torch.dtype | None, tf32: bool) -> str:
    """What its matrices are multiplied in, by name as in `hardware.peaks`; empty where that is not one format.

    `autocast`: the format that operations are cast to; `tf32`: whether float32 goes through tensor cores.
    """
    if autocast is not None:
        return str(autocast).removeprefix("torch.")
    formats = {
        parameter.dtype for parameter in model.parameters() if parameter.dim() > 1 and not parameter.requires_grad
    }
    formats = formats or {parameter.dtype for parameter in model.parameters() if parameter.dim() > 1}
    if len(formats) != 1:
        return ""
    name = str(formats.pop()).removeprefix("torch.")
    return "tf32" if name == "float32" and tf32 else name


def _count(model: nn.Module, batch: Mapping[str, Any]) -> int:
    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    with _evaluating(model), _countable_attention(model), fakes, sdpa_kernel(SDPBackend.MATH):
        tensors = {name: _fake(tensor) for name, tensor in (*model.named_parameters(), *model.named_buffers())}
        inputs = _fake(batch)
        products = _Products()
        with products:
            loss = loss_of(functional_call(model, tensors, (), inputs))
            if loss is None:
                raise ValueError("the model's forward returned no loss")
            loss.backward()  # type: ignore[no-untyped-call]
    return products.flops


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the operations of those operators that torch has a formula for.

    As torch's FlopCounterMode does, which keeps them by module besides and takes nearly twice as long.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        formula = flop_registry.get(getattr(func, "_overloadpacket", None))
        if formula is None and (func.namespace not in TORCHS_OWN or UNKNOWN_PRODUCT.search(func._opname)):
            raise NotCounted(f"{func} has no formula")
        result = func(*args, **(kwargs or {}))
        if formula is not None:
            self.flops += int(formula(*args, **(kwargs or {}), out_val=result))
        return result


def _fake(value: Any) -> Any:
    """Tensors without memory, however they are nested, each to get a gradient where it would; in a FakeTensorMode only.

    They are the CPU's, whatever the device: what is counted is the same, and nothing asks a driver.
    """
    if isinstance(value, torch.Tensor):
        fake = torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="cpu")
        return fake.requires_grad_(value.requires_grad)
    if isinstance(value, Mapping):
        return {key: _fake(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_fake(item) for item in value)
    return value


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode; each module afterwards in its own."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _countable_attention(model: nn.Module) -> Iterator[None]:
    """With an attention that torch can count. Only its name changes, so that nothing keeps it from being put back."""
    configs: dict[int, Any] = {id(config): config for config in (getattr(m, "config", None) for m in model.modules())}
    own = {key: getattr(config, "_attn_implementation", None) for key, config in configs.items()}
    other = [key for key, name in own.items() if name is not None and name not in COUNTABLE]
    try:
        for key in other:
            configs[key]._attn_implementation = "sdpa"
        yield
    finally:
        for key in other:
            configs[key]._attn_implementation = own[key]
