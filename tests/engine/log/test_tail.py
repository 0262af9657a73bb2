"""A reader that goes on to the end of a log, whatever is in its middle, and counts what it passed over."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import RunFolderError
from speedtui.engine.log import tail as module
from speedtui.engine.log.read import read_state
from speedtui.engine.log.tail import CHUNK_BYTES, MOST_LINE_BYTES, EventTail
from speedtui.engine.state.passed_over import PassedOver
from tests.engine.events_of_a_run import started, step, training

BEGIN = [started("train"), training(100), *[step(number, t=12.0 + number) for number in range(1, 20)]]
END = [*[step(number, t=12.0 + number) for number in range(20, 41)], e.RunFinished(t=60.0, outcome="ok", exit_code=0)]


def whole(path: Path) -> tuple[list[e.AnyEvent], PassedOver]:
    tail = EventTail(path)
    read = [event for pairs in tail.pieces() for _, event in pairs]
    return read, tail.passed_over_at_end


def encoded(events: list[e.AnyEvent]) -> bytes:
    return b"".join(map(e.encode, events))


DEEP = b'{"v":1,"type":"paused","t":1,"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
MIDDLES = {
    "two mebibytes of NULs": [bytes(2 * CHUNK_BYTES)],
    "a line as long as three pieces": [b"x" * (3 * CHUNK_BYTES)],
    "torn lines for more than a piece": [e.encode(step(7))[:-30]] * 6_000,
    "a line longer than any": [b"y" * (MOST_LINE_BYTES + CHUNK_BYTES + 17)],
    "a line of the greatest length": [b"z" * MOST_LINE_BYTES],
    "nesting beyond any depth": [DEEP],
    "another encoding": ["\ufeff{}".encode("utf-16"), b"\xff\xfe\xfd", b'{"v":1,"type":"notice","t":1,"text":"\xff"}'],
    "a number beyond all bounds": [
        b'{"v":1,"type":"paused","t":1e308}', b'{"v":1,"type":"paused","t":-123456789012}',
        b'{"v":1,"type":"paused","t":9999999999E9}', b'{"v":1,"type":"paused","t":NaN}',
        b'{"v":1,"type":"events_dropped","t":1,"count":' + b"9" * 400 + b"}",
        e.encode(step(3)).rstrip().replace(b'"seconds":', b'"seconds":99999999999'),
        e.encode(step(3)).rstrip().replace(b'"phases":{', b'"phases":{"gap":3e11,'),
    ],
}  # fmt: skip


@pytest.mark.parametrize("middle", MIDDLES)
def test_what_is_in_the_middle_costs_its_own_lines_and_is_counted_to_the_byte(tmp_path: Path, middle: str) -> None:
    path, lines = tmp_path / "events.jsonl", MIDDLES[middle]
    path.write_bytes(
        encoded(BEGIN) + b"".join(line + b"\n" for line in lines) + b"\n \n" + encoded(END) + b'{"v":1,"ty'
    )
    pieces = [piece for line in lines for piece in line.split(b"\n")]
    assert whole(path) == (BEGIN + END, PassedOver(lines=len(pieces) + 1, bytes=sum(map(len, pieces)) + 10))
    state = read_state(path)
    assert state.training is not None and (state.training.step, state.outcome) == (40, "ok")
    assert state.passed_over.words in [line.text for line in state.log]


def test_lines_of_a_newer_version_are_told_apart_from_damaged_ones(tmp_path: Path) -> None:
    newer = [
        b'{"v":2,"type":"paused","t":3}', b'{"v":1,"type":"moon_landed","t":3}', b'{"v":3,"other":{}}',
        b'{"v":1,"type":"notice","t":3,"level":"fatal","text":"x"}',
    ]  # fmt: skip
    damaged = [b'{"v":1,"type":"paused"}', b'{"v":1,"type":7,"t":3}', b'{"v":"2","type":"paused","t":3}']
    path = tmp_path / "events.jsonl"
    path.write_bytes(encoded(BEGIN) + b"\n".join([*newer, *damaged]) + b"\n" + encoded(END))
    read, passed_over = whole(path)
    assert read == BEGIN + END
    assert passed_over == PassedOver(lines=3, bytes=sum(map(len, damaged)), newer=4)
    assert passed_over.words.endswith("written by a newer speedtui: 4 lines not understood")


def test_a_hole_of_200_gb_is_passed_over_in_no_more_memory_than_a_line(tmp_path: Path) -> None:
    path, size = tmp_path / "events.jsonl", 200 << 30
    path.write_bytes(encoded(BEGIN))
    before = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size)
        file.write(b"\n" + encoded(END))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert whole(path) == (BEGIN + END, PassedOver(lines=1, bytes=size - before))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 8 * MOST_LINE_BYTES >> 10
    with path.open("r+b") as file:
        file.truncate(2 * size)
    *_, passed_over = whole(path)
    assert passed_over.lines == 2, "a hole at the end is a line that nobody has ended"


def test_a_line_that_is_written_in_pieces_is_held_until_it_is_whole(tmp_path: Path) -> None:
    path, line = tmp_path / "events.jsonl", e.encode(e.Notice(t=1.0, level="info", text="n" * (2 * CHUNK_BYTES)))
    tail, read = EventTail(path), []
    for begin in range(0, len(line), 100_000):
        with path.open("ab") as file:
            file.write(line[begin : begin + 100_000])
        read += [event for pairs in tail.pieces() for _, event in pairs]
        assert tail.offset in (0, len(line)) and not tail.passed_over
    assert read == [e.decode(line)] and not tail.passed_over_at_end


def make_socket(path: Path) -> None:
    place = os.open(path.parent, os.O_RDONLY)  # a socket's path may be no longer than 107 bytes
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"/proc/self/fd/{place}/{path.name}")
    os.close(place)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "is a pipe where a file is expected"),
        (os.mkdir, "is a folder where a file is expected"),
        (make_socket, "is a socket where a file is expected"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device where a file is expected"),
    ],
)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    path = tmp_path / "events.jsonl"
    make(path)
    with pytest.raises(OSError, match=words):
        whole(path)
    with pytest.raises(RunFolderError, match=words):
        read_state(path)


def test_the_state_says_it_once_however_often_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 512)
    path = tmp_path / "events.jsonl"
    path.write_bytes(encoded(BEGIN) + b"torn\n" * 500 + encoded(END))
    state = read_state(path)
    assert [line.text for line in state.log if line.kind == "log"] == [state.passed_over.words]
    assert state.passed_over.words == "500 damaged lines of the log (2.0 KiB) passed over"
