"""What a device can compute at most: dense peaks by name and number format, each as NVIDIA publishes it.

A figure that NVIDIA gives with structured sparsity is halved; of tensor cores that sum up in float16 or in float32 it
is the latter, as torch computes. A device or format that is not here has no peak: nothing is derived from clocks.
A GPU that is not here is found by how somebody names it: by its name, by the size of its memory, or by both.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from speedtui.engine.config.capability import Capability
from speedtui.engine.units import parse_size

Precision = Literal["bfloat16", "float16", "tf32", "float32"]
"""What matrices are multiplied in; `tf32`: float32 numbers on tensor cores."""

TERA = 1e12

_HOPPER_SXM = {"bfloat16": 1979 / 2, "float16": 1979 / 2, "tf32": 989 / 2, "float32": 67.0}
_HOPPER_NVL = {"bfloat16": 1671 / 2, "float16": 1671 / 2, "tf32": 835 / 2, "float32": 60.0}
_A100 = {"bfloat16": 312.0, "float16": 312.0, "tf32": 156.0, "float32": 19.5}
_V100_SXM2 = {"float16": 125.0, "float32": 15.7}
_V100_PCIE = {"float16": 112.0, "float32": 14.0}

PEAK_TERAFLOPS: dict[str, dict[str, float]] = {
    # NVIDIA HGX platform page and Blackwell architecture brief, HGX B200: 4.5 and 2.2 PFLOPS with sparsity. Its float32
    # is 80 in the one and 75 in the other, so that there is none here.
    "b200": {"bfloat16": 4500 / 2, "float16": 4500 / 2, "tf32": 2200 / 2},
    # NVIDIA H200 Tensor Core GPU datasheet; with sparsity
    "h200": _HOPPER_SXM,
    "h200 nvl": _HOPPER_NVL,
    # NVIDIA H100 Tensor Core GPU datasheet; with sparsity. HBM3 is the SXM5 module's name.
    "h100 80gb hbm3": _HOPPER_SXM,
    "h100 nvl": _HOPPER_NVL,
    "h100 pcie": {"bfloat16": 1513 / 2, "float16": 1513 / 2, "tf32": 756 / 2, "float32": 51.0},
    # NVIDIA A100 Tensor Core GPU datasheet: one column for both form factors
    "a100-sxm4-40gb": _A100,
    "a100-sxm4-80gb": _A100,
    "a100-pcie-40gb": _A100,
    "a100 80gb pcie": _A100,
    # NVIDIA A10 datasheet
    "a10": {"bfloat16": 125.0, "float16": 125.0, "tf32": 62.5, "float32": 31.2},
    # NVIDIA A40 datasheet, with float32 accumulation
    "a40": {"bfloat16": 149.7, "float16": 149.7, "tf32": 74.8, "float32": 37.4},
    # NVIDIA Ampere GA102 architecture whitepaper, table 3 and appendix A
    "rtx a6000": {"bfloat16": 154.8, "float16": 154.8, "tf32": 77.4, "float32": 38.7},
    "geforce rtx 3090": {"bfloat16": 71.0, "float16": 71.0, "tf32": 35.6, "float32": 35.6},
    # NVIDIA L4 datasheet; with sparsity
    "l4": {"bfloat16": 242 / 2, "float16": 242 / 2, "tf32": 120 / 2, "float32": 30.3},
    # NVIDIA L40 and L40S datasheets
    "l40": {"bfloat16": 181.05, "float16": 181.05, "tf32": 90.5, "float32": 90.5},
    "l40s": {"bfloat16": 362.05, "float16": 362.05, "tf32": 183.0, "float32": 91.6},
    # NVIDIA Ada GPU architecture whitepaper, appendix A
    "geforce rtx 4090": {"bfloat16": 165.2, "float16": 165.2, "tf32": 82.6, "float32": 82.6},
    # NVIDIA RTX Blackwell GPU architecture whitepaper, table 3
    "geforce rtx 5090": {"bfloat16": 209.5, "float16": 209.5, "tf32": 104.8, "float32": 104.8},
    # NVIDIA T4 datasheet; no bfloat16 and no tf32
    "t4": {"float16": 65.0, "float32": 8.1},
    # NVIDIA V100 datasheet; no bfloat16 and no tf32
    "v100-sxm2-16gb": _V100_SXM2,
    "v100-sxm2-32gb": _V100_SXM2,
    "v100-pcie-16gb": _V100_PCIE,
    "v100-pcie-32gb": _V100_PCIE,
    "v100s-pcie-32gb": {"float16": 130.0, "float32": 16.4},
}
"""By the driver's name in lower case, without its maker and without `Tesla`."""


def peak_flops(name: str, precision: Precision | None) -> float | None:
    """Floating-point operations a second that a device can do at most, dense; None where nobody has published them.

    Names are compared as a whole: a laptop's chip, a slice of a device and a variant for one market have others.
    """
    known = PEAK_TERAFLOPS.get(plain_name(name), {})
    peak = known.get(precision or "")
    return None if peak is None else peak * TERA


def plain_name(name: str) -> str:
    """A driver's name of a device as the tables here have it."""
    return name.strip().lower().removeprefix("nvidia ").removeprefix("tesla ")


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
