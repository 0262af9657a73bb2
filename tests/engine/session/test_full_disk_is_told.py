"""A run whose log is on a full disk: whoever looks on is told at once, and whoever reads it later as well."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.context.order import Order, write_order
from speedtui.engine.errors import ExitCode, RunFolderError
from speedtui.engine.locks import hold_lock
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.start import StartOptions, resume_training
from tests.cli.program import wait_for
from tests.cli.surroundings import RECORDING
from tests.cli.test_surroundings import mounted

RUN = e.RunStarted(
    t=0.0, run="r", job="train", started_at=0.0, host="h", pid=1, devices=[], versions={}, config={}, window=None
)  # fmt: skip
OPTIONS = StartOptions(runs=Path("runs"), where="test", train_command=["speedtui", "train"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "small", "size=512k")


@pytest.fixture
def folder(small_disk: Path) -> RunFolder:
    folder = RunFolder(small_disk / "runs" / "20260528-train-ab12")
    folder.path.mkdir(parents=True, mode=0o700)
    write_order(folder, Order(job="train", started_at=0.0))
    folder.config.write_text("", encoding="utf-8")
    folder.config.chmod(0o600)
    return folder


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


def test_who_looks_on_is_told_at_once_and_the_log_once_there_is_room(folder: RunFolder, small_disk: Path) -> None:
    log = EventLog(folder.events, RunClock(0.0, 0.0))
    log.emit(RUN)
    log.flush()
    session, said = AttachedSession(folder), list[e.AnyEvent]()
    with hold_lock(folder.worker_lock):
        thread = threading.Thread(target=session.run, args=(lambda line, event: said.append(event),))
        thread.start()
        try:
            wait_for(lambda: RUN in said)
            filler = fill(small_disk)
            while log.failure is None:
                log.emit(e.Notice(t=1.0, level="info", text="waits " * 200))
                log.flush()
            wait_for(lambda: session.snapshot().full_disk_bytes is not None)
            told = [event for event in said if isinstance(event, e.Notice) and event.level == "error"]
            assert [event.text.partition(";")[0] for event in told] == [f"the disk is full: 0 B free in {folder.path}"]
            assert [line.text for line in session.snapshot().log if line.level == "error"] == [told[0].text]
            filler.unlink()
            log.flush()
            wait_for(lambda: session.snapshot().full_disk_bytes is None)
        finally:
            session.detach()
            thread.join()
            log.close()
    (late,) = [event for event in read_events(folder.events) if isinstance(event, e.Notice) and event.level != "info"]
    assert late.text.startswith("the log took nothing for ")
    assert late.text.endswith(": No space left on device; what waited is written now")


def test_a_run_that_cannot_go_on_for_want_of_room_names_the_file(folder: RunFolder, small_disk: Path) -> None:
    folder.events.write_bytes(e.encode(RUN))
    folder.events.chmod(0o600)
    before = folder.order.read_bytes()
    fill(small_disk)
    with pytest.raises(RunFolderError) as refused:
        resume_training(folder, OPTIONS)
    assert refused.value.message == (
        f"{folder.order}: cannot be written, so the run cannot go on: No space left on device"
    )
    assert refused.value.hint.startswith("Make room on its disk, where 0 B are free")
    assert folder.order.read_bytes() == before
    assert {path.name for path in folder.path.iterdir()} == {"job.json", "config.toml", "events.jsonl"}


def test_a_run_on_a_disk_that_can_only_be_read_is_looked_at_and_cannot_go_on(
    folder: RunFolder, small_disk: Path
) -> None:
    folder.events.write_bytes(e.encode(RUN))
    folder.events.chmod(0o600)
    over = RunFolder(folder.path.with_name("20260528-demo-cd34"))
    shutil.copytree(folder.path, over.path)
    lines = RECORDING.read_bytes().splitlines(keepends=True)
    over.events.write_bytes(b"".join(lines))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    seen: list[bytes] = []
    assert AttachedSession(over).run(lambda line, event: seen.append(line)) == ExitCode.DONE
    assert len(seen) == len(lines)
    with pytest.raises(RunFolderError) as refused:
        resume_training(folder, OPTIONS)
    assert str(folder.order) in refused.value.message and "Read-only file system" in refused.value.message
    assert "copy the folder elsewhere" in refused.value.hint
