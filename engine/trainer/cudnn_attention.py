"""Whether cuDNN computes attention, found by measuring.

On devices where torch asks cuDNN first (compute capability 9.x and 10.x, in half precision) it builds a plan for every
pair of rows and length that it has not seen: about a second each in reports (FunASR issue 3704), which a run with many
lengths pays for many times. Whether its kernel is so much faster that it pays is a matter of the device, the heads and
how many lengths there are, so that it is measured and reckoned.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend

from speedtui.engine.clean import clean
from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import first_line
from speedtui.engine.evaluate.answering import base_of
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.schedule.steps import counts_of
from speedtui.engine.units import format_count, format_seconds
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.cache import cache_folder, key_of, replacing, touch
from speedtui.engine.workload.kernels import HALF, attention_dtype, attention_of
from speedtui.engine.workload.order import epoch_order

ROWS = 4
LENGTHS = (521, 653, 787)
"""Of what is measured. Primes: hardly a length that was met before."""
POPULATION = 2048
"""Micro-batches in which different lengths are counted."""


class KernelTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of attention forward and backward, one layer's, by the median over `LENGTHS`."""

    first: float
    """Of a length that was not met before."""
    again: float
    """Of the same once more."""


class AttentionTimes(msgspec.Struct, frozen=True, kw_only=True):
    """With cuDNN's kernel, and with the one that torch takes without it."""

    cudnn: KernelTimes
    other: KernelTimes


class RunLengths(msgspec.Struct, frozen=True, kw_only=True):
    """What a run asks of attention."""

    different: int
    """Lengths of its micro-batches."""
    calls: int
    """Attention forward and backward of one layer, as often as the run has them."""
    size: float
    """Rows x length^2 of a mean micro-batch over that of what was measured: the work in it."""


class Kernels(Protocol):
    """Attention as a model asks for it, on a device."""

    def asks_cudnn(self) -> bool:
        """Whether torch would take cuDNN's kernel."""

    def seconds(self, tokens: int, *, cudnn: bool) -> float:
        """Of one forward and backward of `ROWS` rows of this length, on the device."""


