"""`speedtui report`: from the event log alone, for a run that was killed, too."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.context.order import Order, write_order
from speedtui.engine.locks import hold_lock
from speedtui.engine.report.document import PAGE_NAME, write_run_report
from speedtui.engine.runs import RunFolder
from speedtui.tui.cli import main
from tests.engine.report.sample_runs import estimate, killed_training, study_alone, whole_training


class Ended:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(["report", "--runs", str(tmp_path / "runs"), *arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(int(ended.value.code), captured.out, captured.err)

    return call


def recorded(tmp_path: Path, events: Sequence[e.AnyEvent], order: Order | None = None) -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "20260528-train-ab12")
    folder.path.mkdir(parents=True)
    folder.events.write_bytes(b"".join(e.encode(event) for event in events))
    if order is not None:
        write_order(folder, order)
    return folder


def ordered(seconds: float) -> Order:
    return Order(
        job="train", started_at=0.0, profile="balanced", estimate=estimate(seconds), train_command=["speedtui", "train"]
    )


def test_a_run_is_told_from_its_log_alone(tmp_path: Path, run: Run) -> None:
    recorded(tmp_path, whole_training(2))
    ended = run("ab12")
    assert ended.code == 0 and ended.err == ""
    assert "training    120 steps" in ended.out
    assert "where the time went" in ended.out
    assert "estimate    none before the run" in ended.out


def test_what_it_was_ordered_with_is_held_against_what_it_took(tmp_path: Path, run: Run) -> None:
    recorded(tmp_path, whole_training(2), ordered(140.0))
    assert "of 95-105 %" in run().out
    document = json.loads(run("--json").out)
    assert document["profile"] == "balanced"
    assert document["accuracy"] == pytest.approx(140.0 / document["actual"]["seconds"], abs=1e-3)


def test_a_killed_run_has_its_report_and_says_how_to_go_on(tmp_path: Path, run: Run) -> None:
    folder = recorded(tmp_path, killed_training(2), ordered(300.0))
    with folder.events.open("ab") as file:
        file.write(b'{"v":1,"type":"step_comp')
    ended = run("ab12")
    assert ended.code == 0
    assert "150 of 1,200 steps" in ended.out and "without an end" in ended.out
    assert "its worker was killed" in ended.out and "--resume 20260528-train-ab12" in ended.out
    document = json.loads(run("--json", "ab12").out)
    assert (document["outcome"], document["accuracy"], document["steps"]["done"]) == (None, None, 150)


def test_a_run_that_goes_on_says_so(tmp_path: Path, run: Run) -> None:
    folder = recorded(tmp_path, killed_training(1))
    with hold_lock(folder.worker_lock):
        out = run().out
    assert "The run goes on" in out and "killed" not in out


def test_html_goes_into_the_runs_folder_or_where_it_is_told(tmp_path: Path, run: Run) -> None:
    folder = recorded(tmp_path, whole_training(2))
    assert run("ab12", "--html").out == f"{folder.path / PAGE_NAME}\n"
    elsewhere = tmp_path / "mine.html"
    assert run("--html", str(elsewhere), "ab12").out == f"{elsewhere}\n"
    assert elsewhere.read_text() == (folder.path / PAGE_NAME).read_text()
    assert json.loads(run("--json", "ab12", "--html", str(elsewhere)).out) == {"html": str(elsewhere)}
    assert run("ab12", "--html", str(tmp_path)).out == f"{tmp_path / '20260528-train-ab12.html'}\n"
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".new")]


def test_a_study_has_a_page_and_the_json_that_it_wrote(tmp_path: Path, run: Run) -> None:
    folder = recorded(tmp_path, study_alone())
    missing = run("--json", "ab12")
    assert missing.code == 2 and "has no report.json yet" in missing.err
    (folder.path / "report.json").write_text('{"trial": 1}\n')
    assert run("--json", "ab12").out == '{"trial": 1}\n'
    assert run("--html").code == 0
    assert "Trials" in (folder.path / PAGE_NAME).read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere"], "nowhere: no run of that name"),
        (["ab12", "--html", "/nowhere/at/all/report.html"], "/nowhere/at/all/report.html: cannot be written"),
        (["--colour"], "No such option"),
        (["ab12", "more"], "Got unexpected extra argument"),
    ],
)
def test_what_cannot_be_reported_is_refused(tmp_path: Path, run: Run, arguments: list[str], complaint: str) -> None:
    recorded(tmp_path, whole_training(1))
    ended = run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"speedtui: {complaint}")


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b'{"v":1,"type":"moon_landed","t":1.0}\n'])
def test_a_log_without_a_run_is_refused(tmp_path: Path, run: Run, content: bytes) -> None:
    recorded(tmp_path, []).events.write_bytes(content)
    ended = run("ab12")
    assert ended.code == 2 and "no run is told in it" in ended.err


def test_an_order_that_cannot_be_read_is_done_without(tmp_path: Path, run: Run) -> None:
    recorded(tmp_path, whole_training(1)).order.write_text("{")
    assert "training    60 steps" in run("ab12").out


def test_both_files_are_written_at_the_end_and_a_reason_given_where_they_cannot_be(tmp_path: Path) -> None:
    folder = recorded(tmp_path, whole_training(2), ordered(140.0))
    assert write_run_report(folder) == {}
    document = json.loads((folder.path / "report.json").read_text())
    assert document["run"] == "20260528-train-t5" and document["estimate"]["p50_seconds"] == 140.0
    assert "t5-small" in (folder.path / PAGE_NAME).read_text()
    (folder.path / PAGE_NAME).unlink()
    (folder.path / PAGE_NAME).mkdir()
    assert list(write_run_report(folder)) == [str(folder.path / PAGE_NAME)]
