"""The process that sends alerts: what it makes of a run that is taken up, moved or left, and who waits for it."""

from __future__ import annotations

import os
import shlex
import signal
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.alerts.command import run_command
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.settings import NotifySettings
from speedtui.engine.context.order import read_order, write_order
from speedtui.engine.errors import RunFolderError
from speedtui.engine.locks import hold_lock, is_locked
from speedtui.engine.log.writer import append_event
from speedtui.engine.runs import RunFolder
from speedtui.engine.session import alerter
from speedtui.engine.session.alert_sender import AlertSender, start_alerts
from speedtui.engine.session.alerter import Alerter, send_alerts
from speedtui.engine.session.process import ProcessSession
from speedtui.tui.commands.following import _settle
from tests.engine.session.survival_run import SlowTraining, events_of, wait_for
from tests.engine.session.test_alerts import ALERT, LIFE, STARTED_AT, estimate, started, told


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "run").mkdir(mode=0o700)
    return RunFolder(tmp_path / "run")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "told"


def telling(out: Path) -> NotifySettings:
    return NotifySettings(command=f"cat >> {shlex.quote(str(out))}")


def test_a_command_is_run_where_its_words_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    assert run_command(f"cat > {tmp_path}/told", ALERT, "/runs/r", 30.0) == ""
    assert told(tmp_path / "told")
    assert run_command("echo why; exit 7", ALERT, "/runs/r", 30.0) == "the command ended with exit status 7"


def test_a_run_whose_folder_is_moved_is_not_told_as_lost(folder: RunFolder, out: Path) -> None:
    following, wrong = Alerter(folder, telling(out), -1.0), list[RunFolderError]()

    def follow() -> None:
        try:
            following.run()
        except RunFolderError as error:
            wrong.append(error)

    append_event(folder.events, started(0.0))
    append_event(folder.events, estimate(1.0, "late", 9000))
    with hold_lock(folder.worker_lock):
        thread = threading.Thread(target=follow)
        thread.start()
        wait_for(lambda: told(out))
        folder.path.rename(folder.path.with_name("elsewhere"))
        thread.join(60)
    assert "was moved or removed: no more alerts of it are sent" in str(wrong[0])
    assert [one["event"] for one in told(out)] == ["late"]


def test_the_alerts_of_a_run_whose_folder_is_moved_go_on_from_where_it_is_now(
    folder: RunFolder, out: Path, tmp_path: Path
) -> None:
    settings = SlowTraining(tmp_path / "training").settings
    folder.config.write_text(dump_settings(msgspec.structs.replace(settings, notify=telling(out))))
    append_event(folder.events, started(0.0))
    append_event(folder.events, estimate(1.0, "late", 9000))
    moved = RunFolder(folder.path.with_name("elsewhere"))
    with hold_lock(folder.worker_lock):
        thread = threading.Thread(target=send_alerts, args=(folder, -1.0))
        thread.start()
        wait_for(lambda: told(out))
        folder.path.rename(moved.path)
        append_event(moved.events, e.RunFinished(t=2.0, outcome="failed", exit_code=1, reason="why"))
        wait_for(lambda: len(told(out)) > 1)
    thread.join(60)
    assert [one["event"] for one in told(out)] == ["late", "failed"] and not folder.path.exists()
    assert [event.alert for event in events_of(moved, e.AlertSent)] == ["late", "failed"]


def test_a_lock_that_cannot_be_looked_at_is_not_taken_as_let_go(folder: RunFolder) -> None:
    assert is_locked(folder.worker_lock) is False, "nobody has ever held it"
    folder.worker_lock.mkdir()
    assert is_locked(folder.worker_lock) is None
    assert Alerter(folder, telling(folder.path / "told"), -1.0)._goes_on()


def test_each_loss_that_no_event_tells_of_is_told(folder: RunFolder, out: Path) -> None:
    append_event(folder.events, started(0.0))
    Alerter(folder, telling(out), -1.0).run()
    (first,) = events_of(folder, e.AlertSent)
    append_event(folder.events, started(first.t + 1))
    for _ in range(2):
        Alerter(folder, telling(out), first.t).run()
    assert [one["event"] for one in told(out)] == ["lost", "lost"]
    assert len({event.key for event in events_of(folder, e.AlertSent)}) == 2


