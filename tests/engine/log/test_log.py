from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from speedtui.engine import commands, events
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.commands import CommandTail, append_command
from speedtui.engine.log.tail import EventTail, LineTail, read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.state.passed_over import PassedOver

PAUSED = events.encode(events.Paused(t=1.0))
RESUMED = events.encode(events.Resumed(t=2.0))


def test_lines_come_once_and_a_torn_last_one_waits_for_its_rest(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = LineTail(path)
    assert tail.read() == []
    path.write_bytes(PAUSED + RESUMED[:10])
    assert tail.read() == [PAUSED.rstrip()]
    with path.open("ab") as file:
        file.write(RESUMED[10:])
    assert tail.read() == [RESUMED.rstrip()]
    assert tail.read() == []


def test_every_way_to_cut_a_log_keeps_all_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    whole = PAUSED + RESUMED
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        read = list(read_events(path))
        assert len(read) == whole[:cut].count(b"\n")


def test_torn_and_unknown_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(PAUSED + b'{"v":1,"type":"pau\n' + b'{"v":9,"type":"moon_landed","t":3}\n' + RESUMED)
    tail = EventTail(path)
    assert [type(event) for _, event in tail.read()] == [events.Paused, events.Resumed]
    assert tail.passed_over == PassedOver(lines=1, bytes=18, newer=1)


def test_a_log_longer_than_a_chunk_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(PAUSED * 60_000)
    assert sum(1 for _ in read_events(path)) == 60_000


def test_events_of_many_threads_arrive_whole_and_in_each_threads_order(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl", RunClock())

    def emit(thread: int) -> None:
        for i in range(500):
            log.emit(events.Notice(t=float(i), level="info", text=f"{thread}"))

    threads = [threading.Thread(target=emit, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    read = [event for event in read_events(tmp_path / "events.jsonl") if isinstance(event, events.Notice)]
    assert len(read) == 2000
    for n in range(4):
        times = [event.t for event in read if event.text == str(n)]
        assert times == sorted(times)


def test_a_flushed_event_survives_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    script = (
        "import os, signal, sys\n"
        "from speedtui.engine import events\n"
        "from speedtui.engine.log.clock import RunClock\n"
        "from speedtui.engine.log.writer import EventLog\n"
        "from pathlib import Path\n"
        "log = EventLog(Path(sys.argv[1]), RunClock())\n"
        "log.emit(events.Paused(t=1.0))\n"
        "log.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert path.read_bytes() == PAUSED


def test_a_new_writer_isolates_the_torn_line_of_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(PAUSED + RESUMED[:12])
    log = EventLog(path, RunClock())
    log.emit(events.Resumed(t=5.0))
    log.close()
    assert [event.t for event in read_events(path)] == [1.0, 5.0]


def test_a_full_disk_delays_events_and_loses_none_once_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, RunClock())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        for i in range(50):
            log.emit(events.Notice(t=float(i), level="info", text="x" * 20))
        log.flush()
        assert log.failure is not None
        assert path.stat().st_size <= 100
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        log.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert log.failure is None
    log.close()
    *told, late = read_events(path)
    assert [event.t for event in told] == [float(i) for i in range(50)]
    assert isinstance(late, events.Notice) and late.text.startswith("the log took nothing for ")


def test_the_clock_goes_on_across_workers_and_never_back() -> None:
    assert RunClock(started_at=time.time() - 100).now() >= 99.9
    skewed = RunClock(started_at=time.time() + 1000, last_t=50.0)  # the wall clock was set back
    assert skewed.now() >= 50.0


def test_commands_of_several_sessions_arrive_whole(tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    sent = [commands.RunTrial(trial=i) for i in range(20)]
    for command in sent:
        append_command(path, command)
    with path.open("ab") as file:
        file.write(b"not a command\n")
    *received, last = CommandTail(path).read()
    assert received == sent
    assert isinstance(last, ValueError)
    assert os.stat(path).st_mode & 0o077 == 0


def test_a_source_that_raises_is_left_out_and_the_log_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = EventLog(tmp_path / "events.jsonl", RunClock())

    def broken(urgent: bool) -> None:
        raise RuntimeError("the device is gone")

    log.add_source(broken)
    log.flush()
    log.emit(events.Paused(t=1.0))
    log.close()
    notice, paused = read_events(tmp_path / "events.jsonl")
    assert isinstance(notice, events.Notice) and "RuntimeError: the device is gone" in notice.text
    assert isinstance(paused, events.Paused)
    assert "the device is gone" in capsys.readouterr().err
