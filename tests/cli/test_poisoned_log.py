"""Whatever a log, its folder's name and worker.log hold: nothing of it is obeyed by a terminal, page or spreadsheet."""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import pytest
from rich.cells import cell_len

from speedtui.engine import events as e
from speedtui.engine.alerts.command import variables
from speedtui.engine.alerts.rules import AlertRules
from speedtui.engine.config.settings import AlertKind
from speedtui.engine.runs import RunFolder
from speedtui.tui.cli import main
from speedtui.tui.terminal.ringing import notification
from tests.engine.report.sample_runs import killed_training, study_alone, whole_training
from tests.poisoned import POISONS, Poison, found_in, one_of_each, poisoned

NAME = "20260528-train-ab12\x1b[31m\nFAKE\u202e学習\udcff"
"""A folder's name: all that a file system takes."""
Out = tuple[int, str, str]
Call = Callable[..., Out]


def failed(log: Sequence[e.AnyEvent]) -> list[e.AnyEvent]:
    """The log with every other type of event in it, ended by a failure."""
    poison, endings = Poison(), (e.RunFinished, e.TrainingFinished, e.RunStarted)
    more = [event for event in one_of_each(poison) if not isinstance(event, endings)]
    end = e.RunFinished(t=9e3, outcome="failed", exit_code=1, reason=poison.text("why"), next=poison.text("now"))
    return [*poisoned(log, poison), *more, end]


LOGS = {
    "a training": poisoned(whole_training(2)), "a killed one": poisoned(killed_training()),
    "a study": poisoned(study_alone()), "a failure": failed(whole_training(1)), "a failed study": failed(study_alone()),
    **{f"poison {i}": poisoned(whole_training(1), Poison([word])) for i, word in enumerate(POISONS)},
}  # fmt: skip


@pytest.fixture(params=LOGS)
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "runs" / NAME)
    folder.path.mkdir(parents=True)
    folder.events.write_bytes(b"".join(map(e.encode, LOGS[request.param])))
    folder.worker_log.write_text("\n".join(POISONS).replace("\n", "").replace("\r", "") + "\nlast line\n")
    (folder.path / "report.json").write_text(json.dumps({"said": POISONS}, ensure_ascii=False), encoding="utf-8")
    return folder.path.parent


@pytest.fixture
def call(runs: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Call:
    def called(command: str, *arguments: str) -> Out:
        with pytest.raises(SystemExit) as ended:
            main([command, "--runs", str(runs), *arguments])
        captured = capfdbinary.readouterr()
        return int(ended.value.code or 0), captured.out.decode(), captured.err.decode()

    return called


def test_no_plain_way_out_lets_anything_through(runs: Path, call: Call, tmp_path: Path) -> None:
    page, tables = tmp_path / "page.html", tmp_path / "tables"
    for command in (
        ("report", NAME), ("report", NAME, "--json"), ("report", NAME, "--html", str(page)), ("runs",),
        ("runs", "--json"), ("replay", NAME, "--speed", "1e9"), ("replay", NAME, "--speed", "1e9", "--json"),
        ("replay", NAME, "--speed", "1e9", "-v"), ("export", NAME, "--to", "csv", "--out", str(tables)),
        ("export", NAME, "--to", "csv", "--out", str(tables), "--json"), ("attach", NAME, "-v"),
        ("send", NAME, "pause"), ("report", "\x1b]0;none\x07\nFAKE"), ("export", NAME, "--to", "\x1b[31m\nFAKE"),
    ):  # fmt: skip
        _code, out, err = call(*command)
        assert not found_in(out), (command, found_in(out))
        if "-v" in command:  # worker.log and tracebacks have lines of their own
            err = err.replace("\nFAKE", "\n")
        assert not found_in(err), (command, found_in(err))
        assert "bug of speedtui" not in err and ("-v" in command or "Traceback" not in err), (command, err)
        if "--json" in command:
            assert all(json.loads(line) for line in out.splitlines()) if command[0] != "report" else json.loads(out)
    shown = page.read_text(encoding="utf-8")
    assert not found_in(shown) and not found_in(html.unescape(shown)) and "<script" not in shown
    for table in tables.glob("*.csv"):
        text = table.read_bytes().decode().replace("\r\n", "\n")
        assert not found_in(text), (table, found_in(text))
        for line in csv.reader(text.splitlines()):
            assert not any(cell.startswith(("=", "+", "@")) or (cell[:1] == "-" and not _number(cell)) for cell in line)


def test_no_alert_tells_a_terminal_or_a_command_anything_but_text() -> None:
    rules = [AlertRules(get_args(AlertKind)) for _ in LOGS]
    alerts = [
        alert for one, log in zip(rules, LOGS.values(), strict=True) for event in log if (alert := one.see(event))
    ]
    assert {alert.kind for alert in alerts} >= {"ended", "failed"}
    for alert in alerts:
        for terminal in ({"TERM": "xterm"}, {"TERM": "foot"}):
            sent = notification(alert.title, alert.text, terminal)
            assert sent[:2] == "\x1b]" and sent[-1] == "\a" and not found_in(sent[2:-1]), sent
        assert not any(found_in(value) for value in variables(alert, "/runs/one").values())


def test_the_columns_of_runs_stand_below_one_another_in_cells(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("20260101-train-ab12", "学習-実行-01", "re\u0301sume\u0301", "ＷＩＤＥ"):
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        folder.events.write_bytes(b"".join(map(e.encode, whole_training(1))))
    with pytest.raises(SystemExit):
        main(["runs", "--runs", str(tmp_path)])
    lines = capfd.readouterr().out.splitlines()
    starts = {cell_len(line[: line.index(" job " if i == 0 else " train ")]) for i, line in enumerate(lines)}
    assert len(lines) == 5 and len(starts) == 1, lines


def _number(text: str) -> bool:
    try:
        return bool(float(text)) or True
    except ValueError:
        return False
