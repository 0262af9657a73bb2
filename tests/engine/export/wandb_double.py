"""Stands in for the package wandb, whose server may be slow, gone or full."""

from __future__ import annotations

import threading
from types import ModuleType, SimpleNamespace
from typing import Any


class Service:
    """What the double was told, and how it behaves."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.begun: dict[str, Any] = {}
        self.finished = False
        self.threads: set[str] = set()
        self.init_error: BaseException | None = None
        self.log_error: BaseException | None = None
        self.answers = threading.Event()
        """Unset while the server does not answer."""
        self.answers.set()

    def module(self) -> ModuleType:
        """To be imported as `wandb`."""
        module = ModuleType("wandb")
        vars(module).update(
            init=self._init, login=lambda **options: True, setup=lambda settings: None,
            Settings=lambda **values: SimpleNamespace(**values),
        )  # fmt: skip
        return module

    def _init(self, **options: Any) -> Service:
        self.threads.add(threading.current_thread().name)
        self.answers.wait()
        if self.init_error is not None:
            raise self.init_error
        self.begun = options
        return self

    url = "https://example.invalid/run"

    def log(self, values: dict[str, float], step: int) -> None:
        self.threads.add(threading.current_thread().name)
        self.answers.wait()
        if self.log_error is not None:
            raise self.log_error
        self.rows.append((step, values))

    def finish(self) -> None:
        self.answers.wait()
        self.finished = True
