"""A long log that says nothing is left between two of its pieces, by whoever reads it for a screen or for lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode
from speedtui.engine.locks import hold_lock
from speedtui.engine.log import tail
from speedtui.engine.runs import RunFolder
from speedtui.engine.session import attached, follower
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.replay import ReplaySession
from tests.engine.events_of_a_run import started, step

PIECES = 200
LOOKS = 5


@pytest.mark.parametrize("make", [AttachedSession, ReplaySession])
def test_a_session_is_left_within_a_piece_of_a_log_without_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[RunFolder], AttachedSession | ReplaySession]
) -> None:
    for module in (tail, follower):
        monkeypatch.setattr(module, "CHUNK_BYTES", 1024)
    monkeypatch.setattr(attached, "LOOK_SECONDS", 0.0)
    folder = RunFolder(tmp_path)
    begin, end = e.encode(started("train")), e.encode(step(1, t=50.0))
    folder.events.write_bytes(begin + b"torn\n" * (PIECES * 1024 // 5) + end)
    session = make(folder)
    read, reads = tail.LineTail.read, 0

    def counted(lines: tail.LineTail) -> list[bytes]:
        nonlocal reads
        reads += 1
        if reads == LOOKS:
            session.interrupt(ExitCode.INTERRUPTED)
        return read(lines)

    monkeypatch.setattr(tail.LineTail, "read", counted)
    with hold_lock(folder.worker_lock):
        assert session.run() is ExitCode.DONE
    assert LOOKS <= reads <= LOOKS + 2
    assert session.snapshot().training is None and session.snapshot().t < 50.0
