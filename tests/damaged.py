"""Logs as disks, crashes, editors and other versions leave them, and every command that reads one.

Each log is made of a recorded one by a few damages that a seed chooses, so that any of them can be made again.
"""

from __future__ import annotations

import io
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode, SpeedtuiError
from speedtui.engine.log import tail
from speedtui.engine.log.read import read_state
from speedtui.engine.log.run_summary import RunSummaries
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.replay import ReplaySession
from speedtui.engine.state.passed_over import PassedOver
from speedtui.tui.cli import main

RECORDINGS = Path(__file__).parent / "data" / "recordings"
CHUNK_BYTES, MOST_LINE_BYTES = 1 << 13, 1 << 15
"""Read at a time and held as a line, in place of mebibytes: every boundary is then crossed many times."""
KEPT_OF_A_KIND = 12
"""Lines of each kind of event that a log here has: a whole recording takes a hundred times as long to walk through."""
MOST_SECONDS = 10.0
"""Of CPU time for one command over one such log, which takes some hundredths."""
CODES = {ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE, ExitCode.LATE, ExitCode.NO_FIT, ExitCode.INTERRUPTED}
ODD: tuple[Any, ...] = (
    None, True, "", "x" * 300, "\x1b]52;c;AAAA\x07", "\u202e\u200bé", [], {}, [[]], {"a": {"b": [1, None]}}, 0, -1, 1,
    0.0, -0.0, 1e-300, -3.5, 1e9, 9.9e9, -9.9e9, 1e11, 1e149, 1e300, 1e308, -1e308, 2**31, 2**53, 10**18, -(10**18),
    10**30, "never", "0 steps", "9" * 40 + " epochs", "1e308",
)  # fmt: skip
"""Laid in the place of any value of an event."""

Damage = Callable[[random.Random, list[bytes]], list[bytes]]


def damaged_log(seed: int) -> bytes:
    """The log of this seed."""
    chance = random.Random(seed)
    lines = _recorded(chance.choice(sorted(RECORDINGS.glob("*.jsonl"))))
    for damage in chance.choices(DAMAGES, k=chance.choice([1, 1, 2, 3, 5])):
        lines = damage(chance, lines) or [b""]
    return b"".join(lines)


def _recorded(path: Path) -> list[bytes]:
    """Lines with their ends, a few of each kind."""
    seen: dict[str, int] = {}
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        kind = json.loads(line)["type"]
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= KEPT_OF_A_KIND or kind == "trial_finished":
            kept.append(line)
    return kept


def _at(chance: random.Random, lines: list[bytes]) -> int:
    return chance.randrange(len(lines))


