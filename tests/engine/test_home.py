"""A process whose person has no home folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from speedtui.engine.errors import UsageError
from speedtui.engine.home import NOWHERE, cache_base, own_home, private_folder, said_of_home
from speedtui.engine.workload.cache import cache_folder

MINE = f"speedtui-{os.geteuid()}"


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody without an account, as the lookup answers for an unknown uid."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    for name in ("HOME", "XDG_CACHE_HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("home", [None, "", "relative", "/nonexistent/at/all", "/proc/version"])
def test_it_gets_a_private_one_and_a_name_for_as_long_as_the_program_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    if home is not None:
        monkeypatch.setenv("HOME", home)
    with own_home():
        assert Path.home() == tmp_path / MINE
        assert (tmp_path / MINE).stat().st_mode & 0o777 == 0o700
        assert os.environ["LOGNAME"] == f"uid{os.geteuid()}"
        assert cache_folder("tokens") == tmp_path / MINE / ".cache/speedtui/tokens"
        assert str(tmp_path / MINE) in said_of_home()
    assert os.environ.get("HOME") == home
    assert "LOGNAME" not in os.environ


def test_a_home_that_is_there_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with own_home():
        assert Path.home() == tmp_path and cache_base() == tmp_path / ".cache"
        assert said_of_home() == ""
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_somebody_else_has_taken_is_not_used(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    taken = tmp_path / MINE
    for take in (lambda: taken.symlink_to(elsewhere), lambda: taken.mkdir(mode=0o777) or taken.chmod(0o777)):
        take()
        with pytest.raises(UsageError, match=MINE):
            private_folder()
        with own_home():
            assert str(Path.home()) == NOWHERE
            assert "nothing is kept" in said_of_home()
        taken.unlink() if taken.is_symlink() else taken.rmdir()
    assert list(elsewhere.iterdir()) == []


def test_a_cache_somebody_asked_for_is_never_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert cache_folder("tokens") == Path("/proc/nowhere/speedtui/tokens")
    assert said_of_home() == ""
