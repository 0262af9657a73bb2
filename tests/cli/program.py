"""The real program in a process of its own, and a folder to call it in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any

import tomli_w

from speedtui.engine.events import AnyEvent
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder, list_runs

SCRIPT = Path(sys.executable).with_name("speedtui")
PATIENCE_SECONDS = 120.0
"""A hung program fails its test; nothing is measured by it."""

TINY: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 2,
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "model": {"architecture": TINY},
    "data": {"train": "train.jsonl", "prompt": "question", "response": "answer", "max_length": 64},
    "train": {"effective_batch_size": 4, "max_steps": 4},
    "search": {"mode": "minimal", "batches": 3},
}
WORDS = ["apple", "river", "stone", "cloud", "green", "paper", "light", "house"]


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The one line that says what is wrong."""
        return self._complaint()[0]

    @property
    def hint(self) -> str:
        """The one line that says what to do about it; empty where there is none."""
        return self._complaint()[1]

    def _complaint(self) -> tuple[str, str]:
        lines = self.err.splitlines()
        assert 1 <= len(lines) <= 2, self.err
        assert lines[0].startswith("speedtui: "), self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("speedtui: "), lines[1] if len(lines) > 1 else ""

    def lines(self) -> list[Any]:
        """stdout as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Program:
    """A command that is running."""

    def __init__(self, command: list[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def signal(self, number: signal.Signals) -> None:
        """To this process alone, not to its worker."""
        os.kill(self.process.pid, number)

    def end(self) -> Ended:
        """Waits for it."""
        try:
            out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return Ended(self.process.returncode, out, err)


class Place:
    """A folder with a configuration and data, as a user has one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.configure()
        self.write_rows(pairs(40))

    def configure(self, changes: Mapping[str, Mapping[str, Any]] | None = None, name: str = "speedtui.toml") -> None:
        """Writes SETTINGS with some of them changed; None leaves one out."""
        tables = {key: dict(values) for key, values in SETTINGS.items()}
        for table, values in (changes or {}).items():
            merged = {**tables.get(table, {}), **values}
            tables[table] = {key: value for key, value in merged.items() if value is not None}
        self.write(name, tomli_w.dumps(tables))

    def write(self, name: str, text: str) -> Path:
        """Writes a file here."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def write_rows(self, rows: Iterable[Mapping[str, Any]], name: str = "train.jsonl") -> Path:
        """Writes JSON lines."""
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Program:
        """Starts the installed program here."""
        return Program([str(SCRIPT), *arguments], self.folder, env)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ended:
        """The same, to its end."""
        return self.start(*arguments, env=env).end()

    @property
    def run_folder(self) -> RunFolder:
        """The newest run."""
        return list_runs(self.folder / "runs")[0]

    @property
    def untouched(self) -> bool:
        """Whether no run was begun."""
        return not (self.folder / "runs").exists()


def pairs(count: int) -> list[dict[str, str]]:
    """Rows of a few words."""
    return [
        {"question": "say " + " ".join(WORDS[: i % 7 + 1]), "answer": " ".join(WORDS[: i % 5 + 1])}
        for i in range(count)
    ]


def wait_for(what: Callable[[], bool]) -> None:
    """Until it holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.05)


def wait_for_event(place: Place, kind: type[AnyEvent] | UnionType) -> None:
    """Until the place's newest run has logged an event of such a type."""
    runs = place.folder / "runs"
    wait_for(lambda: any(isinstance(e, kind) for run in list_runs(runs) for e in read_events(run.events)))
