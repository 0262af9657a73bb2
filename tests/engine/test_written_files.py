"""What this program writes: whole, private whatever the umask, never through a link, and through one module alone."""

from __future__ import annotations

import ast
import os
import random
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import speedtui.engine
import speedtui.tui
from speedtui.engine import events as e
from speedtui.engine.files import (
    PROGRAM,
    UMASK,
    as_without_us,
    create_beside,
    keep_private,
    make_folder,
    open_plain,
    users_umask,
    write_new,
    write_whole,
    writing,
)
from speedtui.engine.locks import hold_lock
from speedtui.engine.log.writer import append_event
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.new_run import create_run

SOURCES = [
    path
    for package in (speedtui.engine, speedtui.tui)
    for path in Path(next(iter(package.__path__))).rglob("*.py")
]  # fmt: skip
WRITER = Path(speedtui.engine.__path__[0]) / "files.py"
FORBIDDEN = {
    "write_text",
    "write_bytes",
    "mkdir",
    "makedirs",
    "mkstemp",
    "mkdtemp",
    "mktemp",
    "NamedTemporaryFile",
    "symlink_to",
}
"""Methods and functions that make files or folders."""
ALLOWED = {
    ("meter/memory.py", "open"): "/proc/self/clear_refs is the kernel's",
    ("engine/home.py", "mkdir"): "what is there is looked at, and taken only where it is private",
    ("engine/session/new_run.py", "mkdir"): "a run's folder must not be there before, and is 0700",
    ("engine/program/inside.py", "open"): "in the user's program nothing of speedtui may be at hand; exclusive, 0600",
}
"""By the end of the path and the call: where it is right all the same."""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=["000", "022", "077"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def called(node: ast.Call) -> str:
    """The last part of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def opened_to_write(node: ast.Call) -> bool:
    """Whether an `open`, of Python or of a path, names a mode that writes."""
    modes = [arg.value for arg in (*node.args, *(k.value for k in node.keywords)) if isinstance(arg, ast.Constant)]
    plain = [mode for mode in modes if isinstance(mode, str) and 0 < len(mode) <= 3 and set(mode) <= set("rwaxbt+")]
    return called(node) == "open" and any(set(mode) & set("wax+") for mode in plain)


def makes(path: Path) -> Iterator[tuple[str, int]]:
    """(what, line) of every place in a source that makes a file or folder by itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        opens = called(node) == "open" and "O_CREAT" in ast.dump(node)
        if opens or opened_to_write(node) or called(node) in FORBIDDEN:
            yield called(node), node.lineno


def test_no_other_source_makes_files_or_folders_by_itself() -> None:
    allowed = set(ALLOWED)
    found = [
        f"{path}:{line}: {what}"
        for path in SOURCES
        if path != WRITER
        for what, line in makes(path)
        if not any(str(path).endswith(end) and what == name for end, name in allowed)
    ]
    assert len(SOURCES) > 300
    assert found == []


def test_the_rule_sees_every_way_to_make_a_file(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    lines = [
        "path.write_text('x')", "path.open('w')", "open(path, 'ab')", "io.open(path, mode='x')", "path.mkdir()",
        "os.open(path, os.O_WRONLY | os.O_CREAT)", "tempfile.mkstemp()",
    ]  # fmt: skip
    reading = ["path.open('rb')", "open(path)", "os.open(path, os.O_RDONLY)", "open_plain(path, os.O_CREAT)"]
    source.write_text("\n".join([*lines, *reading]))
    assert sorted(line for _, line in makes(source)) == list(range(1, len(lines) + 1))


def test_files_and_folders_are_their_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    make_folder(tmp_path / "a" / "b")
    write_whole(tmp_path / "a" / "b" / "script", "#!/bin/sh\n", mode=PROGRAM)
    write_new(tmp_path / "new", "x")
    with create_beside(tmp_path / "beside") as beside:
        write_whole(tmp_path / "whole", b"x", durable=True)
    os.close(open_plain(tmp_path / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    folder = create_run(tmp_path / "here" / "runs", "tune")
    append_event(folder.events, e.Paused(t=1.0))
    with hold_lock(folder.worker_lock):
        made = list(tmp_path.rglob("*"))
    assert Path(beside.name) in made and folder.worker_lock in made
    modes = {path: mode_of(path) for path in made}
    expected = {path: 0o700 if path.is_dir() or path.name == "script" else 0o600 for path in made}
    assert modes == expected


def test_what_is_not_ours_is_written_as_without_us(tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(UMASK, raising=False)
    with as_without_us():
        (tmp_path / "before").touch()
    keep_private()
    keep_private()  # the worker of a command does so again
    (tmp_path / "ours").touch()
    with as_without_us():
        (tmp_path / "model").touch()
    subprocess.run(["touch", str(tmp_path / "metric")], check=True, umask=users_umask())
    modes = {path.name: mode_of(path) for path in tmp_path.iterdir()}
    theirs = 0o666 & ~umask
    assert modes == {"before": theirs, "ours": 0o600, "model": theirs, "metric": theirs}
    monkeypatch.setenv(UMASK, "other")
    assert users_umask() == -1


def test_a_folder_that_is_there_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(0o755)
    create_run(tmp_path / "runs", "tune")
    assert mode_of(tmp_path / "runs") == 0o755


def test_a_link_is_replaced_and_what_it_leads_to_stays_as_it_was(tmp_path: Path) -> None:
    mine = tmp_path / "bashrc"
    mine.write_text("mine")
    for name in ("copied.txt", "report.md"):
        (tmp_path / name).symlink_to(mine)
        write_whole(tmp_path / name, "theirs")
        assert (tmp_path / name).read_text() == "theirs" and not (tmp_path / name).is_symlink()
    (tmp_path / "next.toml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "next.toml", "x")
    assert mine.read_text() == "mine" and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_what_is_appended_to_or_locked_is_a_regular_file_in_its_own_place(tmp_path: Path, kind: str) -> None:
    path, mine = tmp_path / "commands.jsonl", tmp_path / "mine"
    mine.write_text("mine")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(mine if kind == "link" else tmp_path / "nowhere")
    for flags in (os.O_RDONLY, os.O_WRONLY | os.O_APPEND | os.O_CREAT, os.O_RDWR | os.O_CREAT):
        with pytest.raises(OSError, match="commands"):
            open_plain(path, flags)
    with pytest.raises(OSError, match="commands"), hold_lock(path):
        pass
    assert mine.read_text() == "mine" and not (tmp_path / "nowhere").exists()


def test_what_breaks_off_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_whole(path, "old")
    with pytest.raises(KeyError), writing(path) as file:  # noqa: PT012
        file.write(b"half of the ne")
        raise KeyError
    assert [one.name for one in tmp_path.iterdir()] == ["report.json"] and path.read_text() == "old"


def test_runs_that_are_given_one_name_get_a_folder_each_and_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    monkeypatch.setattr(os, "urandom", lambda count: bytes([0] * (count - 1) + [chance.randrange(16)]))
    made: list[RunFolder] = []

    def begin() -> None:
        folder = create_run(tmp_path / "runs", "train")
        write_whole(folder.config, folder.id)
        made.append(folder)

    threads = [threading.Thread(target=begin) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({folder.path for folder in made}) == 12
    assert all(folder.config.read_text() == folder.id for folder in made)
