"""`speedtui send`, to a worker played by a thread that reads the real command file and writes the real log."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tomli_w

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.locks import hold_lock
from speedtui.engine.log.commands import CommandTail
from speedtui.engine.runs import RunFolder
from speedtui.tui.cli import main
from speedtui.tui.commands import send
from tests.cli.program import PATIENCE_SECONDS, wait_for
from tests.engine.events_of_a_run import started, training

CONFIG = {
    "model": {"path": "/models/m", "kind": "seq2seq"},
    "data": {"train": "/t.jsonl", "eval": "/e.jsonl", "prompt": "q", "response": "a"},
    "schedule": {"generate": True},
}


class Worker:
    """Answers each command the way it is told to; without a word it never answers."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.refuses = ""
        self.silent_seconds = 0.0
        self.answers = threading.Event()
        """Not before this is set."""
        self.answers.set()
        self.commands: list[c.AnyCommand] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def append(self, event: e.AnyEvent, *, torn: bool = False) -> None:
        line = e.encode(event)
        with self.folder.events.open("ab") as file:
            file.write(line[:20] if torn else line)

    @contextmanager
    def alive(self) -> Iterator[None]:
        with hold_lock(self.folder.worker_lock):
            self._thread.start()
            try:
                yield
            finally:
                self._over.set()
                self._thread.join()

    def _work(self) -> None:
        tail = CommandTail(self.folder.commands)
        while not self._over.wait(0.01):
            for command in tail.read():
                assert not isinstance(command, ValueError)
                self.commands.append(command)
                self._over.wait(self.silent_seconds)
                if not self._over.is_set() and self.answers.wait(PATIENCE_SECONDS):
                    self._answer(command)

    def _answer(self, command: c.AnyCommand) -> None:
        name = c.command_name(command)
        self.append(e.CommandApplied(t=0.0, id="another's", command=name, detail="not for us"))
        if self.refuses:
            self.append(e.CommandRefused(t=1.0, id=command.id, command=name, reason=self.refuses))
        else:
            self.append(e.CommandApplied(t=1.0, id=command.id, command=name, detail="from step 8 on"))


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    folder = RunFolder(tmp_path / "runs" / "20260101-train-ab12")
    folder.path.mkdir(parents=True)
    folder.config.write_text(tomli_w.dumps(CONFIG))
    worker = Worker(folder)
    for event in (started("train"), training()):
        worker.append(event)
    return worker


class Ended:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Run = Callable[..., Ended]
"""Calls the command with its arguments."""


