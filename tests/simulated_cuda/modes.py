"""What is asked of the device runs on the CPU, and what comes of it counts as being on the device."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodWrapperType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.simulated_cuda.device import SimulatedCuda, storage_key

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)
MIXING = ("copy_", "_to_copy", "index", "index_put", "index_put_", "_index_put_impl_", "_foreach_copy_", "lift_fresh")
"""Operators that may have tensors of the device and of the host."""


class Placement(TorchFunctionMode):
    """Follows `device=`, `.to`, `.cuda`, `.cpu`; a tensor that is on the device says so."""

    def __init__(self, device: SimulatedCuda) -> None:
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        own = SPECIAL.get(func)
        if own is not None:
            return own(self, *args, **(kwargs or {}))
        if isinstance(func, MethodWrapperType):  # reads an attribute, and makes nothing
            return func(*args)
        kwargs = dict(kwargs or {})
        wanted = where(kwargs.get("device"))
        if wanted is not None:
            kwargs["device"] = CPU
        near = any(map(self.device.holds, tensors_in(args, kwargs)))
        with Placing(self.device, wanted, near=near):
            result = func(*args, **kwargs)
        if wanted:
            take(self.device, result)
        return result


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what operators allocate on the device, and refuses those that mix it with the host."""

    def __init__(self, device: SimulatedCuda) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        device, local = self.device, self.device.local
        given = tensors_in(args, kwargs)
        keys = [storage_key(tensor) for tensor in given]
        held = [key for key in keys if key is not None and device.holds_key(key)]
        wanted = local.wanted
        if where(kwargs.get("device")):
            kwargs, wanted = {**kwargs, "device": CPU}, True
        if held:
            device.operation(func)
            self._refuse_mixed(func, given)
        result = func(*args, **kwargs)
        if wanted or (wanted is None and (held or (not given and local.near))):
            take(device, result, besides=set(keys) - set(held))
        return result

    def _refuse_mixed(self, func: Any, given: list[torch.Tensor]) -> None:
        if func.overloadpacket.__name__ in MIXING:
            return
        for tensor in given:
            if tensor.dim() and tensor.device.type == "cpu" and not self.device.holds(tensor):
                raise RuntimeError(
                    "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
                    f"(when checking arguments of {func})"
                )


class Placing:
    """What this thread makes meanwhile goes there. No generator: every operator enters one."""

    def __init__(self, device: SimulatedCuda, wanted: bool | None, *, near: bool = False) -> None:
        self._local, self._wanted, self._near = device.local, wanted, near

    def __enter__(self) -> None:
        local, wanted = self._local, self._wanted
        self._before = local.wanted, local.near
        local.wanted, local.near = wanted, self._near or (local.near and wanted is None)

    def __exit__(self, *error: object) -> None:
        self._local.wanted, self._local.near = self._before


def where(asked: Any) -> bool | None:
    """Whether a `device=` is the simulated one; None where it is not said, or is neither that nor the CPU."""
    if asked is None:
        return None
    kind = "cuda" if isinstance(asked, int) else torch.device(asked).type
    return kind == "cuda" if kind in ("cuda", "cpu") else None


def take(device: SimulatedCuda, result: Any, besides: set[int | None] = frozenset()) -> None:  # type: ignore[assignment]
    """All tensors in a result are on the device, but for those whose storages are `besides`."""
    for tensor in tensors_in(result):
        if storage_key(tensor) not in besides:
            device.take(tensor)


def tensors_in(*values: Any) -> list[torch.Tensor]:
    """All tensors of nested lists, tuples and mappings; torch's own walk through a tree takes many times as long."""
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += tensors_in(*value)
        elif isinstance(value, dict):
            found += tensors_in(*value.values())
    return found


# -- what torch's own functions would do with a device that is not there ------------------------------


def _to(mode: Placement, tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    copy = kwargs.pop("copy", False)
    other = args[0] if args and isinstance(args[0], torch.Tensor) else kwargs.get("other")
    if other is not None:
        return _moved(mode, tensor, mode.device.holds(other), other.dtype, copy=copy)
    asked, dtype, _, form = torch._C._nn._parse_to(*args, **kwargs)
    if asked is not None and where(asked) is None:
        return tensor.to(*args, **kwargs)
    return _moved(mode, tensor, where(asked), dtype, copy=copy, form=form)


def _moved(
    mode: Placement, tensor: torch.Tensor, wanted: bool | None, dtype: torch.dtype | None, *, copy: bool = False,
    form: torch.memory_format | None = None,
) -> torch.Tensor:  # fmt: skip
    held = mode.device.holds(tensor)
    there = held if wanted is None else wanted
    if there != held:
        mode.device.check()
    with Placing(mode.device, there):
        return torch.Tensor.to(tensor, dtype=dtype or tensor.dtype, copy=copy or there != held,
                               memory_format=form or torch.preserve_format)  # fmt: skip


def _cuda(mode: Placement, tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    return _moved(mode, tensor, True, None)


def _cpu(mode: Placement, tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    return _moved(mode, tensor, False, None)


def _as_tensor(mode: Placement, data: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
    wanted = where(kwargs.pop("device", None))
    with Placing(mode.device, False):
        tensor = torch.as_tensor(data, *args, **kwargs)
    return tensor if wanted is None else _moved(mode, tensor, wanted, None)


def _numpy(mode: Placement, tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    if mode.device.holds(tensor):
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory "
            "first."
        )
    return tensor.numpy(*args, **kwargs)


def _backward(
    mode: Placement, tensor: torch.Tensor, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False,
    inputs: Any = None,
) -> None:  # fmt: skip
    """With the mode on, for what is recomputed on the way, and what C++ makes for a gradient beside the others."""
    with Placing(mode.device, None, near=mode.device.holds(tensor)), mode:
        torch.autograd.backward(tensor, gradient, retain_graph, create_graph, inputs=inputs)


def _device(mode: Placement, tensor: torch.Tensor) -> torch.device:
    return CUDA if mode.device.holds(tensor) else tensor.device


SPECIAL: dict[Any, Callable[..., Any]] = {
    torch.Tensor.to: _to,
    torch.Tensor.cuda: _cuda,
    torch.Tensor.cpu: _cpu,
    torch.Tensor.numpy: _numpy,
    torch.Tensor.__array__: _numpy,
    torch.Tensor.backward: _backward,
    torch.Tensor.pin_memory: lambda mode, tensor, *args: tensor.clone(),
    torch.Tensor.device.__get__: _device,  # type: ignore[attr-defined]
    torch.Tensor.is_cuda.__get__: lambda mode, tensor: mode.device.holds(tensor),  # type: ignore[attr-defined]
    torch.Tensor.is_cpu.__get__: lambda mode, tensor: _device(mode, tensor).type == "cpu",  # type: ignore[attr-defined]
    torch.Tensor.get_device: lambda mode, tensor: 0 if mode.device.holds(tensor) else -1,
    torch.as_tensor: _as_tensor,
    torch._C._nn._parse_to: lambda mode, *args, **kwargs: torch._C._nn._parse_to(*args, **kwargs),
}
"""By the function that was called."""