class CudaKernels:
    """torch's own."""

    def __init__(self, shape: Heads, device: torch.device) -> None:
        self._shape, self._device = shape, device

    def asks_cudnn(self) -> bool:
        """By torch's own choice for such tensors."""
        query, key = self._tensors(LENGTHS[0])
        choice = torch._fused_sdp_choice(query, key, key, is_causal=True, enable_gqa=self._grouped)
        return bool(choice == SDPBackend.CUDNN_ATTENTION.value)

    def seconds(self, tokens: int, *, cudnn: bool) -> float:
        """By the clock, the device waited for before and after."""
        query, key = self._tensors(tokens)
        value = torch.randn_like(key, requires_grad=True)
        with cudnn_attention(cudnn):
            torch.cuda.synchronize(self._device)
            began = working_seconds()
            found = functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=self._grouped)
            found.backward(torch.ones_like(found))  # type: ignore[no-untyped-call]
            torch.cuda.synchronize(self._device)
            return working_seconds() - began

    @property
    def _grouped(self) -> bool:
        return self._shape.heads != self._shape.key_value_heads

    def _tensors(self, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Query and key, in memory as a projection leaves them: (rows, tokens, heads, head) with two axes exchanged."""
        made = [
            torch.randn(ROWS, tokens, heads, self._shape.head, device=self._device, dtype=self._dtype)
            for heads in (self._shape.heads, self._shape.key_value_heads)
        ]
        query, key = (tensor.transpose(1, 2).requires_grad_() for tensor in made)
        return query, key

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float16 if self._shape.dtype == "float16" else torch.bfloat16


class Heads(msgspec.Struct, frozen=True, kw_only=True):
    """Attention of a model, as far as a kernel hangs on it."""

    heads: int
    key_value_heads: int
    head: int
    """Elements of one."""
    dtype: str
    """float16 or bfloat16: others cuDNN does not take."""
    layers: int


def heads_of(model: Any, settings: Settings) -> Heads | None:
    """None where attention is not torch's, not in half precision, or its shape is not known, as of a recipe."""
    base = base_of(model)
    dtype = attention_dtype(base, settings)
    if attention_of(base, settings) != "sdpa" or dtype not in HALF:
        return None
    text = base.config.get_text_config()
    heads, hidden, layers = (
        getattr(text, name, None) for name in ("num_attention_heads", "hidden_size", "num_hidden_layers")
    )
    if not (isinstance(heads, int) and isinstance(hidden, int) and isinstance(layers, int)):
        return None
    return Heads(
        heads=heads,
        key_value_heads=getattr(text, "num_key_value_heads", None) or heads,
        head=getattr(text, "head_dim", None) or hidden // heads,
        dtype=str(dtype).removeprefix("torch."),
        layers=layers,
    )


def measure(kernels: Kernels) -> AttentionTimes:
    """Some seconds where cuDNN plans for each length. The first call of each warms up what is no plan."""
    return AttentionTimes(cudnn=_times(kernels, cudnn=True), other=_times(kernels, cudnn=False))


def _times(kernels: Kernels, *, cudnn: bool) -> KernelTimes:
    kernels.seconds(LENGTHS[0] - 1, cudnn=cudnn)
    first, again = zip(*([kernels.seconds(n, cudnn=cudnn) for _ in range(2)] for n in LENGTHS), strict=True)
    return KernelTimes(first=statistics.median(first), again=statistics.median(again))


def run_lengths(workload: Workload, settings: Settings, layers: int) -> RunLengths | None:
    """Of the run with these settings; None where the lengths are not known."""
    if workload.lengths is None:
        return None
    train, size = settings.train, settings.train.micro_batch_size
    order = epoch_order(
        len(workload.train_dataset), workload.row_tokens, seed=train.seed, epoch=0,
        group=size if train.group_by_length else None,
    )  # fmt: skip
    batches = order[: max(len(order) // size, 1) * size][: POPULATION * size]
    rows = np.resize(batches, (max(len(batches) // size, 1), size))
    padded = workload.padded_tokens(rows) / size
    counts = counts_of(settings, workload.facts.train_rows)
    reference = ROWS * statistics.fmean(tokens**2 for tokens in LENGTHS)
    return RunLengths(
        different=len(np.unique(padded)),
        calls=counts.total_steps * counts.accumulation * layers,
        size=size * float((padded**2).mean()) / reference,
    )


def pays(times: AttentionTimes, lengths: RunLengths) -> bool:
    """Whether cuDNN's plans for a run's lengths cost less than its calls save."""
    return run_seconds(times.cudnn, lengths) < run_seconds(times.other, lengths)


def run_seconds(times: KernelTimes, lengths: RunLengths) -> float:
    """Of all of a run's attention."""
    plans = lengths.different * max(times.first - times.again, 0.0)
    return plans + lengths.calls * times.again * lengths.size


class CudnnChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether cuDNN computes attention, and why."""

    cudnn: bool
    reason: str


def choose(
    model: Any, workload: Workload, settings: Settings, device: torch.device, kernels: Kernels | None = None
) -> CudnnChoice | None:
    """The same for a trial and for the training with its settings, in whatever process: what was measured is kept for
    this device and these heads in the user's cache folder. None where torch does not ask cuDNN, or nothing is known
    of the lengths: then torch's own choice stays.
    """
    heads = heads_of(model, settings) if device.type == "cuda" else None
    lengths = run_lengths(workload, settings, heads.layers) if heads is not None else None
    if heads is None or lengths is None:
        return None
    kernels = kernels or CudaKernels(heads, device)
    if not kernels.asks_cudnn():
        return None
    try:
        times = _kept_times(heads, device, kernels)
    except RuntimeError as error:
        reason = f"cuDNN's attention is off: it could not be measured ({clean(first_line(error), 200)})"
        return CudnnChoice(cudnn=False, reason=reason)
    chosen = pays(times, lengths)
    plan = format_seconds(max(times.cudnn.first - times.cudnn.again, 0.0))
    reason = (
        f"cuDNN's attention is {'on' if chosen else 'off'}: a plan takes it {plan}, and there are about "
        f"{format_count(lengths.different)} lengths; a call takes {1e6 * times.cudnn.again:.0f} us with it and "
        f"{1e6 * times.other.again:.0f} us without"
    )
    return CudnnChoice(cudnn=chosen, reason=reason)


def _kept_times(heads: Heads, device: torch.device, kernels: Kernels) -> AttentionTimes:
    name, cudnn = torch.cuda.get_device_name(device), torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    shape = msgspec.structs.replace(heads, layers=0)
    key = key_of([1, name, torch.__version__, cudnn, ROWS, LENGTHS, msgspec.to_builtins(shape)])
    path = cache_folder("attention") / f"{key}.json"
    try:
        times = msgspec.json.decode(path.read_bytes(), type=AttentionTimes)
    except (OSError, msgspec.DecodeError):
        times = measure(kernels)
        _keep(path, times)
    else:
        touch(path)
    return times


def _keep(path: Path, times: AttentionTimes) -> None:
    try:
        with replacing(path) as file:
            file.write(msgspec.json.encode(times))
    except OSError:  # it is measured again next time
        return


@contextmanager
def cudnn_attention(on: bool | None) -> Iterator[None]:
    """With cuDNN's kernel among those that torch may take, or not; None leaves it as it is. As before afterwards."""
    before = torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    if on is not None:
        torch.backends.cuda.enable_cudnn_sdp(on)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
