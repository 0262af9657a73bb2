"""Which kernel attention takes on CUDA, by torch's own conditions."""

from __future__ import annotations

import itertools

import pytest
import torch

from speedtui.engine.config.capability import Capability
from speedtui.engine.workload.kernels import HALF, kernel_on_cuda

DTYPES = (torch.float32, *HALF, torch.float64)


def kernel(
    dtype: torch.dtype = torch.bfloat16, *, groups: int = 1, head: int = 64, masked: bool = False, value: int = 0,
    capability: Capability = (9, 0),
) -> str:  # fmt: skip
    query = torch.empty(2, 4, 8, head, dtype=dtype, device="meta")
    key = torch.empty(2, 4 // groups, 8, head, dtype=dtype, device="meta")
    mask = torch.empty(2, 1, 8, 8, dtype=torch.bool, device="meta") if masked else None
    values = key if not value else key.new_empty(2, 4 // groups, 8, value)
    return kernel_on_cuda(query, key, values, mask, capability)


@pytest.mark.parametrize(
    ("dtype", "groups", "masked"), itertools.product(DTYPES, (1, 2, 4), (False, True)),
)  # fmt: skip
def test_precision_groups_and_mask_decide(dtype: torch.dtype, groups: int, masked: bool) -> None:
    """Half precision without a mask has flash, grouped or not; a mask or float32 takes heads that are not grouped."""
    expected = "math"
    if dtype in HALF and not masked:
        expected = "flash"
    elif dtype != torch.float64 and groups == 1:
        expected = "efficient"
    assert kernel(dtype, groups=groups, masked=masked) == expected


@pytest.mark.parametrize(
    ("capability", "dtype", "groups", "masked"),
    itertools.product(((6, 1), (7, 0), (7, 5)), DTYPES, (1, 2), (False, True)),
)  # fmt: skip
def test_a_device_before_ampere_has_no_flash_and_nothing_for_bfloat16(
    capability: Capability, dtype: torch.dtype, groups: int, masked: bool
) -> None:
    takes = dtype in (torch.float16, torch.float32) and groups == 1
    assert kernel(dtype, groups=groups, masked=masked, capability=capability) == ("efficient" if takes else "math")


@pytest.mark.parametrize(
    ("capability", "dtype", "head", "expected"),
    [
        ((6, 1), torch.float16, 12, "efficient"),  # no tensor cores: any size
        ((7, 0), torch.float16, 12, "math"),
        ((7, 5), torch.float32, 6, "efficient"),  # no TF32: float32 is not on them
        ((8, 0), torch.float32, 6, "math"),
    ],
)
def test_only_tensor_cores_want_heads_of_whole_loads(
    capability: Capability, dtype: torch.dtype, head: int, expected: str
) -> None:
    assert kernel(dtype, head=head, masked=True, capability=capability) == expected


@pytest.mark.parametrize(
    ("head", "dtype", "masked", "expected"),
    [
        (256, torch.bfloat16, False, "flash"),
        (264, torch.bfloat16, False, "efficient"),  # too large for flash
        (12, torch.bfloat16, False, "flash"),
        (12, torch.bfloat16, True, "math"),  # 24 bytes: no multiple of 16
        (12, torch.float32, True, "efficient"),
        (6, torch.float32, False, "math"),
    ],
)
def test_the_size_of_a_head_decides_where_it_is_unusual(
    head: int, dtype: torch.dtype, masked: bool, expected: str
) -> None:
    assert kernel(dtype, head=head, masked=masked) == expected


def test_values_of_another_size_are_not_for_flash() -> None:
    assert kernel(head=64, value=32) == "efficient"


def test_a_mask_that_is_learned_is_for_plain_operations() -> None:
    query = torch.empty(2, 4, 8, 64, dtype=torch.bfloat16)
    bias = torch.zeros(1, 4, 8, 8, dtype=torch.bfloat16, requires_grad=True)
    assert kernel_on_cuda(query, query, query, bias) == "math"
    assert kernel_on_cuda(query, query, query, bias.detach()) == "efficient"
