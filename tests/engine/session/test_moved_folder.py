"""A run whose folder is moved away under it: told at once on both sides, and nothing is laid open."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode
from speedtui.engine.log.tail import read_events
from speedtui.engine.state import RunState
from tests.engine.session.conftest import Starter


@pytest.fixture
def careless() -> Iterator[None]:
    """Of all files that are made with the usual rights."""
    before = os.umask(0)
    yield
    os.umask(before)


def saved(state: RunState) -> bool:
    return state.training is not None and bool(state.training.checkpoints)


def told(state: RunState) -> bool:
    return any("was moved or removed" in line.text for line in state.log)


def open_to_others(folder: Path) -> list[Path]:
    return [path for path in [folder, *folder.rglob("*")] if stat.S_IMODE(path.lstat().st_mode) & 0o077]


@pytest.mark.usefixtures("careless")
def test_a_folder_that_is_moved_away_is_told_at_once_and_what_is_saved_stays_private(start: Starter) -> None:
    training = start.training(values={"train.max_steps": 100_000, "schedule.checkpoint_every": "4 steps"})
    training.until(saved)
    folder = training.session.folder.path
    elsewhere = folder.with_name("elsewhere")
    folder.rename(elsewhere)
    state = training.until(told)
    assert state.outcome is None
    training.until(lambda _: any(folder.glob("checkpoints/checkpoint-*")))  # under the old name, as the notice says
    training.session.interrupt(ExitCode.INTERRUPTED)
    training.end()
    assert training.exit_code is ExitCode.INTERRUPTED
    events = list(read_events(elsewhere / "events.jsonl"))
    (notice,) = [event for event in events if isinstance(event, e.Notice) and "was moved" in event.text]
    assert notice.text == f"the run's folder {folder} was moved to {elsewhere}"
    assert any(isinstance(event, e.RunFinished) for event in events)
    assert open_to_others(folder) == [] == open_to_others(elsewhere)
    assert len(list(elsewhere.rglob("*"))) > 10
