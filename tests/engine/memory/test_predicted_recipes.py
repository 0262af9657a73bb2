"""The user's own modules: predicted like any other, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtui.engine.config.settings import ModelSettings, Settings, TrainSettings
from speedtui.engine.memory.compute import surface
from speedtui.engine.memory.peak_model import DeviceKind, MemoryRequest
from speedtui.engine.memory.trace import HiddenMemory
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_workload
from tests.engine.memory.real import CPU, peak_of

RECIPE = """
import torch
from torch import nn

class Tagger(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embedding = nn.Embedding(300, width)
        self.rnn = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * width, 7)
        self.unused = nn.Linear(width, width)

    def forward(self, ids, tags):
        hidden, _ = self.rnn(self.embedding(ids))
        return {"loss": nn.functional.cross_entropy(self.out(hidden).flatten(0, 1), tags.flatten())}

class Rows:
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return {"ids": torch.arange(24) % 300, "tags": torch.arange(24) % 7}

def build(width=64):
    return {"model": Tagger(width), "train_dataset": Rows()}
"""


def recipe(folder: Path, layer: str = "GRU") -> Settings:
    file = folder / "tagger.py"
    file.write_text(RECIPE.replace("nn.GRU", f"nn.{layer}"))
    return Settings(
        model=ModelSettings(kind="python", recipe=f"{file}:build"), recipe={"width": 96},
        train=TrainSettings(method="full", micro_batch_size=4, effective_batch_size=8),
    )  # fmt: skip


def test_a_plain_module_takes_what_was_predicted(tmp_path: Path) -> None:
    settings = recipe(tmp_path)
    predicted = surface(MemoryRequest(settings=settings, longest_tokens=0)).peak_bytes(4, accumulates=True)
    real = peak_of(load_workload(settings, device=CPU, report=silent), settings, tmp_path)
    assert predicted == pytest.approx(real, rel=0.001)


@pytest.mark.parametrize(("layer", "device"), [("LSTM", "cpu"), ("GRU", "cuda")])
def test_a_workspace_that_only_a_library_knows_is_not_guessed(layer: str, device: DeviceKind, tmp_path: Path) -> None:
    with pytest.raises(HiddenMemory, match=f"rnn is a {layer}"):
        surface(MemoryRequest(settings=recipe(tmp_path, layer), longest_tokens=0, device=device))
