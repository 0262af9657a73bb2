"""A run whose folder is moved: told at once on both sides, gone on with where it is now, and nothing is laid open."""

from __future__ import annotations

import itertools
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.commands import Checkpoint, Stop
from speedtui.engine.context.order import Order
from speedtui.engine.errors import ExitCode
from speedtui.engine.jobs.resume_hint import go_on_lower, resume_command
from speedtui.engine.log.location import LogLocation
from speedtui.engine.runs import RunFolder, find_run
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.state import RunState
from tests.engine.session.conftest import Starter
from tests.engine.session.survival_run import events_of


@pytest.fixture
def careless() -> Iterator[None]:
    """Of all files that are made with the usual rights."""
    before = os.umask(0)
    yield
    os.umask(before)


def saved(state: RunState) -> bool:
    return state.training is not None and bool(state.training.checkpoints)


def told(state: RunState) -> bool:
    return any("was moved" in line.text for line in state.log)


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
    assert any(f"was moved to {elsewhere}" in line.text for line in state.log)
    moved = find_run(folder.parent, str(elsewhere))
    there = AttachedSession(moved)
    there.send(Checkpoint())
    training.until(
        lambda _: any(event.path.startswith(str(elsewhere)) for event in events_of(moved, e.CheckpointSaved))
    )
    there.send(Stop())
    training.end()
    assert training.exit_code is ExitCode.DONE
    (notice,) = [event for event in events_of(moved, e.Notice) if "was moved" in event.text]
    assert notice.text == f"the run's folder {folder} was moved to {elsewhere}"
    (finished,) = events_of(moved, e.RunFinished)
    assert f"--resume {elsewhere.name}" in finished.next
    assert not folder.exists()
    assert open_to_others(elsewhere) == []
    assert len(list(elsewhere.rglob("*"))) > 10


def test_a_run_that_was_moved_before_it_goes_on_is_named_by_where_it_is(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "attic" / "renamed")
    folder.path.mkdir(parents=True, mode=0o700)
    command = ["speedtui", "train", "--runs", str(tmp_path / "runs")]
    order = Order(job="train", started_at=0.0, train_command=command)
    assert resume_command(folder, order) == f"speedtui train --runs {tmp_path}/attic --resume renamed"
    assert f"--runs {tmp_path}/attic --config {folder.config}" in go_on_lower(folder, order, 1e-4, None)


def test_a_file_whose_folder_is_renamed_again_and_again_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "log").touch()
    location = LogLocation(tmp_path / "a" / "log")
    for before, now in itertools.pairwise("abca"):
        assert not location.changed()
        (tmp_path / before).rename(tmp_path / now)
        assert location.folder == tmp_path / now
        assert location.changed() and not location.here and location.follow()
    shutil.rmtree(tmp_path / "a")
    assert location.changed() and not location.follow()
    assert location.folder == tmp_path / "a"
