from __future__ import annotations

import pytest

from speedtui.engine.hardware.visible import visible_indices

UUIDS = ["GPU-aa11", "GPU-aa22", "GPU-bb33", "GPU-cc44"]


@pytest.mark.parametrize(
    ("setting", "chosen"),
    [
        (None, [0, 1, 2, 3]),
        ("", []),
        ("2", [2]),
        ("3,0", [3, 0]),
        ("0, 2", [0, 2]),
        ("0,-1,2", [0]),
        ("0,9,2", [0]),
        ("0,x,2", [0]),
        ("1gpu,2", [1, 2]),
        ("1,2,1", []),
        ("GPU-bb33,GPU-aa11", [2, 0]),
        ("GPU-b", [2]),
        ("GPU-aa", []),
        ("GPU-bb33,1", [2]),
        ("GPU-none,GPU-bb33", []),
        ("MIG-1234", []),
    ],
)
def test_the_setting_is_read_as_cuda_reads_it(setting: str | None, chosen: list[int]) -> None:
    assert visible_indices(setting, UUIDS) == chosen
