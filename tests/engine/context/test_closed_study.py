"""A study whose worker goes on to train: what it answers to what it can no longer do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from speedtui.engine import commands as c
from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings
from speedtui.engine.context.context import JobContext, Refused
from speedtui.engine.context.order import Order
from speedtui.engine.jobs.study import Study
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState

SETTINGS = Settings(model=ModelSettings(path="m"), data=DataSettings(train="t.jsonl", prompt="q", response="a"))


@pytest.fixture
def context(tmp_path: Path) -> Iterator[JobContext]:
    folder = RunFolder(tmp_path)
    log = EventLog(folder.events, RunClock())
    yield JobContext(folder, SETTINGS, Order(job="demo", started_at=time.time()), log, RunState(), frozenset())
    log.close()


@pytest.mark.parametrize("command", [
    c.AddCandidate(values={"train.micro_batch_size": 2}), c.EditCandidate(trial=0, values={}),
    c.RemoveCandidate(trial=0), c.RunTrial(trial=0), c.RunAll(), c.StopTrial(trial=0),
], ids=c.command_name)  # fmt: skip
def test_a_closed_study_refuses_what_would_never_run(command: c.AnyCommand, context: JobContext) -> None:
    study = Study(context)
    study.close()
    with pytest.raises(Refused, match="the study is over: this run trains now"):
        context.handlers[type(command)](command)
    assert study.candidates == {}


def test_an_open_study_takes_a_candidate(context: JobContext) -> None:
    study = Study(context)
    context.handlers[c.AddCandidate](c.AddCandidate(values={"train.micro_batch_size": 2}))
    assert [candidate.micro_batch_size for candidate in study.candidates.values()] == [2]
