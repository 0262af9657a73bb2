"""A GPU that is not here, as somebody names it: by its name, by the size of its memory, or by both.

Of the devices whose peaks are in `peaks`: compute capabilities as NVIDIA lists them (CUDA GPU Compute Capability,
developer.nvidia.com/cuda/gpus), memory as in the datasheets there. A GB of theirs is taken for 1000^3 bytes: some have
more, and what the driver keeps of it for itself is then not counted on.
"""

from __future__ import annotations

import msgspec

from speedtui.engine.config.capability import Capability
from speedtui.engine.hardware.peaks import PEAK_TERAFLOPS, plain_name
from speedtui.engine.units import parse_size

PUBLISHED: dict[str, tuple[Capability, int | None]] = {
    "b200": ((10, 0), None),
    "h200": ((9, 0), 141),
    "h200 nvl": ((9, 0), 141),
    "h100 80gb hbm3": ((9, 0), 80),
    "h100 nvl": ((9, 0), 94),
    "h100 pcie": ((9, 0), 80),
    "a100-sxm4-40gb": ((8, 0), 40),
    "a100-sxm4-80gb": ((8, 0), 80),
    "a100-pcie-40gb": ((8, 0), 40),
    "a100 80gb pcie": ((8, 0), 80),
    "a10": ((8, 6), 24),
    "a40": ((8, 6), 48),
    "rtx a6000": ((8, 6), 48),
    "geforce rtx 3090": ((8, 6), 24),
    "l4": ((8, 9), 24),
    "l40": ((8, 9), 48),
    "l40s": ((8, 9), 48),
    "geforce rtx 4090": ((8, 9), 24),
    "geforce rtx 5090": ((12, 0), 32),
    "t4": ((7, 5), 16),
    "v100-sxm2-16gb": ((7, 0), 16),
    "v100-sxm2-32gb": ((7, 0), 32),
    "v100-pcie-16gb": ((7, 0), 16),
    "v100-pcie-32gb": ((7, 0), 32),
    "v100s-pcie-32gb": ((7, 0), 32),
}
"""(compute capability, GB of memory; None where NVIDIA's own pages differ) by a name as in `PEAK_TERAFLOPS`."""


class NamedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of it."""

    memory_bytes: int
    capability: Capability | None = None
    """None where only its memory is told, or its name says nothing here."""


def named_device(text: str) -> NamedDevice:
    """Of `80GiB`, `NVIDIA L40S`, or `RTX 2060 12GB`; a size beside a name goes before what is published.

    Raises:
        ValueError: there is no size in it, and the name is not known.
    """
    size, name = _size(text), plain_name(text)
    if size is None and name not in PUBLISHED:
        rest, _, last = text.strip().rpartition(" ")
        size = _size(last)
        name = plain_name(rest) if size is not None else name
    capability, gigabytes = PUBLISHED.get(name, (None, None))
    if size is None and gigabytes is None:
        raise ValueError(f"expected a size such as 24GiB or 800MiB, or a known name, got {text!r}")
    return NamedDevice(memory_bytes=size or parse_size(f"{gigabytes}GB"), capability=capability)


def known_names(text: str) -> list[str]:
    """Names of devices that somebody who wrote `text` may have meant; all of them where none has it in it."""
    return [name for name in PEAK_TERAFLOPS if plain_name(text) in name] or list(PEAK_TERAFLOPS)


def _size(text: str) -> int | None:
    try:
        return parse_size(text)
    except ValueError:
        return None
