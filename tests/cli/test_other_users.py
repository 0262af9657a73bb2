"""Two users of one machine: what the other has laid out is looked at, never obeyed, executed, written or passed on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.runs import UNKNOWN
from tests.cli.other_users import ADVICE, NEW, OLD, THEM

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed whom permissions bind")
REPOSITORY = Path(__file__).parents[2]
REFUSED = 2


@pytest.fixture(scope="module")
def walked() -> Iterator[dict[str, Any]]:
    """What became of each attempt."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        command = [sys.executable, "-m", "tests.cli.other_users", folder]
        yield json.loads(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)


def test_what_the_other_has_laid_out_is_as_it_was(walked: dict[str, Any]) -> None:
    assert walked["changed"] == []
    assert walked["bashrc"] == "mine"
    assert not walked["executed"]
    assert "made" not in walked["home"]


@pytest.mark.parametrize("how", ["report", "report --json", "replay", "html", "csv"])
def test_another_users_run_can_be_looked_at(walked: dict[str, Any], how: str) -> None:
    assert walked[f"look: {how}"]["code"] == 0
    assert walked[f"look: {how}"]["out"]


def test_attaching_to_another_users_run_shows_it_to_its_end(walked: dict[str, Any]) -> None:
    assert "run finished: failed, a reason" in walked["look: attach"]["out"]
    assert walked["look: attach"]["code"] == 1


def test_what_another_users_run_says_is_to_be_typed_is_passed_on_nowhere(walked: dict[str, Any]) -> None:
    assert walked["advice"] == ""
    said = [one["out"] + one["err"] for one in walked.values() if isinstance(one, dict)]
    assert len(said) > 20 and not any(ADVICE in text for text in said)


@pytest.mark.parametrize(
    "how", ["html", "csv", "send", "resume", "resume by name", "stage", "plan", "trial", "config", "recipe", "profile"]
)
def test_acting_on_what_is_another_users_is_refused_in_one_line(walked: dict[str, Any], how: str) -> None:
    said = walked[f"act: {how}"]
    line, hint = said["err"].splitlines()
    assert said["code"] == REFUSED and said["out"] == ""
    assert f"belongs to uid {THEM}" in line
    assert " --trust /" in hint or "--out" in hint


def test_a_session_that_looks_on_sends_and_kills_nothing(walked: dict[str, Any]) -> None:
    for how in ("kill", "command"):
        assert (
            walked[f"act: {how}"].startswith("RunFolderError: ") and f"belongs to uid {THEM}" in walked[f"act: {how}"]
        )


def test_another_users_keys_are_not_taken(walked: dict[str, Any]) -> None:
    assert "all keys are as shipped" in walked["act: keys"]["err"]


def test_a_run_of_ones_own_that_everybody_can_write_is_only_looked_at(walked: dict[str, Any]) -> None:
    said = walked["act: own, but open to all"]
    assert said["code"] == REFUSED and "can be written by everybody" in said["err"]


def test_trust_is_given_by_the_full_path_of_that_very_run_and_follows_no_link(walked: dict[str, Any]) -> None:
    assert [walked[f"trust: {how}"]["code"] for how in ("relative", "another", "links")] == [REFUSED] * 3
    assert "is not a full path" in walked["trust: relative"]["err"]
    assert "is a link" in walked["trust: links"]["err"]
    assert walked["trust: send"]["code"] == 1 and "no answer" in walked["trust: send"]["err"]
    assert json.loads(walked["sent"])["type"] == "stop"


def test_without_a_name_only_runs_of_ones_own_are_chosen(walked: dict[str, Any]) -> None:
    assert [walked[command]["code"] for command in ("report", "export")] == [0, 0]
    assert "run r1 started" in walked["attach"]["out"]
    assert OLD in walked["export"]["out"] and NEW not in walked["export"]["out"]


def test_a_run_that_cannot_be_read_is_one_row_and_breaks_nothing(walked: dict[str, Any]) -> None:
    rows = walked["runs"]["out"].splitlines()[1:]
    assert walked["runs"]["code"] == 0 and len(rows) == 6
    (closed,) = [row for row in rows if row.startswith(f"{NEW}-train-0001")]
    assert "unreadable" in closed and "Permission denied" in closed


def test_of_a_run_whose_lock_may_not_be_read_nobody_says_that_it_goes_on_or_is_over(walked: dict[str, Any]) -> None:
    (row,) = [row for row in walked["runs"]["out"].splitlines() if row.startswith(f"{NEW}-train-0005")]
    assert row.split()[2] == "unknown" and UNKNOWN in row and "step 1 of" in row
    assert walked["unknown: report"]["code"] == 0
    assert walked["unknown: report"]["out"].rstrip().endswith(f"The run has no end yet; {UNKNOWN}.")
    assert walked["unknown: list"] == ["unknown"]
    code, status, lines = walked["unknown: attach"]
    assert (code, status) == (0, "unknown")
    assert [UNKNOWN in line for line in lines].count(True) == 1


def test_what_is_copied_goes_into_a_folder_of_ones_own(walked: dict[str, Any]) -> None:
    foreign, own = walked["copied"]
    assert Path(foreign).parent.name == "home" and OLD in own


def test_a_worker_obeys_only_a_command_file_of_its_own_user(walked: dict[str, Any]) -> None:
    open_to_all, again, closed, own, link, replaced = walked["obeyed"]
    assert "can be written by everybody, so no command is obeyed" in open_to_all
    assert [again, closed] == ["[]", "[]"], "told once, and what was in it meanwhile is not made up for"
    assert own == "[Stop(id='own')]"
    assert "is a link where a file is expected, so no command is obeyed" in link
    assert replaced == "[]"