@pytest.fixture
def run(worker: Worker, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(["send", "--runs", str(worker.folder.path.parent), *arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(int(ended.value.code), captured.out, captured.err)

    return call


@pytest.mark.parametrize(
    ("name", "kind"),
    [("pause", c.Pause), ("resume", c.Resume), ("stop", c.Stop), ("cancel", c.Cancel), ("eval", c.Evaluate),
     ("checkpoint", c.Checkpoint)],
)  # fmt: skip
def test_every_command_is_sent_and_its_answer_told(worker: Worker, run: Run, name: str, kind: type[c.Command]) -> None:
    with worker.alive():
        ended = run("20260101", name)
    assert (ended.code, ended.out, ended.err) == (0, f"{name}: from step 8 on\n", "")
    assert [type(command) for command in worker.commands] == [kind]


def test_settings_are_sent_by_full_path_with_values_of_their_type(
    worker: Worker, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with worker.alive():
        ended = run("ab12", "set", "eval_every=1200", "metric=score.py:f", "beams=2")
    assert (ended.code, ended.out) == (0, "set: from step 8 on\n")
    (command,) = worker.commands
    assert isinstance(command, c.Set)
    assert command.values == {
        "schedule.eval_every": "1200 steps", "schedule.metric": f"{tmp_path}/score.py:f", "schedule.beams": 2,
    }  # fmt: skip


def test_what_was_set_before_counts_when_more_is_set(worker: Worker, run: Run) -> None:
    before = {"schedule.metric": "/code/f.py:f", "schedule.best_by": "exact"}
    worker.append(e.SettingsChanged(t=3.0, step=4, values=before, reason="command"))
    with worker.alive():
        refused = run("ab12", "set", "metric=")
        done = run("ab12", "set", "metric=", "best_by=loss")
    assert (refused.code, done.code) == (2, 0)
    assert "best_by 'exact' needs schedule.metric" in refused.err
    assert len(worker.commands) == 1


def test_json_prints_the_answering_event_and_nothing_else(worker: Worker, run: Run) -> None:
    with worker.alive():
        ended = run("--json", "ab12", "eval")
    answer = json.loads(ended.out)
    assert (answer["type"], answer["id"]) == ("command_applied", worker.commands[0].id)


def test_a_refusal_says_why_and_fails(worker: Worker, run: Run) -> None:
    worker.refuses = "it is paused already"
    with worker.alive():
        ended = run("--json", "ab12", "pause")
    assert ended.code == 1
    assert ended.err == "speedtui: pause refused: it is paused already\n"
    assert json.loads(ended.out)["type"] == "command_refused"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["ab12", "set"], "set: nothing to set"),
        (["ab12", "set", "eval_every"], "set: expected KEY=VALUE, got 'eval_every'"),
        (["ab12", "set", "epochs=9"], "set: train.epochs cannot be changed while a run goes on"),
        (["ab12", "set", "evl_every=9"], "set: evl_every is not a setting; did you mean schedule.eval_every?"),
        (["ab12", "set", "patience=soon"], "set: schedule.patience: expected a whole number, got 'soon'"),
        (["ab12", "pause", "eval_every=9"], "pause takes nothing more, got 'eval_every=9'"),
        (["ab12", "faster"], "Invalid value for 'COMMAND': 'faster' is not one of"),
        (["nowhere", "pause"], "nowhere: no run of that name"),
        (["--timeout", "soon", "ab12", "pause"], "--timeout: expected a duration"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_before_it_is(
    worker: Worker, run: Run, arguments: list[str], complaint: str
) -> None:
    with worker.alive():
        ended = run(*arguments)
    assert ended.code == 2
    assert ended.err.startswith(f"speedtui: {complaint}")
    assert not worker.folder.commands.exists()


def test_a_run_that_is_over_takes_no_command(worker: Worker, run: Run) -> None:
    for arguments in (["ab12", "stop"], ["ab12", "set", "eval_every=9"]):
        ended = run(*arguments)
        assert ended.code == 2
        assert ended.err.splitlines()[0] == (
            "speedtui: run 20260101-train-ab12 is over, so nobody would read the command"
        )
        assert len(ended.err.splitlines()) == 2
    assert not worker.folder.commands.exists()


def test_after_a_second_it_says_what_it_waits_for(
    worker: Worker, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "WAITING_SECONDS", 0.05)
    worker.answers.clear()
    said, ended = list[str](), list[Ended]()

    def told() -> bool:
        said.append(capsys.readouterr().err)
        return bool(said[-1])

    caller = threading.Thread(target=lambda: ended.append(run("ab12", "eval")))
    with worker.alive():
        caller.start()
        wait_for(told)
        worker.answers.set()
        caller.join(PATIENCE_SECONDS)
    assert "".join(said) == "speedtui: sent; waiting for the job's next step boundary\n"
    assert (ended[0].out, ended[0].err) == ("eval: from step 8 on\n", "")


def test_without_an_answer_it_ends_and_the_command_stays(worker: Worker, run: Run) -> None:
    worker.silent_seconds = 30.0
    with worker.alive():
        ended = run("--timeout", "200ms", "ab12", "checkpoint")
    assert ended.code == 1
    assert "no answer within" in ended.err and "It will follow the command when it does." in ended.err
    assert worker.folder.commands.exists()


def test_a_worker_that_dies_instead_of_answering_is_told(worker: Worker, run: Run) -> None:
    worker.silent_seconds = 30.0

    ended: list[Ended] = []
    caller = threading.Thread(target=lambda: ended.append(run("ab12", "eval")))
    with worker.alive():
        caller.start()
        wait_for(lambda: bool(worker.commands))
    caller.join(PATIENCE_SECONDS)
    assert ended[0].code == 1
    assert "ended before it came to the command" in ended[0].err


def test_lines_torn_by_a_crash_do_not_hide_the_answer(worker: Worker, run: Run) -> None:
    worker.append(started("train"), torn=True)
    with worker.folder.events.open("ab") as file:
        file.write(b"\n")
    with worker.alive():
        assert run("ab12", "pause").code == 0
