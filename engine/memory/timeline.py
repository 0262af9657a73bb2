"""Every tensor storage that is made and freed, in order."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterable
from itertools import pairwise
from typing import Any

import torch
from torch._subclasses import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from speedtui.engine.memory import fake_values

WEIGHTS, GRADIENTS, OPTIMIZER, ACTIVATIONS, LOGITS = range(5)

HeldBytes = tuple[int, int, int, int, int]
"""Bytes by part: weights, gradients, optimizer, activations, logits."""

Label = tuple[Hashable, ...]
"""The phase, and where in it."""

Segments = dict[Label, list[HeldBytes]]
"""What was held at each local maximum after a label, until the next."""


class Timeline(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages of what operations return, as `meter.memory.LiveStorages` does, and keeps the whole story.

    To be entered after the FakeTensorMode. It also answers what depends on values that are known, see `known`.
    """

    def __init__(self, *, vocabulary: int | None, unit: int = 1) -> None:
        """`vocabulary`: the last dimension of logits; `unit`: bytes to which an allocator rounds sizes up."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.at_logits = False
        """Whether tensors over the vocabulary are logits now."""
        self._vocabulary = vocabulary
        self._unit = unit
        self._numbers: dict[int, int] = {}
        """The living storages' numbers, by address."""
        self._sizes: list[int] = []
        self._parts: list[int] = []
        self._events: list[tuple[int, int]] = []
        """(number, bytes added), in order."""
        self._marks: list[tuple[int, Label]] = []
        self._phase = ""
        self._earlier: set[int] = set()
        self._written: set[int] = set()
        self._absent: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.prim.device.default:  # asked twice an operation, and expensive to ask a fake tensor
            return args[0].fake_device if isinstance(args[0], FakeTensor) else args[0].device
        kwargs = kwargs or {}
        decided = fake_values.decide(func, args, kwargs)
        if decided is not None:
            return tree_map(self._stand_in, decided)
        result = func(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        fake_values.follow(func, args, kwargs, tensors)
        for tensor in tensors:
            self._number(tensor)
        return result

    # -- what is what ------------------------------------------------------------------------------

    def claim(self, tensors: Iterable[torch.Tensor], part: int) -> None:
        """The storages of these tensors belong to this part, from their beginning."""
        for tensor in tensors:
            self._parts[self._number(tensor)] = part

    def earlier(self, tensors: Iterable[torch.Tensor]) -> None:
        """They are there only because of earlier micro-steps."""
        self._earlier.update(map(self._number, tensors))

    def written(self, gradient: torch.Tensor) -> None:
        """It is added to a gradient; without an earlier micro-step it would be kept as the gradient."""
        self._written.add(self._number(gradient))

    def absent(self, tensors: Iterable[torch.Tensor]) -> None:
        """A real run would not have them."""
        self._absent.update(map(self._number, tensors))

    # -- where it happens --------------------------------------------------------------------------

    def begin(self, phase: str) -> None:
        """What follows belongs to this phase."""
        self._phase = phase
        self.enter()

    def enter(self, *place: Hashable) -> None:
        """What follows belongs to this place in the phase that has begun."""
        self._marks.append((len(self._events), (self._phase, *place)))

    def end(self) -> None:
        """What follows does not count."""
        self._marks.append((len(self._events), ()))

    # -- the story ---------------------------------------------------------------------------------

    def segments(self, *, accumulates: bool) -> Segments:
        """What was held, from the first phase that began to `end`; a label that comes again has its count added.

        accumulates: with the gradients of an earlier micro-step beside it; without them the step's only micro-step.
        """
        left_out = self._absent if accumulates else self._absent | self._earlier
        kept = set() if accumulates else self._written
        story = _Story(self._parts, left_out, kept)
        found: Segments = {}
        story.follow(self._events[: self._marks[0][0]])
        for (start, label), (end, _) in pairwise(self._marks):
            peaks = story.follow(self._events[start:end])
            if peaks:
                found[_unique(label, found)] = peaks
        return found

    def _stand_in(self, value: Any) -> Any:
        """A fake tensor for a real result; plain numbers stay what they are."""
        if not isinstance(value, torch.Tensor):
            return value
        fake = torch.empty(value.shape, dtype=value.dtype, device=value.device)
        fake_values.know(fake, value)
        self._number(fake)
        return fake

    def _number(self, tensor: torch.Tensor) -> int:
        """Of the tensor's storage, which is followed from now on."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        size = -(-storage.nbytes() // self._unit) * self._unit
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._sizes)
            self._sizes.append(0)
            self._parts.append(self._part(tensor))
            weakref.finalize(storage, self._free, key, number).atexit = False
        if size != self._sizes[number]:
            self._events.append((number, size - self._sizes[number]))
            self._sizes[number] = size
        return number

    def _part(self, tensor: torch.Tensor) -> int:
        over_vocabulary = self.at_logits and tensor.ndim > 1 and tensor.shape[-1] == self._vocabulary
        return LOGITS if over_vocabulary else ACTIVATIONS

    def _free(self, key: int, number: int) -> None:
        self._numbers.pop(key, None)
        if self._sizes[number]:
            self._events.append((number, -self._sizes[number]))


class _Story:
    """Adds up what is held, from one event to the next."""

    def __init__(self, parts: list[int], left_out: set[int], kept: set[int]) -> None:
        """`kept`: gradients that are never freed."""
        self._parts = parts
        self._left_out = left_out
        self._kept = kept
        self._held = [0, 0, 0, 0, 0]

    def follow(self, events: Iterable[tuple[int, int]]) -> list[HeldBytes]:
        """The local maxima on the way, the end included."""
        held, peaks, grew = self._held, [], False
        for number, size in events:
            keep = number in self._kept
            if number in self._left_out or (keep and size < 0):
                continue
            if size < 0 and grew:
                peaks.append(_as_held(held))
            grew = size > 0
            held[GRADIENTS if keep else self._parts[number]] += size
        if grew:
            peaks.append(_as_held(held))
        return peaks


def _as_held(held: list[int]) -> HeldBytes:
    return (held[0], held[1], held[2], held[3], held[4])


def _unique(label: Label, taken: Segments) -> Label:
    count = 0
    unique = label
    while unique in taken:
        count += 1
        unique = (*label, count)
    return unique
