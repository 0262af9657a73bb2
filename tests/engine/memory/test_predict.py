"""Several requests in one call, each answered for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from speedtui.engine.config.settings import ModelSettings, Settings, TrainSettings
from speedtui.engine.memory.peak_model import MemoryRequest, MemorySurface, Prediction, Unpredictable
from speedtui.engine.memory.predict import WHAT, predict
from speedtui.engine.memory.prediction_cache import key_of_request
from tests.engine.memory.small import llama

RECIPES = """
    import os
    import torch
    from torch import nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 1)

        def forward(self, x):
            return {"loss": self.layer(x).square().mean()}

    def build():
        return {"model": Model(), "train_dataset": [{"x": torch.ones(3)}] * 4}

    def reads_weights():
        model = Model()
        model.scale = model.layer.weight.abs().max().item()
        return {**build(), "model": model}

    def dies():
        os._exit(7)
"""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a call was asked, answered and reported."""

    names: list[str]
    requests: list[MemoryRequest]
    predictions: list[Prediction]
    reports: list[tuple[str, int, int | None]]
    cache: Path

    def outcome(self, name: str) -> MemorySurface | Unpredictable:
        return self.predictions[self.names.index(name)].outcome


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answered]:
    """One call with all kinds of requests, since each call starts a process that loads torch."""
    folder = tmp_path_factory.mktemp("predict")
    path = folder / "recipes.py"
    path.write_text(dedent(RECIPES))

    def recipe(function: str) -> MemoryRequest:
        model = ModelSettings(kind="python", recipe=f"{path}:{function}")
        return MemoryRequest(settings=Settings(model=model, train=TrainSettings(method="full")), longest_tokens=1)

    unknown = Settings(model=ModelSettings(architecture={"model_type": "no such type"}))
    asked = {
        "unknown": MemoryRequest(settings=unknown, longest_tokens=16),
        "first": llama(),
        "dies": recipe("dies"),
        "reads weights": recipe("reads_weights"),
        "recipe": recipe("build"),
        "again": llama(micro_batch_size=4, learning_rate=1.0),
        "lora": llama(method="lora"),
    }
    reports: list[tuple[str, int, int | None]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        predictions = predict(list(asked.values()), lambda *told: reports.append(told))
        yield Answered(
            names=list(asked), requests=list(asked.values()), predictions=predictions, reports=reports,
            cache=folder / "cache" / "speedtui" / "memory",
        )  # fmt: skip


def test_what_cannot_be_predicted_has_a_reason_and_costs_the_others_nothing(answered: Answered) -> None:
    unknown, dies, reads = (answered.outcome(name) for name in ("unknown", "dies", "reads weights"))
    assert isinstance(unknown, Unpredictable) and "no such type" in unknown.reason
    assert isinstance(dies, Unpredictable) and "died (exit code 7)" in dies.reason
    assert isinstance(reads, Unpredictable) and "cannot be built on the meta device" in reads.reason
    assert all(isinstance(answered.outcome(name), MemorySurface) for name in ("first", "recipe", "again", "lora"))


def test_requests_that_differ_in_nothing_a_peak_depends_on_are_computed_once(answered: Answered) -> None:
    first, again, lora = (answered.requests[answered.names.index(name)] for name in ("first", "again", "lora"))
    assert answered.outcome("first") is answered.outcome("again")
    assert key_of_request(first) == key_of_request(again) != key_of_request(lora)
    assert len(list(answered.cache.iterdir())) == 2  # nor is kept what a file or a network may change


def test_progress_counts_every_request_and_ends_with_all_of_them(answered: Answered) -> None:
    done = [done for _, done, _ in answered.reports]
    assert {(what, total) for what, _, total in answered.reports} == {(WHAT, 7)}
    assert done == sorted(done) and done[-1] == 7
