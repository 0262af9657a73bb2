"""The plain commands in any locale, with closed descriptors, without a home and with any TERM."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import list_runs
from tests.cli.program import PATIENCE_SECONDS, SCRIPT, Place, pairs
from tests.cli.surroundings import Case, Surroundings, complaints, covering, skip_what_is_missing, surroundings
from tests.cli.test_surroundings import mounted
from tests.tui.pseudo_terminal import Terminal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    folder = tmp_path_factory.mktemp("surroundings")
    yield from (surroundings(folder, home) for home in mounted(folder / "home", "ro"))


def test_every_command_ends_with_its_exit_code_whatever_surrounds_it(made: Surroundings, tmp_path: Path) -> None:
    wrong = [
        text
        for number, case in enumerate(covering(made.factors()))
        for text in complaints(made, tmp_path / str(number), case)
    ]
    assert not wrong, "\n".join(wrong)
    skip_what_is_missing(made)


@pytest.mark.parametrize(
    "case",
    [
        Case("train", "EUC-JP", "stdin", "none", "unset"),
        Case("train", "ISO-8859-1", "stdout", "read-only", "dumb"),
    ],
    ids=lambda case: f"{case.locale}-{case.closed}",
)
def test_a_training_that_is_done_ends_well_whatever_surrounds_it(
    made: Surroundings, tmp_path: Path, case: Case
) -> None:
    place = Place(tmp_path / "here")
    (place.folder / "tmp").mkdir()
    place.configure({"data": {"train": "übung.jsonl"}, "train": {"max_steps": 2}})
    place.write_rows(pairs(16), "übung.jsonl")
    named = "übung.jsonl".encode("latin-1" if case.locale == "ISO-8859-1" else "euc_jp")
    (place.folder / "übung.jsonl").rename(Path(bytes(place.folder).decode(), named.decode("utf-8", "surrogateescape")))
    ended = made.call(place.folder, case, ["train"])
    assert ended.returncode == ExitCode.DONE, ended
    assert b"Traceback" not in ended.stderr
    (run,) = list_runs(place.folder / "runs")
    events = list(read_events(run.events))
    assert isinstance(events[-1], e.RunFinished) and events[-1].outcome == "ok"
    told = [event.text for event in events if isinstance(event, e.Notice) and str(tmp_path / "here/tmp") in event.text]
    assert len(told) == 1 and "are kept in" in told[0]
    if case.closed == "stdout":
        assert (
            ended.stderr.decode().splitlines()[0]
            == f"speedtui: stdout: it is closed; what the job does is in {run.events}"
        )
    else:
        assert "finished" in ended.stdout.decode("euc_jp")


def test_a_terminal_that_only_shows_lines_gets_them_and_a_word(made: Surroundings, tmp_path: Path) -> None:
    for kind, word in (("dumb", b"TERM=dumb says"), ("", b"TERM is not set")):
        folder = tmp_path / f"in {kind}"
        shutil.copytree(made.template, folder)
        command = [str(SCRIPT), "replay", "ab12", "--speed", "1e9", "--runs", str(folder / "runs")]
        terminal = Terminal(command, 80, 24, {"TERM": kind})
        try:
            assert terminal.wait(PATIENCE_SECONDS) == ExitCode.DONE
            assert terminal.sent.count(word) == 1 and b"export TERM=xterm-256color" in terminal.sent
            assert b"\x1b[" not in terminal.sent and b"step" in terminal.sent
        finally:
            terminal.kill()
