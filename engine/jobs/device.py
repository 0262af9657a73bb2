"""The device that a job runs on, never another one than the user, the driver and the run's log speak of; and what else
is settled before anything is tried, predicted or remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import UsageError
from speedtui.engine.hardware.limits import usable_memory_bytes
from speedtui.engine.hardware.visible import VISIBLE, asked_devices
from speedtui.engine.units import format_size

if TYPE_CHECKING:
    import torch

ON_THE_CPU = f"{VISIBLE}= (empty) runs on the CPU."


def settle_device(context: JobContext) -> torch.device:
    """The first visible CUDA device, else the CPU. Importing this module loads no torch; calling it does.

    Raises:
        UsageError: a GPU is asked for, or there, that torch cannot use; the memory limit is over the device's size.
    """
    import torch

    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cpu":
        _require_no_gpu(context)
    _check_limit(context, device)
    return device


def _require_no_gpu(context: JobContext) -> None:
    """A run that would quietly take a hundred times as long is refused."""
    import torch

    gpus = [device.name for device in context.devices if device.kind == "cuda"]
    if gpus:
        why = "it is built for the CPU" if not _built_for_gpus() else "it sees no CUDA device"
        hint = "`speedtui doctor` says why." if _built_for_gpus() else "Install a CUDA build of torch."
        raise UsageError(f"torch {torch.__version__} cannot use {gpus[0]}: {why}", f"{hint} {ON_THE_CPU}")
    if (asked := asked_devices()) is not None:
        raise UsageError(
            f"{VISIBLE}={asked} names no device of this machine", f"`nvidia-smi -L` lists them. {ON_THE_CPU}"
        )


def _built_for_gpus() -> bool:
    import torch

    return torch.version.cuda is not None or torch.version.hip is not None


def _check_limit(context: JobContext, device: torch.device) -> None:
    """A limit that cannot be given would be none."""
    import torch

    limit = context.order.memory_limit_bytes
    if not context.order.enforce_limit or limit is None:
        return
    on_gpu = device.type == "cuda"
    size = torch.cuda.get_device_properties(device).total_memory if on_gpu else usable_memory_bytes()
    if limit > size:
        owner = torch.cuda.get_device_name(device) if on_gpu else "this machine"
        raise UsageError(
            f"search.memory_limit {format_size(limit)} is more than {owner} has: {format_size(size)}",
            "Give less, or leave it out to use all there is.",
        )


def settle_attention(context: JobContext) -> None:
    """Replaces `model.attention` "auto" by what the model is run with, and says so where that is not sdpa.

    Importing this module loads no torch; calling it does.
    """
    from speedtui.engine.workload.attention import with_own_attention

    settled = with_own_attention(context.settings)
    own = settled.model.attention
    if own != context.settings.model.attention and own != "sdpa":
        context.notice(f"model.attention is {own}: the model does not support sdpa")
    context.settings = settled
