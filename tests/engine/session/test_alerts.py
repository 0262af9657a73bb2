"""Alerts: a real command for each, once, whoever is killed meanwhile; and what a command does that fails."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.alerts.command import run_command
from speedtui.engine.alerts.rules import Alert, AlertRules
from speedtui.engine.config.settings import AlertKind, NotifySettings
from speedtui.engine.config.window import Window
from speedtui.engine.errors import ExitCode, JobError, RunFolderError
from speedtui.engine.locks import hold_lock
from speedtui.engine.log.writer import append_event
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.alert_sender import start_alerts
from speedtui.engine.session.alerter import Alerter, send_alerts
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.process import ProcessSession
from speedtui.engine.session.start import resume_training
from tests.engine.session.conftest import Driven
from tests.engine.session.survival_run import SlowTraining, events_of, last_step, wait_for

pytestmark = pytest.mark.slow

STARTED_AT = 1_767_225_600.0
ALL = NotifySettings().on
SESSION = (
    "import sys; from pathlib import Path; from speedtui.engine.runs import RunFolder; "
    "from speedtui.engine.session.process import ProcessSession; ProcessSession(RunFolder(Path(sys.argv[1]))).run()"
)


def started(t: float, restarts: int = 0, deadline: float = STARTED_AT + 7200) -> e.RunStarted:
    return e.RunStarted(
        t=t, run="r", job="train", started_at=STARTED_AT, host="h", pid=1, devices=[], versions={}, config={},
        window=Window(deadline=deadline, margin_seconds=0.0), restarts=restarts,
    )  # fmt: skip


def estimate(t: float, verdict: e.Verdict, p50: float = 3600.0) -> e.EtaUpdated:
    return e.EtaUpdated(t=t, p50_seconds=p50, p90_seconds=p50, verdict=verdict)


def stalled(t: float, seconds: float = 90.0) -> e.Stalled:
    return e.Stalled(t=t, phase="training", seconds=seconds, budget_seconds=90.0)


def step(t: float, number: int) -> e.StepCompleted:
    return e.StepCompleted(
        t=t, step=number, micro_steps=1, samples=1, tokens=1, padding_tokens=0, seconds=1.0, phases={}, loss=1.0,
    )  # fmt: skip


def not_finite(t: float, since: int, **more: Any) -> e.NonFiniteFound:
    return e.NonFiniteFound(t=t, step=since, what="loss", since=since, **more)


LIFE: list[tuple[e.AnyEvent, str]] = [
    (started(0.0), ""),
    (estimate(1, "measuring"), ""),
    (estimate(2, "on_track"), ""),
    (estimate(3, "late", 9000), "late"),
    (estimate(4, "late", 9100), ""),
    (estimate(5, "tight"), ""),
    (estimate(6, "late", 9000), ""),
    (estimate(7, "on_track"), "on_track"),
    (estimate(8, "late", 9000), "late"),
    (not_finite(9, 40), "non_finite"),
    (not_finite(10, 40, certain=True), ""),
    (stalled(100), "stalled"),
    (stalled(200, 190), ""),
    (step(210, 41), ""),
    (stalled(400), "stalled"),
    (e.WorkerLost(t=401, reason="killed by SIGKILL", restarting=True), "lost"),
    (started(402, 1), ""),
    (estimate(403, "late", 9000), ""),
    (not_finite(404, 40), ""),
    (e.WorkerLost(t=405, reason="killed by SIGKILL", restarting=False), ""),
    (e.RunFinished(t=406, outcome="failed", exit_code=1, reason="the worker was lost", next="Go on: x"), "failed"),
    (started(500, 2), ""),
    (e.RunFinished(t=501, outcome="ok", exit_code=0), "ended"),
]
"""A run's events, and what each is worth; what is told again is worth nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "run").mkdir(mode=0o700)
    return RunFolder(tmp_path / "run")


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def follow_to_the_end(folder: RunFolder, notify: NotifySettings, after: float = -1.0) -> None:
    Alerter(folder, notify, after).run()


