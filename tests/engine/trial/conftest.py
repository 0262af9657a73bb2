"""Runners over a tiny model that is loaded with the real from_pretrained."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from speedtui.engine.candidate import TrialResult
from speedtui.engine.config.settings import DataSettings, LoraSettings, ModelSettings, Settings, TrainSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.demo.corpus import samples, write_corpus
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.state import RunState
from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.workload.architecture import build_architecture, train_tokenizer, wrap_tokenizer
from tests.engine.session.conftest import TINY

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A Llama of a hundred thousand parameters, 240 rows to train on and 40 to evaluate."""
    folder = tmp_path_factory.mktemp("material")
    tokenizer = wrap_tokenizer(train_tokenizer((text for pair in samples(240, 1) for text in pair), 400))
    larger = {**TINY, "hidden_size": 64, "intermediate_size": 128}
    build_architecture(ModelSettings(architecture=larger), tokenizer, CPU, seed=1).save_pretrained(folder / "tiny")
    tokenizer.save_pretrained(folder / "tiny")
    write_corpus(folder / "train.jsonl", 240, 1)
    write_corpus(folder / "eval.jsonl", 40, 2)
    return Settings(
        model=ModelSettings(path=str(folder / "tiny")),
        data=DataSettings(train=str(folder / "train.jsonl"), prompt="prompt", response="response", max_length=256),
        train=TrainSettings(effective_batch_size=32, lora=LoraSettings(r=4), max_steps=10),
    )


NewRunner = Callable[..., TrialRunner]


@pytest.fixture
def new_runner(tmp_path: Path, settings: Settings) -> Iterator[NewRunner]:
    """Makes runners whose logs are closed afterwards."""
    logs: list[EventLog] = []

    def make(limit_bytes: int | None = None, device: torch.device = CPU, **sections: Any) -> TrialRunner:
        log = EventLog(tmp_path / "events.jsonl", RunClock())
        logs.append(log)
        order = Order(
            job="tune", started_at=time.time(), memory_limit_bytes=limit_bytes, enforce_limit=limit_bytes is not None
        )
        changed = msgspec.structs.replace(settings, **sections)
        context = JobContext(RunFolder(tmp_path), changed, order, log, RunState(), frozenset())
        return TrialRunner(context, device)

    yield make
    for log in logs:
        log.close()


def attempt(runner: TrialRunner, number: int = 0, **values: Any) -> TrialResult:
    """A trial with these settings, by the end of their path or with __ for the dots."""
    by_path = {name.replace("__", "."): value for name, value in values.items()}
    return runner.run(make_candidate(number, by_path, runner.context.settings, "test"), None)
