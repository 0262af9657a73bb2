"""Whose files are obeyed: by owner, by rights, by links, and by what a person has named in full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from speedtui.engine.errors import ConfigError, RecipeError, UsageError
from speedtui.engine.trust import VARIABLE, flaw, mine, require, require_program, trusted_arguments, trusting

THEM = 54322
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="files of another user are needed")


def laid(path: Path, mode: int = 0o600, owner: int | None = None) -> Path:
    path.write_text("x")
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner, owner)
    return path


@pytest.mark.parametrize(
    ("mode", "found"),
    [
        (0o600, ""), (0o644, ""), (0o755, ""), (0o444, ""),
        (0o666, "can be written by everybody"), (0o602, "can be written by everybody"),
    ],
)  # fmt: skip
def test_what_everybody_can_write_is_not_obeyed(tmp_path: Path, mode: int, found: str) -> None:
    assert flaw(laid(tmp_path / "file", mode)) == found
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(mode | 0o100)
    assert flaw(tmp_path / "folder") == found


@root_only
def test_what_a_group_can_write_is_obeyed_where_nobody_else_is_in_it(tmp_path: Path) -> None:
    file = laid(tmp_path / "file", 0o664)
    assert flaw(file) == "", "root's own group of that name has no members"
    os.chown(file, 0, THEM)
    assert flaw(file) == "can be written by its group"


@root_only
def test_what_belongs_to_another_user_is_not_obeyed_whatever_its_rights(tmp_path: Path) -> None:
    file = laid(tmp_path / "file", 0o600, THEM)
    assert flaw(file) == f"belongs to uid {THEM}"
    assert not mine(file) and mine(tmp_path)
    with pytest.raises(ConfigError, match=r"speedtui.toml: .*/file belongs to uid") as caught:
        require(file, "speedtui.toml")
    assert caught.value.hint == f"If you trust it, add --trust {file}, or name a folder above it in SPEEDTUI_TRUST"


@root_only
def test_a_link_counts_as_what_it_leads_to_where_a_person_named_or_laid_it_and_as_none_elsewhere(
    tmp_path: Path,
) -> None:
    link, target = tmp_path / "link", laid(tmp_path / "target")
    link.symlink_to(target)
    assert (flaw(link), flaw(link, links=True)) == ("", "")
    os.chown(target, THEM, THEM)
    assert flaw(link) == flaw(link, links=True) == f"belongs to uid {THEM}"
    os.chown(link, THEM, THEM, follow_symlinks=False)
    os.chown(target, 0, 0)
    assert (flaw(link), flaw(link, links=True)) == ("is a link", "")
    with trusting([str(link)]):
        assert (flaw(link), flaw(link, links=True)) == ("", "")


def test_nothing_is_wrong_with_what_is_not_there(tmp_path: Path) -> None:
    assert flaw(tmp_path / "nothing") == flaw(tmp_path / "no" / "thing", links=True) == ""


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_program_is_executed_from_no_folder_into_which_anybody_can_lay_what_it_imports(
    tmp_path: Path, mode: int
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    recipe = laid(folder / "recipe.py")
    require_program(recipe, "model.recipe", RecipeError)
    folder.chmod(mode)
    with pytest.raises(RecipeError, match="can be written by everybody, and programs import") as caught:
        require_program(recipe, "model.recipe", RecipeError)
    with trusting([str(folder)]):
        require_program(recipe, "model.recipe", RecipeError)
    assert caught.value.hint.endswith(f"--trust {folder}")


def test_trust_covers_what_is_below_a_full_path_and_ends_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    beside = laid(tmp_path / "runs-of-theirs", 0o666)
    (tmp_path / "runs").mkdir()
    inside = laid(tmp_path / "runs" / "config.toml", 0o666)
    with trusting([str(tmp_path / "runs")]):
        assert flaw(inside) == "" and flaw(beside)
        with trusting([str(beside)]):
            assert flaw(inside) == flaw(beside) == ""
            assert trusted_arguments() == ["--trust", str(tmp_path / "runs"), "--trust", str(beside)]
    assert trusted_arguments() == []
    assert flaw(inside) and VARIABLE not in os.environ
    for path in ("runs", "./runs", f"{tmp_path}:/", ""):
        with pytest.raises(UsageError, match="is not a full path"), trusting([path]):
            pass
