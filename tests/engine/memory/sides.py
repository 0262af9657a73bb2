"""Pairs of texts of which one side or both are longer than what data.max_length leaves of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings, TrainSettings
from speedtui.engine.memory.peak_model import MemoryRequest
from speedtui.engine.search.space import memory_request
from speedtui.engine.workload.base import Workload, silent
from speedtui.engine.workload.load import load_workload
from tests.engine.memory.real import CPU

MAX_LENGTH = 64
SHORT, LONG = 12, 120
"""Words of a side that is not cut and of one that is; most are two tokens or more."""
CUTS = {"sources": (LONG, SHORT), "targets": (SHORT, LONG), "both": (LONG, LONG), "neither": (SHORT, SHORT)}
"""Words of (source, target) by what is cut."""


def cut_pairs(
    folder: Path, cut: str, architecture: dict[str, Any], *, max_length: int = MAX_LENGTH, **train: Any
) -> tuple[Settings, Workload]:
    """Four pairs whose longest has so many words, loaded with random weights."""
    source, target = CUTS[cut]
    rows = [
        {"prompt": " ".join(f"w{i}" for i in range(max(source - n, 1))),
         "response": " ".join(f"a{i}" for i in range(max(target - n, 1)))}
        for n in range(4)
    ]  # fmt: skip
    file = folder / f"{cut}.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    settings = Settings(
        model=ModelSettings(architecture=architecture, kind="seq2seq"),
        data=DataSettings(train=str(file), prompt="prompt", response="response", max_length=max_length),
        train=TrainSettings(**{"method": "full", **train}),
    )
    return settings, load_workload(settings, device=CPU, report=silent)


def asked(settings: Settings, workload: Workload) -> MemoryRequest:
    """As a study or a plan asks for the peak."""
    request = memory_request(settings, workload.facts, workload.vocabulary, "cpu")
    assert request is not None
    return request


def sized(settings: Settings, micro: int, accumulation: int) -> Settings:
    """With this batch."""
    train = msgspec.structs.replace(
        settings.train, micro_batch_size=micro, effective_batch_size=micro * accumulation
    )  # fmt: skip
    return msgspec.structs.replace(settings, train=train)
