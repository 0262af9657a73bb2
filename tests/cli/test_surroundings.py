"""A machine that has no room, no permission, or no torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from speedtui.engine.errors import ExitCode
from tests.cli.conftest import Study
from tests.cli.program import Ended, Place, Program

Mount = Iterator[Path]


def mounted(folder: Path, options: str) -> Mount:
    """A file system of its own at the folder."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "speedtui-test", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Mount:
    yield from mounted(tmp_path / "small", "size=256k")


@pytest.fixture
def locked_disk(tmp_path: Path) -> Mount:
    yield from mounted(tmp_path / "locked", "ro")


@pytest.mark.parametrize("command", ["tune", "train", "demo"])
def test_no_room_for_a_run_leaves_nothing_behind(place: Place, small_disk: Path, command: str) -> None:
    ended = place.run(command, "--runs", str(small_disk))
    assert ended.code == ExitCode.USAGE
    assert ended.message == f"{small_disk}: the run's folder cannot be written: No space left on device"
    assert "--runs" in ended.hint
    assert list(small_disk.iterdir()) == []


def test_a_runs_folder_that_may_not_be_written_is_named(place: Place, locked_disk: Path) -> None:
    ended = place.run("tune", "--runs", str(locked_disk / "runs"))
    assert ended.code == ExitCode.USAGE
    assert ended.message == f"{locked_disk / 'runs'}: the run's folder cannot be written: Read-only file system"


def test_a_runs_folder_below_a_file_is_named(place: Place) -> None:
    ended = place.run("tune", "--runs", "train.jsonl/runs")
    assert ended.code == ExitCode.USAGE
    assert ended.message == "train.jsonl/runs: the run's folder cannot be written: Not a directory"


# -- the base install: the screen and the log reader, no torch -------------------------------------


def base_distributions() -> set[str]:
    """speedtui and what it needs without extras, as they are installed here."""
    found, waiting = set(), ["speedtui"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


@pytest.fixture(scope="session")
def base_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the base install alone; its packages are links to those installed here."""
    folder = tmp_path_factory.mktemp("base") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    for name in base_distributions():
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder / "bin" / "python"


def run_base(python: Path, place: Place, *arguments: str) -> Ended:
    return Program([str(python), "-m", "speedtui.tui.cli", *arguments], place.folder).end()


@pytest.mark.parametrize("command", ["tune", "train", "demo"])
def test_without_torch_it_says_what_to_install(base_python: Path, place: Place, command: str) -> None:
    ended = run_base(base_python, place, command)
    assert ended.code == ExitCode.USAGE
    assert ended.message == "torch is not installed"
    assert ended.hint == "pip install 'speedtui[train]'"
    assert place.untouched


def test_without_torch_the_doctor_says_so(base_python: Path, place: Place) -> None:
    (torch,) = (check for check in run_base(base_python, place, "doctor", "--json").lines() if check["name"] == "torch")
    assert torch["status"] != "ok"
    assert "pip install 'torch" in torch["advice"]


def test_without_torch_a_run_of_another_machine_can_be_read(base_python: Path, study: Study) -> None:
    run = study.folder.id
    assert run in run_base(base_python, study.place, "runs").out
    assert "samples/s" in run_base(base_python, study.place, "report", run).out
    assert run_base(base_python, study.place, "replay", run, "--json", "--speed", "100000").out == study.ended.out
