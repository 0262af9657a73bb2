from __future__ import annotations

import pytest

from speedtui.engine.config.capability import BFLOAT16, TENSOR_CORES, Capability
from speedtui.engine.hardware.peaks import PEAK_TERAFLOPS, PUBLISHED, known_names, named_device
from speedtui.engine.units import GIB


def test_every_device_with_a_peak_is_known_with_what_its_formats_need() -> None:
    assert PUBLISHED.keys() == PEAK_TERAFLOPS.keys()
    for name, (capability, gigabytes) in PUBLISHED.items():
        assert capability >= TENSOR_CORES, name
        assert (capability >= BFLOAT16) is ("bfloat16" in PEAK_TERAFLOPS[name]), name
        sized = [int(part[:-2]) for part in name.replace("-", " ").split() if part.endswith("gb")]
        assert sized in ([], [gigabytes]), name


@pytest.mark.parametrize(
    ("text", "memory_bytes", "capability"),
    [
        ("80GiB", 80 * GIB, None),
        ("NVIDIA L40S", 48 * 10**9, (8, 9)),
        ("tesla t4", 16 * 10**9, (7, 5)),
        ("Tesla T4 15GiB", 15 * GIB, (7, 5)),
        ("a100 80gb pcie", 80 * 10**9, (8, 0)),
        ("A100 80GB PCIe 79GiB", 79 * GIB, (8, 0)),
        ("NVIDIA B200 180GB", 180 * 10**9, (10, 0)),
        ("NVIDIA GeForce RTX 2060 12GB", 12 * 10**9, None),
        ("NVIDIA A100-SXM4-40GB MIG 3g 20GB", 20 * 10**9, None),
    ],
)
def test_a_name_tells_what_is_published_and_no_other_name_does(
    text: str, memory_bytes: int, capability: Capability | None
) -> None:
    found = named_device(text)
    assert (found.memory_bytes, found.capability) == (memory_bytes, capability)


@pytest.mark.parametrize("text", ["", "H100", "B200", "8Gigs", "0GiB", "L40S 0GB", "RTX 2060"])
def test_a_device_of_unknown_memory_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size such as 24GiB or 800MiB, or a known name"):
        named_device(text)
    assert set(known_names(text)) <= PUBLISHED.keys()


def test_names_that_may_have_been_meant_are_those_with_the_text_in_them() -> None:
    assert known_names("NVIDIA H100") == ["h100 80gb hbm3", "h100 nvl", "h100 pcie"]
    assert known_names("MI300X") == list(PUBLISHED)