def test_each_kind_is_told_once_however_often_the_log_says_it(folder: RunFolder, tmp_path: Path) -> None:
    """A worker writes while the alerter follows; then others follow the whole log again."""
    out = tmp_path / "told"
    notify = NotifySettings(command=f"cat >> {shlex.quote(str(out))}")
    with hold_lock(folder.worker_lock):
        append_event(folder.events, LIFE[0][0])
        following = threading.Thread(target=follow_to_the_end, args=(folder, notify))
        following.start()
        for event, _ in LIFE[1:]:
            append_event(folder.events, event)
    following.join(60)
    wanted = [kind for _, kind in LIFE if kind]
    assert [one["event"] for one in told(out)] == wanted
    assert [event.alert for event in events_of(folder, e.AlertSent)] == wanted
    for _ in range(2):
        follow_to_the_end(folder, notify)
    assert [one["event"] for one in told(out)] == wanted
    late = told(out)[0]
    assert late["run"] == "r" and late["verdict"] == "late" and late["folder"] == str(folder.path)
    assert late["cause"]["type"] == "eta_updated" and late["time"] == STARTED_AT + 3
    assert late["text"].startswith("Run r is late: the finish is expected at ")
    assert "30m 03s after the deadline" in late["text"]
    assert sum(event.t for event in events_of(folder, e.Notice)) == 0, "nothing went wrong"


def test_what_was_before_and_what_nobody_asked_for_is_not_told(folder: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "told"
    for event, _ in LIFE:
        append_event(folder.events, event)
    follow_to_the_end(folder, NotifySettings(command=f"cat >> {out}", on=["failed", "stalled"]), after=399.0)
    assert [one["event"] for one in told(out)] == ["stalled", "failed"]


def test_a_run_whose_worker_is_gone_and_whom_nobody_ends_is_told(folder: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "told"
    append_event(folder.events, started(0.0))
    follow_to_the_end(folder, NotifySettings(command=f"cat >> {out}"))
    (one,) = told(out)
    assert (one["event"], one["cause"]) == ("lost", None)
    assert one["text"] == "Run r lost its worker, and nobody is there to start another one."


ALERT = Alert(
    kind="ended", key="ended-1", t=1.0, wall=STARTED_AT, run="r\x1b[31m", verdict=None, title="speedtui: run ended",
    text="Run r is done.", cause=e.RunFinished(t=1.0, outcome="ok", exit_code=0, reason="$(touch owned)\n`id`"),
)  # fmt: skip


def test_a_command_finds_the_alert_in_its_environment_and_nothing_of_the_run_is_part_of_it(tmp_path: Path) -> None:
    line = f'cd {tmp_path} && printf "%s|" "$SPEEDTUI_EVENT" "$SPEEDTUI_RUN" "$SPEEDTUI_FOLDER" "$SPEEDTUI_TEXT" > env'
    assert run_command(line, ALERT, "/runs/r", 30.0) == ""
    assert (tmp_path / "env").read_text() == "ended|r\\x1b[31m|/runs/r|Run r is done.|"
    assert [path.name for path in tmp_path.iterdir()] == ["env"]


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        ("echo no such host >&2; exit 7", "the command ended with exit status 7: no such host"),
        ("no-such-command", "the command ended with exit status 127: "),
        ("kill -9 $$", "the command was ended by SIGKILL"),
        ("exec 0<&-; exit 3", "the command ended with exit status 3"),
    ],
)
def test_a_command_that_fails_says_why(command: str, failure: str) -> None:
    assert run_command(command, ALERT, "/runs/r", 30.0).startswith(failure)


def test_a_command_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    line = f"sleep 600 & echo $! > {tmp_path}/pid; cat; wait"
    assert run_command(line, ALERT, "/runs/r", 1.0) == "the command took longer than 1s and was killed"
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])