def test_a_loss_before_a_resumed_worker_begins_is_told(
    folder: RunFolder, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerter, "START_SECONDS", 0.0)
    for event, _ in LIFE:
        append_event(folder.events, event)
    with hold_lock(folder.owner_lock):
        thread = threading.Thread(target=Alerter(folder, telling(out), LIFE[-1][0].t).run)
        thread.start()
        append_event(folder.events, estimate(502.0, "on_track"))
        wait_for(lambda: told(out))
    thread.join(60)
    assert [one["event"] for one in told(out)] == ["on_track", "lost"]


def test_a_loss_before_a_first_worker_begins_names_the_run(
    folder: RunFolder, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerter, "START_SECONDS", 0.0)
    Alerter(folder, telling(out), -1.0).run()
    (one,) = told(out)
    assert one["run"] == "run" and one["text"].startswith("Run run lost its worker") and one["time"] > STARTED_AT / 2


def test_a_plan_sends_no_alerts(tmp_path: Path, out: Path) -> None:
    training = SlowTraining(tmp_path / "training", steps=3)
    training.settings = msgspec.structs.replace(training.settings, notify=telling(out))
    folder = training.create()
    write_order(folder, msgspec.structs.replace(read_order(folder), job="plan"))
    assert start_alerts(folder) is None


def test_a_sender_that_is_lost_is_started_once_more_and_then_told_of_once(folder: RunFolder) -> None:
    sender, said = AlertSender(folder, -1.0), list[str]()  # of a folder without settings, where it ends at once

    def look() -> bool:
        said.append(sender.look())
        return bool(said[-1])

    wait_for(look)
    assert said[-1].startswith("alerts were not sent: their process ended with status ")
    assert len([line for line in folder.worker_log.read_text().splitlines() if "config.toml" in line]) == 2
    assert not look()


@pytest.mark.parametrize(("command", "said"), [
    ("exit 7", "the alert ended was not delivered: the command ended with exit status 7"), ("exit 0", ""),
])  # fmt: skip
def test_a_command_that_fails_after_the_end_is_told_by_whoever_waits_for_it(
    tmp_path: Path, command: str, said: str
) -> None:
    training = SlowTraining(tmp_path / "training", steps=3)
    training.settings = msgspec.structs.replace(training.settings, notify=NotifySettings(command=command))
    folder = training.create()
    append_event(folder.events, started(0.0))
    append_event(folder.events, e.Notice(t=0.5, level="warning", text="the alert late was not delivered: long told"))
    append_event(folder.events, e.RunFinished(t=1.0, outcome="ok", exit_code=0))
    assert AlertSender(folder, -1.0).wait() == said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_waiting_for_the_last_alert_and_nothing_else(
    number: signal.Signals, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    training = SlowTraining(tmp_path / "training", steps=3)
    hanging = NotifySettings(command=f"echo $$ > {tmp_path}/pid; exec sleep 600", timeout="10m")
    training.settings = msgspec.structs.replace(training.settings, notify=hanging)
    folder = training.create()
    append_event(folder.events, started(0.0))
    append_event(folder.events, e.RunFinished(t=1.0, outcome="ok", exit_code=0))
    session, over = ProcessSession(folder), threading.Event()
    said: list[str] = []

    def sending() -> bool:
        said.append(capfd.readouterr().err)
        pid = tmp_path / "pid"
        return "speedtui: sending the last alert\n" in "".join(said) and pid.exists() and pid.read_text() != ""

    def signalling() -> None:
        with suppress(AssertionError):  # told below; without a signal it would be waited for very long
            wait_for(sending)
        while not over.wait(0.1):
            os.kill(os.getpid(), number)

    before = signal.signal(number, lambda *_: None)  # for one that comes too late
    thread = threading.Thread(target=signalling)
    try:
        session._alerts = AlertSender(folder, -1.0)
        thread.start()
        _settle([session])
    finally:
        over.set()
        thread.join(60)
        signal.signal(number, before)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    said.append(capfd.readouterr().err)
    assert "".join(said) == "speedtui: sending the last alert\nspeedtui: the last alert is still being sent\n"
