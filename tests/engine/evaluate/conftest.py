"""Tiny real models with random weights, questions to ask them, and evaluators that leave no process behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.evaluate.evaluator import Evaluator
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.workload import Workload
from speedtui.engine.workload.architecture import train_tokenizer, wrap_tokenizer
from speedtui.engine.workload.base import Report, silent
from tests.engine.workload.small import CPU, load, settings_of

QUESTIONS = ["2 + 2 =", "the capital of France is", "say hello", "count from one to ten and then back", "why", "a b c"]
ANSWERS = ["4", "Paris", "hello hello", "one two three", "because", "d e f"]


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    wrap_tokenizer(train_tokenizer(iter([*QUESTIONS, *ANSWERS] * 20), 300)).save_pretrained(folder)
    return folder


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    """Six questions with their answers and a column of their own."""
    pairs = zip(QUESTIONS, ANSWERS, strict=True)
    return write_rows(
        tmp_path / "eval.jsonl", ({"question": q, "answer": a, "id": f"r{i}"} for i, (q, a) in enumerate(pairs))
    )


@pytest.fixture
def asked(rows_file: Path, tokenizer_folder: Path) -> Callable[..., Settings]:
    """Settings for a model that is asked the questions."""

    def make(
        architecture: dict[str, Any], *, rows: Path = rows_file, schedule: dict[str, Any], **rest: Any
    ) -> Settings:
        kind = "causal-lm" if architecture["model_type"] in ("llama", "gpt2") else "seq2seq"
        model = {"architecture": architecture, "kind": kind, "tokenizer": str(tokenizer_folder)}
        data = {"eval": str(rows), **rest.pop("data", {})}
        settings = settings_of(rows, model=model, data=data, **{"micro_batch_size": 2, **rest})
        whole = ScheduleSettings(**{"generate": True, "max_new_tokens": 8, **schedule})
        return msgspec.structs.replace(settings, schedule=whole)

    return make


class Made:
    """An evaluator with what it said."""

    def __init__(self, settings: Settings, workload: Workload, report: Report = silent) -> None:
        self.notices: list[str] = []
        self.phases = PhaseClock()
        self.settings = settings
        self.workload = workload
        self.evaluator = Evaluator(
            settings, workload, CPU, phases=self.phases, report=report, notice=self.notices.append
        )  # fmt: skip

    def score(self, rows: list[int] | None = None, **changes: Any) -> Any:
        schedule = msgspec.structs.replace(self.settings.schedule, **changes)
        return self.evaluator.score(self.workload.model, schedule, rows)

    def texts(self, **changes: Any) -> list[str]:
        """What the model answers to each row."""
        schedule = msgspec.structs.replace(self.settings.schedule, **changes)
        rows = range(len(self.workload.questions or ()))
        return self.evaluator._generation.texts(self.workload.model, schedule, rows)


def evaluated(settings: Settings, made: Callable[..., Made]) -> Made:
    """One whose metric is ready."""
    one = made(settings, load(settings))
    one.evaluator.prepare()
    return one


@pytest.fixture
def made() -> Iterator[Callable[..., Made]]:
    every: list[Made] = []

    def make(*args: Any, **kwargs: Any) -> Made:
        every.append(Made(*args, **kwargs))
        return every[-1]

    yield make
    for one in every:
        one.evaluator.close()


@pytest.fixture
def metric(tmp_path: Path) -> Callable[..., str]:
    """Writes a metric's file and names the function in it."""

    def write(source: str, name: str = "score") -> str:
        path = tmp_path / "metric.py"
        path.write_text(dedent(source))
        return f"{path}:{name}"

    return write
