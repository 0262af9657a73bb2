"""What finds no memory before the first step is nothing that fits, and says what would."""

from __future__ import annotations

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.errors import ExitCode, NothingFits
from speedtui.engine.jobs.first_load import first_adapter
from speedtui.engine.workload.model import attach_lora

BEYOND_ANY_ADDRESS = 10**13
"""Rank of matrices larger than what 47 bits of an address can name, however much memory there is."""


def test_an_adapter_that_finds_no_memory_is_nothing_that_fits() -> None:
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    )
    with pytest.raises(NothingFits, match=r"^the adapter does not fit in memory: ") as caught, first_adapter():
        attach_lora(model, LoraSettings(r=BEYOND_ANY_ADDRESS))
    assert caught.value.exit_code is ExitCode.NO_FIT
    assert "Lower train.lora.r" in caught.value.hint


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), first_adapter():
        raise ZeroDivisionError
