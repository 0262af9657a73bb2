"""The end of a run in its log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.context import context as under_test
from speedtui.engine.context.context import JobContext
from speedtui.engine.log.tail import read_events
from tests.engine.context.test_marks import opened


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobContext]:
    """Whose books are due at every look of the pump."""
    monkeypatch.setattr(under_test, "BOOKS_SECONDS", 0.0)
    yield from opened(tmp_path, "train", frozenset())


def test_books_are_told_until_the_run_ends_and_not_after_it(context: JobContext) -> None:
    context.log.flush()
    context.finish(e.RunFinished(t=context.t, outcome="ok", exit_code=0, reason="", next=""))
    for _ in range(3):
        context.log.flush()
    told = [type(event) for event in read_events(context.folder.events)]
    assert told[0] is e.BooksUpdated
    assert told[-1] is e.RunFinished and told.count(e.RunFinished) == 1
