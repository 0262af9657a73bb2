"""A trial that breaks the device's context, between two that do not."""

from __future__ import annotations

from msgspec import to_builtins
from studies import run_study, with_candidates

from speedtui.engine.config.settings import ModelSettings, Settings, TrainSettings
from tests.gpu.material import MICRO, NOTHING_ELSE, changed, told
from tests.gpu.onsite import Site

RECIPE = '''"""A model that looks something up: with `beyond` outside of its table."""

import os

import torch
from torch import nn

from speedtui.engine.workload.base import Recipe


class Lookup(nn.Module):
    def __init__(self, beyond):
        super().__init__()
        self.table, self.head, self.beyond = nn.Embedding(64, 16), nn.Linear(16, 64), beyond

    def forward(self, input_ids, labels):
        if self.beyond and os.environ.get("SIMULATED_CUDA") is not None:
            raise RuntimeError("CUDA error: device-side assert triggered")  # its text, where it is simulated
        logits = self.head(self.table(input_ids + 64 * self.beyond))
        return {"loss": nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())}


def build(beyond=0):
    tokens = torch.arange(32) % 64
    rows = [{"input_ids": tokens, "labels": tokens}] * 64
    return Recipe(model=Lookup(beyond), train_dataset=rows)
'''


def run(site: Site) -> None:
    """Three candidates, the second of them poisoned."""
    recipe = site.folder / "lookup.py"
    recipe.write_text(RECIPE)
    settings = Settings(
        model=ModelSettings(kind="python", recipe=f"{recipe}:build"),
        train=TrainSettings(method="full", effective_batch_size=8, max_steps=20),
        schedule=NOTHING_ELSE,
    )
    settings = changed(settings, "search", batches=4)
    candidates = [{MICRO: 2}, {MICRO: 2, "recipe.beyond": 1}, {MICRO: 4}]
    finished = run_study(with_candidates(settings, site.folder / "poisoned.json", candidates), site.folder / "poisoned")
    assert finished.state.study is not None
    results = [row.result for row in finished.state.study.rows]
    seen = [result.status.value if result is not None else "no result" for result in results]
    restarts = finished.state.restarts
    site.figures(trials=[told(result) for result in results if result is not None], restarts=restarts,
                 wall_seconds=finished.wall_seconds, books=to_builtins(finished.state.books))  # fmt: skip
    site.claim("replaced_once", restarts == 1, f"started again {restarts} times")
    site.claim("study_ends", seen == ["ok", "failed", "ok"], ", ".join(seen))
