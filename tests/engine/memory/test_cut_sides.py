"""The peak of an encoder-decoder whose sources, targets or both are cut: each side counts with its own length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.memory.compute import surface
from tests.engine.memory.real import peak_of
from tests.engine.memory.sides import CUTS, MAX_LENGTH, asked, cut_pairs, sized
from tests.engine.memory.test_real_peaks import ABOVE, BELOW

T5: dict[str, Any] = {
    "model_type": "t5", "d_model": 64, "d_ff": 128, "d_kv": 16, "num_layers": 2, "num_decoder_layers": 2,
    "num_heads": 4,
}  # fmt: skip


@pytest.mark.parametrize("cut", CUTS)
def test_the_predicted_peak_is_the_real_one_whichever_side_is_cut(cut: str, tmp_path: Path) -> None:
    settings, workload = cut_pairs(tmp_path, cut, T5)
    request = asked(settings, workload)
    assert (request.longest_tokens == MAX_LENGTH) is (cut in ("sources", "both"))
    assert (request.longest_target_tokens == MAX_LENGTH) is (cut in ("targets", "both"))
    expected = surface(request).peak_bytes(4, accumulates=True)
    real = peak_of(workload, sized(settings, 4, 2), tmp_path)
    assert -BELOW <= expected / real - 1 <= ABOVE
