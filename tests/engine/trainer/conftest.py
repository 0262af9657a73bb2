"""A training's job without a worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState


@pytest.fixture
def context(tmp_path: Path) -> Iterator[JobContext]:
    log = EventLog(tmp_path / "events.jsonl", RunClock())
    yield JobContext(
        RunFolder(tmp_path), Settings(), Order(job="train", started_at=time.time()), log, RunState(), frozenset()
    )
    log.close()
