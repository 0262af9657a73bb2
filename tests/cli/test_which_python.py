"""`make demo` and `make test` take whichever Python is at hand, and say which."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
Choose = Callable[..., "subprocess.CompletedProcess[str]"]
NO_VENV = "no venv"


@pytest.fixture
def choose(tmp_path: Path) -> Choose:
    """Runs the script where these programs, and no other, can be found: each answers as its version would."""

    def run(*named: str, **pythons: str) -> subprocess.CompletedProcess[str]:
        for name, version in pythons.items():
            program = tmp_path / (name.replace("_", ".") if name != "python3" else name)
            code = 1 if version.endswith(NO_VENV) else 0
            program.write_text(f"#!/bin/sh\necho {version.removesuffix(NO_VENV).strip()}\nexit {code}\n")
            program.chmod(0o755)
        command = ["/bin/sh", str(REPOSITORY / ".ci" / "python"), *named]
        return subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(
    ("pythons", "chosen", "version"),
    [
        ({"python3_11": "3.11", "python3_12": "3.12"}, "python3.11", "3.11"),
        ({"python3_12": "3.12"}, "python3.12", "3.12"),
        ({"python3_13": "3.13", "python3": "3.14"}, "python3.13", "3.13"),
        ({"python3": "3.12"}, "python3", "3.12"),
        ({"python3_11": f"3.11 {NO_VENV}", "python3_12": "3.12"}, "python3.12", "3.12"),
    ],
)
def test_the_first_that_is_in_range_and_can_make_an_environment_is_taken_and_named(
    choose: Choose, pythons: dict[str, str], chosen: str, version: str
) -> None:
    done = choose(**pythons)
    assert (done.returncode, done.stdout) == (0, f"{chosen}\n")
    assert done.stderr == f"using {chosen} (Python {version})\n"


def test_the_one_that_is_named_is_taken(choose: Choose) -> None:
    assert choose("python3.13", python3_11="3.11", python3_13="3.13").stdout == "python3.13\n"


def test_without_one_it_is_said_what_is_missing_of_each(choose: Choose) -> None:
    done = choose(python3_12=f"3.12 {NO_VENV}", python3="3.9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "speedtui needs Python 3.11, 3.12 or 3.13 with venv, and there is none:",
        "  python3.11 is not there",
        "  python3.12 is 3.12 and has no venv: on Debian, apt install python3.12-venv",
        "  python3.13 is not there",
        "  python3 is 3.9",
        "Install one, or name it: make PYTHON=/path/to/python3.12",
    ]


def test_the_oldest_is_that_of_the_package_and_the_makefile_asks_the_script() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert re.search(r"\.ci/python \$\(PYTHON\)", (REPOSITORY / "Makefile").read_text())