def test_a_failure_is_one_notice_and_the_alert_is_not_tried_again(folder: RunFolder, tmp_path: Path) -> None:
    notify = NotifySettings(command=f"echo x >> {tmp_path}/tries; echo refused; exit 22")
    append_event(folder.events, started(0.0))
    append_event(folder.events, e.RunFinished(t=5.0, outcome="ok", exit_code=0))
    for _ in range(2):
        follow_to_the_end(folder, notify)
    (notice,) = events_of(folder, e.Notice)
    assert notice.text == (
        "the alert ended was not delivered: the command ended with exit status 22: refused"
    ) and notice.level == "warning"  # fmt: skip
    assert (tmp_path / "tries").read_text() == "x\n"


def test_the_rules_give_a_thing_the_same_key_whoever_reads_the_log() -> None:
    def keys(rules: AlertRules) -> list[str]:
        return [alert.key for event, _ in LIFE if (alert := rules.see(event)) is not None]

    first, second = keys(AlertRules(ALL)), keys(AlertRules(ALL))
    assert first == second
    distinct = [kind for _, kind in LIFE if kind]
    assert len(set(first)) == len(distinct)


def test_a_key_does_not_depend_on_what_else_is_wanted() -> None:
    """As after a change of `notify.on` between two resumes."""
    log = [*(event for event, _ in LIFE), started(600), e.WorkerLost(t=601, reason="killed", restarting=True)]

    def keys(wanted: Collection[AlertKind]) -> dict[tuple[str, float], str]:
        rules = AlertRules(wanted)
        return {(alert.kind, alert.t): alert.key for event in log if (alert := rules.see(event)) is not None}

    for kind in ALL:
        alone = keys([kind])
        shared = {at: key for at, key in keys(ALL).items() if at[0] == kind}
        assert shared and shared.items() <= alone.items()


@pytest.fixture
def slow(tmp_path: Path) -> SlowTraining:
    training = SlowTraining(tmp_path / "training", steps=300)
    notify = NotifySettings(command=f"cat >> {shlex.quote(str(tmp_path / 'told'))}")
    training.settings = msgspec.structs.replace(training.settings, notify=notify)
    return training


def look_on(folder: RunFolder) -> None:
    with suppress(JobError):  # that its worker is gone
        AttachedSession(folder).run()


def test_alerts_outlive_a_killed_session_and_a_killed_worker_and_come_once(slow: SlowTraining, tmp_path: Path) -> None:
    folder, out = slow.create(), tmp_path / "told"
    session = subprocess.Popen([sys.executable, "-c", SESSION, str(folder.path)])
    wait_for(lambda: last_step(folder) > 12)
    looking_on = threading.Thread(target=look_on, args=(folder,))
    looking_on.start()
    session.kill()
    session.wait()
    (first,) = events_of(folder, e.RunStarted)
    os.killpg(first.pid, signal.SIGKILL)
    wait_for(lambda: told(out))
    looking_on.join()
    again = resume_training(folder, slow.options())
    assert isinstance(again, ProcessSession)
    driven = Driven(again)
    slow.let_go()
    driven.end()
    assert driven.exit_code is ExitCode.DONE
    assert again.settle() == ""
    assert [one["event"] for one in told(out)] == ["lost", "ended"]
    assert [event.alert for event in events_of(folder, e.AlertSent)] == ["lost", "ended"]
    sender = start_alerts(folder)
    assert sender is not None and sender.wait() == "", "one that comes later has nothing to tell"
    assert len(told(out)) == 2


def test_without_a_command_nothing_is_started(slow: SlowTraining) -> None:
    slow.settings = msgspec.structs.replace(slow.settings, notify=NotifySettings())
    assert start_alerts(slow.create()) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_command_out_of_somebody_elses_configuration_is_not_run(slow: SlowTraining, tmp_path: Path) -> None:
    folder = slow.create()
    append_event(folder.events, started(0.0))
    os.chown(folder.config, 65_534, 65_534)
    with pytest.raises(RunFolderError, match="only looked at"):
        send_alerts(folder, -1.0)
    assert not (tmp_path / "told").exists()
