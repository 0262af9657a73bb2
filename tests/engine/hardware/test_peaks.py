from __future__ import annotations

from typing import get_args

import pytest

from speedtui.engine.hardware.peaks import PEAK_TERAFLOPS, Precision, peak_flops

FORMATS = get_args(Precision)


def test_every_peak_is_of_a_known_format_and_half_formats_are_the_fastest() -> None:
    for name, peaks in PEAK_TERAFLOPS.items():
        assert name == name.lower() and set(peaks) <= set(FORMATS) and "float16" in peaks
        assert all(0 < peak <= peaks["float16"] for peak in peaks.values()), name
        assert peaks.get("bfloat16", peaks["float16"]) == peaks["float16"], name


@pytest.mark.parametrize(
    ("name", "precision", "teraflops"),
    [
        ("NVIDIA H200", "bfloat16", 989.5),
        ("NVIDIA H100 80GB HBM3", "tf32", 494.5),
        ("NVIDIA H100 PCIe", "float32", 51.0),
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 312.0),
        ("NVIDIA GeForce RTX 4090", "float16", 165.2),
        ("Tesla T4", "float16", 65.0),
    ],
)
def test_a_device_is_known_by_the_name_that_the_driver_gives_it(
    name: str, precision: Precision, teraflops: float
) -> None:
    assert peak_flops(name, precision) == pytest.approx(teraflops * 1e12)


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bfloat16"),
        ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", "bfloat16"),
        ("NVIDIA A10G", "bfloat16"),
        ("NVIDIA B200", "float32"),
        ("Tesla T4", "bfloat16"),
        ("Tesla V100-SXM2-16GB", "tf32"),
        ("Stand-in 80", "bfloat16"),
        ("AMD EPYC 7763 64-Core Processor", "float32"),
        ("NVIDIA H200", None),
        ("", "float32"),
    ],
)
def test_what_nobody_has_published_is_not_known(name: str, precision: Precision | None) -> None:
    assert peak_flops(name, precision) is None
