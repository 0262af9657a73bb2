"""The smallest request, and what to pass as `report` to learn of processes."""

from __future__ import annotations

import psutil

from speedtui.engine.config.settings import ModelSettings, Settings, TrainSettings
from speedtui.engine.memory.peak_model import MemoryRequest


def llama(**train: object) -> MemoryRequest:
    architecture = {
        "model_type": "llama", "vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2,
    }  # fmt: skip
    model = ModelSettings(architecture=architecture, dtype="float32")
    settings = Settings(model=model, train=TrainSettings(**{"method": "full", **train}))  # type: ignore[arg-type]
    return MemoryRequest(settings=settings, longest_tokens=16)


def no_process(*_: object) -> None:
    assert not psutil.Process().children(recursive=True)


class Started(Exception):
    """A process was started."""


def starting(*_: object) -> None:
    if psutil.Process().children():
        raise Started
