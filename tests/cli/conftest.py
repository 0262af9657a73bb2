"""A folder to call the program in, and one real study that several tests look at."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from speedtui.engine.runs import RunFolder
from speedtui.tui.cli import main
from tests.cli.program import SETTINGS, WORDS, Ended, Place, Program, pairs

MAIN = """
import atexit, sys
from pathlib import Path
atexit.register(lambda: Path("modules.txt").write_text("\\n".join(sys.modules)))
from speedtui.tui.cli import main
main()
"""
"""What the installed script does; at its end it tells which modules it imported."""


@dataclass(frozen=True)
class Study:
    """A study that came to its end."""

    place: Place
    ended: Ended
    folder: RunFolder
    modules: frozenset[str]
    """Imported by the process that was called."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def call(place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Calls the program in this process."""
    monkeypatch.chdir(place.folder)

    def called(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, captured.out, captured.err)

    return called


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """`speedtui tune --json` on 200 rows, of which one is empty and one is longer than max_length."""
    place = Place(tmp_path_factory.mktemp("study"))
    place.configure({"window": {"length": "1h", "margin": "5m"}})
    rows = pairs(200)
    rows[17]["answer"] = ""
    rows[23]["answer"] = " ".join(WORDS * (SETTINGS["data"]["max_length"] // 4))
    place.write_rows(rows)
    ended = Program([sys.executable, "-c", MAIN, "tune", "--json"], place.folder).end()
    modules = frozenset((place.folder / "modules.txt").read_text().split())
    return Study(place, ended, place.run_folder, modules)
