"""Commands as a person types them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from speedtui.engine.clean import as_typed


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed program that a link on PATH leads to, as pipx has it."""
    installed = tmp_path / "venv" / "bin" / "speedtui"
    installed.parent.mkdir(parents=True)
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    links = tmp_path / "bin"
    links.mkdir()
    (links / "speedtui").symlink_to(installed)
    monkeypatch.setenv("PATH", str(links))
    monkeypatch.chdir(tmp_path)
    return installed


def test_the_program_on_the_path_is_called_by_its_name(program: Path) -> None:
    command = [str(program), "train", "--runs", "/data/my runs", "--resume", "20260101-000000-train-4f1a"]
    assert as_typed(command) == "speedtui train --runs '/data/my runs' --resume 20260101-000000-train-4f1a"


def test_another_program_is_named_whole(program: Path, tmp_path: Path) -> None:
    other = tmp_path / "other env" / "speedtui"
    command = [str(other), "train", "--runs", "/data/my runs", "--resume", "x"]
    assert shlex.split(as_typed(command)) == command
    os.remove(tmp_path / "bin" / "speedtui")
    assert as_typed([str(program), "train"]) == f"{program} train"


def test_no_command_is_none(program: Path) -> None:
    assert as_typed([]) == ""