def _truncated(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    whole = b"".join(lines)
    return whole[: chance.randrange(len(whole) + 1)].splitlines(keepends=True)


def _spliced(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    whole = b"".join(lines)
    begin = chance.randrange(len(whole) + 1)
    return (whole[:begin] + whole[begin + chance.randrange(5000) :]).splitlines(keepends=True)


def _nulls(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    size = chance.choice([1, 512, 4096, 3 * CHUNK_BYTES, 2 * MOST_LINE_BYTES])
    return _put(chance, lines, bytes(size) + b"\n" * chance.randrange(2))


def _flipped(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    whole = bytearray(b"".join(lines))
    for _ in range(chance.choice([1, 10, 200])):
        if whole:
            whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
    return bytes(whole).splitlines(keepends=True)


def _doubled(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    begin = _at(chance, lines)
    return lines[: begin + 1] + lines[begin : begin + chance.randrange(1, 30)] + lines[begin + 1 :]


def _reordered(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    lines = list(lines)
    chance.shuffle(lines)
    return lines


def _lost(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if chance.random() > 0.3]


def _torn(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    at = _at(chance, lines)
    cut = chance.randrange(len(lines[at]) + 1)
    return [*lines[:at], lines[at][:cut] + b"\n" * chance.randrange(2), lines[at][cut:], *lines[at + 1 :]]


def _many_torn(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    return _put(chance, lines, (lines[_at(chance, lines)][:-9] + b"\n") * chance.choice([3, 300]))


def _long(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    size = chance.choice([CHUNK_BYTES - 1, CHUNK_BYTES, MOST_LINE_BYTES, MOST_LINE_BYTES + 1, 5 * MOST_LINE_BYTES])
    return _put(chance, lines, chance.choice([b"x", b" ", b'{"v":1,']) * size + b"\n")


def _long_event(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    size = chance.choice([CHUNK_BYTES, MOST_LINE_BYTES // 2, 2 * MOST_LINE_BYTES])
    return _put(chance, lines, e.encode(e.Notice(t=chance.uniform(0, 1e3), level="info", text="n" * size)))


def _deep(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    depth = chance.choice([10, 70, 900, 5000, 14_000])
    opened, closed = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
    where = chance.choice([b'"x"', b'"config"', b'"values"', b'"phases"'])
    return _put(chance, lines, b'{"v":1,"type":"run_started","t":1,' + where + b":" + opened * depth
                + b"0" + closed * depth + b"}\n")  # fmt: skip


def _odd(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    """Another value in the place of one, or of several, wherever it lies."""
    lines = list(lines)
    for _ in range(chance.choice([1, 3, 20])):
        at = _at(chance, lines)
        try:
            event = json.loads(lines[at])
        except (ValueError, RecursionError):
            continue
        places = list(_places(event))
        if places:
            holder, key = chance.choice(places)
            holder[key] = chance.choice(ODD)
            lines[at] = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    return lines


def _odd_key(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    """A field that is not there any more, or has another name."""
    at = _at(chance, lines)
    return [*lines[:at], re.sub(rb'"\w+":', chance.choice([b'"y":', b'"":', b'"t":']), lines[at], count=3),
            *lines[at + 1 :]]  # fmt: skip


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _numbers(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    """Digits as no JSON writer makes them."""
    at = _at(chance, lines)
    odd = chance.choice(
        [b"NaN", b"Infinity", b"1e999", b"-1e400", b"1E308", b"9" * 500, b"0x10", b"1_000", b"00", b"-"]
    )
    return [*lines[:at], re.sub(rb":-?\d[\d.]*", b":" + odd, lines[at], count=chance.randrange(1, 9)), *lines[at + 1 :]]


def _newer(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    new = chance.choice([
        (b'{"v":1,', b'{"v":2,'), (b'"type":"', b'"type":"later_'), (b'"level":"', b'"level":"later_'),
        (b'"outcome":"', b'"outcome":"later_'), (b'"status":"', b'"status":"later_'), (b'"job":"', b'"job":"later_'),
        (b'"eval_every":"', b'"eval_every":"later '), (b'"checkpoint_every":"', b'"checkpoint_every":"at dawn '),
    ])  # fmt: skip
    share = chance.choice([0.05, 1.0])
    return [line.replace(*new) if chance.random() < share else line for line in lines]


def _encoded(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    encoding = chance.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7"])
    share = chance.choice([0.1, 1.0])
    return [_text(line).encode(encoding) if chance.random() < share else line for line in lines]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def _line_ends(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    end = chance.choice([b"\r\n", b"\r", b"\n\n\n", b" \n", b"\0\n", b""])
    return [line.removesuffix(b"\n") + end for line in lines]


def _foreign(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    return [chance.choice([b"", b"\n", b"garbage", chance.randbytes(3000), b"[]\n" * 50, b'{"loss":1}\n', bytes(5000)])]


def _put(chance: random.Random, lines: list[bytes], piece: bytes) -> list[bytes]:
    at = chance.randrange(len(lines) + 1)
    return [*lines[:at], piece, *lines[at:]]


DAMAGES: list[Damage] = [
    _truncated, _spliced, _nulls, _flipped, _doubled, _reordered, _lost, _torn, _many_torn, _long, _long_event, _deep,
    _odd, _odd, _odd, _odd, _odd_key, _numbers, _newer, _encoded, _line_ends, _foreign,
]  # fmt: skip


def told_nothing(log: bytes) -> PassedOver:
    """How much of a log is to be passed over, of its lines one by one."""
    lines, size, newer = 0, 0, 0
    *ended, rest = log.split(b"\n")
    for line in ended:
        too_long = len(line) > MOST_LINE_BYTES
        if not too_long and not line.strip():
            continue
        try:
            known = None if too_long else e.decode(line)
        except ValueError:
            too_long = True
            known = None
        if too_long:
            lines, size = lines + 1, size + len(line)
        elif known is None:
            newer += 1
    torn = len(rest) > MOST_LINE_BYTES or bool(rest.strip())
    return PassedOver(lines=lines + torn, bytes=size + len(rest) * torn, newer=newer)


class Walk:
    """A folder with two good runs and one whose log is another one each time, and all that reads it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(tail, "CHUNK_BYTES", CHUNK_BYTES)
        patch.setattr(tail, "MOST_LINE_BYTES", MOST_LINE_BYTES)
        self._runs, self._out = folder / "runs", folder / "out"
        good = b"".join(_recorded(RECORDINGS / "demo.jsonl"))
        for name in ("20260101-000000-demo-aaaa", "20260301-000000-demo-cccc"):
            self._write(name, good)
        self._out.mkdir()
        self._run = RunFolder(self._runs / "20260201-000000-train-bbbb")
        self.seconds = 0.0
        """Of CPU time that the slowest command took."""
        self.calls = 0
        """Commands called so far."""

    def _write(self, name: str, log: bytes) -> None:
        (self._runs / name).mkdir(parents=True, exist_ok=True)
        RunFolder(self._runs / name).events.write_bytes(log)

    def through(self, log: bytes) -> None:
        """Every way to read this log. Raises AssertionError, or what a reader let through."""
        self._write(self._run.id, log)
        expected = told_nothing(log)
        state = read_state(self._run.events)
        assert state.passed_over == expected
        self._list(expected)
        self._session(lambda: AttachedSession(self._run), state)
        self._session(lambda: ReplaySession(self._run, speed=1e300), state)
        self._screens(state)
        run, html = self._run.id, str(self._out / "page.html")
        for arguments in (
            ["report", run], ["report", run, "--json"], ["report", run, "--html", html],
            ["replay", run, "--speed=1e300"],
            ["replay", run, "--json", "--speed=1e300", "--from=50%"], ["export", run, "--to=csv", f"--out={self._out}"],
            ["attach", run], ["send", run, "stop"],
        ):  # fmt: skip
            code, said = self.call(*arguments)
            if state.run and code is ExitCode.DONE:
                assert expected.words in said, arguments

    def _list(self, expected: PassedOver) -> None:
        code, said = self.call("runs", "--json")
        rows = {row["run"]: row for row in map(json.loads, said.splitlines())}
        assert code == ExitCode.DONE and len(rows) == 3
        assert [row["state"] for name, row in rows.items() if name != self._run.id] == ["ok", "ok"]
        told = rows[self._run.id]
        assert told["state"] == "unreadable" or told["passed_over"] == expected.words
        assert [one.folder.id[-4:] for one in RunSummaries(self._runs).look()] == ["cccc", "bbbb", "aaaa"]

    def _session(self, make: Callable[[], AttachedSession | ReplaySession], whole: Any) -> None:
        session = make()
        with suppress(SpeedtuiError):  # a run that has lost its worker is one
            session.run(lambda line, event: None)
        shown = session.snapshot()
        assert shown.passed_over == whole.passed_over and (shown.t, shown.run) == (whole.t, whole.run)

    def _screens(self, state: Any) -> None:
        from speedtui.engine.advise.strategies import advised
        from speedtui.tui.draft.draft_editor import DraftEditor

        DraftEditor().look(state, state, 1.8e9)
        advised(state, state)

    def call(self, *arguments: str) -> tuple[int, str]:
        """Calls the program in this process; its exit code, and all that it said."""
        out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
        began = time.process_time()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([arguments[0], "--runs", str(self._runs), *arguments[1:]])
        took = time.process_time() - began
        self.seconds, self.calls = max(self.seconds, took), self.calls + 1
        out.flush()
        said = out.buffer.getvalue().decode() + err.getvalue()  # type: ignore[attr-defined]
        assert ended.value.code in CODES, arguments
        assert "Traceback" not in said and "a bug of speedtui" not in said, (arguments, said[-3000:])
        assert took < MOST_SECONDS, (arguments, took)
        return int(ended.value.code or 0), said
