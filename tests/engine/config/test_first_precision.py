"""What a new configuration begins with: by the device, and by how the model's weights are kept."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from speedtui.engine.config.first_precision import PLAIN, first_precision
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.template import render_template

STORED = [None, "float32", "bfloat16", "float16", "float8_e4m3fn"]
CAPABILITIES = [None, (6, 1), (7, 0), (7, 5), (8, 0), (8, 9), (9, 0), (12, 0)]


@pytest.mark.parametrize(("stored", "capability"), list(product(STORED, CAPABILITIES)))
def test_what_is_written_is_a_configuration_that_says_why(
    tmp_path: Path, stored: str | None, capability: tuple[int, int] | None
) -> None:
    chosen = first_precision(stored, "NVIDIA H200", capability)
    path = tmp_path / "speedtui.toml"
    path.write_text(render_template(model="m", train="t", columns='text = "text"', precision=chosen))
    settings = load_settings(path)
    assert (settings.model.dtype, settings.train.bf16, settings.train.fp16) == (chosen.dtype, chosen.bf16, chosen.fp16)
    assert f"# {chosen.reason}.\n" in path.read_text() and "NVIDIA H200" in chosen.reason
    assert len(chosen.reason) <= 160
    has_bf16 = capability is not None and capability >= (8, 0)
    assert chosen.bf16 is has_bf16, "autocast wherever the device computes in it"
    assert (chosen.dtype == "bfloat16") is (has_bf16 and stored in ("bfloat16", "float16"))
    assert chosen.fp16 is (capability in ((7, 0), (7, 5)))


def test_on_the_cpu_it_is_as_it_was() -> None:
    text = render_template(model="m", train="t", columns='text = "text"')
    assert 'dtype = "float32" ' in text and "bf16 = false " in text and "fp16 = false " in text
    assert (PLAIN.dtype, PLAIN.bf16, PLAIN.fp16, PLAIN.reason) == ("float32", False, False, "")
