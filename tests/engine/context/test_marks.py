"""Marking a moment in the log, whatever the job is at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.events import Job
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.commands import append_command
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState, fold

SETTINGS = Settings(model=ModelSettings(path="m"), data=DataSettings(train="t.jsonl", prompt="q", response="a"))


@pytest.fixture(params=["train", "tune"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobContext]:
    """Of a training and of a study, whose job never comes to a step boundary here."""
    yield from opened(tmp_path, request.param, frozenset())


def opened(path: Path, job: Job, handled: frozenset[str]) -> Iterator[JobContext]:
    folder = RunFolder(path)
    log = EventLog(folder.events, RunClock())
    yield JobContext(folder, SETTINGS, Order(job=job, started_at=time.time()), log, RunState(), handled)
    log.close()


def test_a_mark_is_in_the_log_at_once_and_the_command_answered(context: JobContext) -> None:
    note = c.Note(text="before the change")
    append_command(context.folder.commands, note)
    context.log.flush()
    marked, applied = read_events(context.folder.events)
    assert isinstance(marked, e.Notice) and (marked.level, marked.text) == ("info", "marked: before the change")
    assert isinstance(applied, e.CommandApplied) and (applied.id, applied.command) == (note.id, "note")
    assert [line.kind for line in fold([marked, applied]).log] == ["mark"]


def test_a_mark_without_words_is_one_all_the_same(context: JobContext) -> None:
    append_command(context.folder.commands, c.Note())
    context.log.flush()
    assert [event.text for event in read_events(context.folder.events) if isinstance(event, e.Notice)] == ["marked"]


def test_other_commands_still_wait_for_the_step_boundary(context: JobContext) -> None:
    append_command(context.folder.commands, c.Pause())
    append_command(context.folder.commands, c.Note(text="here"))
    context.log.flush()
    assert [type(event) for event in read_events(context.folder.events)] == [e.Notice, e.CommandApplied]


def test_a_mark_that_an_earlier_worker_made_is_not_made_again(tmp_path: Path) -> None:
    note = c.Note(text="once")
    append_command(RunFolder(tmp_path).commands, note)
    for context in opened(tmp_path, "train", frozenset({note.id})):
        context.log.flush()
        assert list(read_events(context.folder.events)) == []
