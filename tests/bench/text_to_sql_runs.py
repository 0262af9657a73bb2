"""The text-to-SQL example at the size of the benches, and the program that trains it as a person would call it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from speedtui.engine import events as e
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder, list_runs
from tests.examples.text_to_sql.material import T5, write_example

SCRIPT = Path(sys.executable).with_name("speedtui")
PATIENCE_SECONDS = 1200.0
"""A hung training fails its bench."""

BUCKETS = 1_500_000
"""Rows of T5's table of relative positions, in encoder and decoder: 12 million parameters that a step hardly touches
and a checkpoint writes three times, as it does those of a large model. They make saves take a part of an epoch."""

HEAVY_T5: dict[str, Any] = {
    **T5, "relative_attention_num_buckets": BUCKETS, "relative_attention_max_distance": 2 * BUCKETS,
}  # fmt: skip

Some = TypeVar("Some", bound=e.Event)


@dataclass(frozen=True)
class Ran:
    """A training that came to its end."""

    wall_seconds: float
    """Of the whole process, from its start to its end."""
    code: int
    folder: RunFolder
    events: list[e.AnyEvent]

    def of(self, kind: type[Some]) -> list[Some]:
        """Its events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[Some]) -> Some:
        """The last of them."""
        return self.of(kind)[-1]

    @property
    def step_seconds(self) -> float:
        """In training steps."""
        return sum(step.seconds for step in self.of(e.StepCompleted))


def train(folder: Path, *arguments: str) -> Ran:
    """`speedtui train --json` in this folder, to its end; what it printed is its log to the byte."""
    began = time.perf_counter()
    program = subprocess.run(
        [str(SCRIPT), "train", "--json", *arguments], cwd=folder, capture_output=True, timeout=PATIENCE_SECONDS,
        check=False,
    )  # fmt: skip
    wall = time.perf_counter() - began
    assert program.returncode in (0, 3), program.stderr.decode()
    run = list_runs(folder / "runs")[0]
    return Ran(wall, program.returncode, run, list(read_events(run.events)))


def say(folder: Path, *arguments: str) -> str:
    """What another command of the program prints."""
    program = subprocess.run([str(SCRIPT), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert program.returncode == 0, program.stderr
    return program.stdout


def material(folder: Path, *, train_rows: int, eval_rows: int, links: int, heavy: bool = True) -> Path:
    """The example in `folder`; `heavy`: with a model whose checkpoints take time."""
    write_example(folder, train_rows=train_rows, eval_rows=eval_rows, links=links, model=HEAVY_T5 if heavy else T5)
    return folder


def share(books: e.Books, phases: Sequence[str]) -> float:
    """Of the run's wall time."""
    return sum(books.phases.get(name, 0.0) for name in phases) / books.wall


def gap_of_books(books: e.Books) -> float:
    """|wall - sum of phases| / wall."""
    return abs(books.wall - sum(books.phases.values())) / books.wall
