"""Real sessions over a tiny model that is loaded with the real from_pretrained."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import (
    DataSettings,
    ModelSettings,
    ScheduleSettings,
    SearchSettings,
    Settings,
    TrainSettings,
    WindowSettings,
)
from speedtui.engine.demo.corpus import samples, write_corpus
from speedtui.engine.errors import ExitCode
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.base import Session
from speedtui.engine.session.start import StartOptions, resume_training, start_study, start_training
from speedtui.engine.state import RunState
from speedtui.engine.workload.architecture import build_architecture, train_tokenizer, wrap_tokenizer

TINY: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2,
}  # fmt: skip


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved Llama of 50 thousand parameters with its tokenizer, and 240 rows."""
    folder = tmp_path_factory.mktemp("material")
    tokenizer = wrap_tokenizer(train_tokenizer((text for pair in samples(240, 1) for text in pair), 400))
    model = build_architecture(ModelSettings(architecture=TINY), tokenizer, torch.device("cpu"), seed=1)
    model.save_pretrained(folder / "tiny")
    tokenizer.save_pretrained(folder / "tiny")
    write_corpus(folder / "train.jsonl", 240, 1)
    write_corpus(folder / "eval.jsonl", 16, 2)
    return folder


@pytest.fixture
def settings(material: Path) -> Settings:
    return tiny_settings(material)


def tiny_settings(material: Path) -> Settings:
    """Of a training over the material, 12 steps of it."""
    return Settings(
        model=ModelSettings(path=str(material / "tiny")),
        data=DataSettings(
            train=str(material / "train.jsonl"), eval=str(material / "eval.jsonl"), prompt="prompt",
            response="response", max_length=128,
        ),
        train=TrainSettings(
            effective_batch_size=8, micro_batch_size=2, max_steps=12, learning_rate=5e-3, method="full"
        ),
        schedule=ScheduleSettings(eval_every="6 steps", checkpoint_every="4 steps"),
        search=SearchSettings(
            batches=4, early_stop=False, memory_limit="2GiB"
        ),
    )  # fmt: skip


class Driven:
    """A session that runs in a thread of the test, as it does in the screen."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.exit_code: ExitCode | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.exit_code = self.session.run()

    def until(self, condition: Callable[[RunState], bool], seconds: float = 90) -> RunState:
        """The first snapshot for which the condition holds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.session.snapshot()
            if condition(state):
                return state
            time.sleep(0.02)
        raise AssertionError(f"it did not come to that; the last lines were {[x.text for x in state.log[-8:]]}")

    def end(self, seconds: float = 90) -> RunState:
        """The state after the session has returned."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"still running: {[x.text for x in self.session.snapshot().log[-8:]]}"
        return self.session.snapshot()

    def events(self, kind: type[Any]) -> list[Any]:
        """The events of a type in the log."""
        return [event for event in read_events(self.session.folder.events) if isinstance(event, kind)]


class Starter:
    """Starts sessions below a folder of the test and leaves nothing running."""

    def __init__(self, runs: Path, settings: Settings) -> None:
        self.runs = runs
        self.settings = settings
        self.started: list[Driven] = []

    def options(self, in_thread: bool, **changes: Any) -> StartOptions:
        base = StartOptions(runs=self.runs, where="test", train_command=["speedtui", "train"], in_thread=in_thread)
        return msgspec.structs.replace(base, **changes)

    def study(
        self,
        *,
        in_thread: bool = False,
        values: dict[str, Any] | None = None,
        micro_batches: Sequence[int] = (1, 2, 4),
        **changes: Any,
    ) -> Driven:
        settings = with_values(self.settings, values or {}, "test")
        knobs: dict[str, list[Any]] = {"micro_batch_size": list(micro_batches)}
        settings = msgspec.structs.replace(settings, search=msgspec.structs.replace(settings.search, knobs=knobs))
        return self._drive(start_study(settings, self.options(in_thread, **changes)))

    def training(
        self, *, in_thread: bool = False, values: dict[str, Any] | None = None, estimate: Estimate | None = None
    ) -> Driven:
        settings = with_values(self.settings, values or {}, "test")
        return self._drive(start_training(settings, self.options(in_thread), estimate=estimate))

    def resumed(
        self, run: RunFolder, *, in_thread: bool = False, window: WindowSettings | None = None,
        changes: dict[str, Any] | None = None,
    ) -> Driven:  # fmt: skip
        return self._drive(resume_training(run, self.options(in_thread), window, changes))

    def _drive(self, session: Session) -> Driven:
        self.started.append(Driven(session))
        return self.started[-1]

    def clean_up(self) -> None:
        for driven in self.started:
            for _ in range(3):
                if driven.exit_code is None:
                    driven.session.interrupt(ExitCode.INTERRUPTED)
            driven._thread.join(30)


@pytest.fixture
def start(tmp_path: Path, settings: Settings) -> Iterator[Starter]:
    starter = Starter(tmp_path / "runs", settings)
    yield starter
    starter.clean_up()


def tried(state: RunState) -> int:
    """How many trials have a result."""
    return sum(row.status.finished for row in state.study.rows) if state.study is not None else 0
