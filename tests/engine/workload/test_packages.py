"""What training needs is refused in a line where it is missing or too old."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from speedtui.engine.doctor.packages import check_package
from speedtui.engine.errors import UsageError
from speedtui.engine.workload.packages import OLDEST, numbers, require_training_packages

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def old_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata of a release before the oldest that will do; it is found first."""
    folder = tmp_path / "transformers-5.2.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 5.2.1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def test_a_transformers_that_bills_clipping_wrongly_is_refused(old_transformers: None) -> None:
    with pytest.raises(UsageError, match=r"^transformers 5\.2\.1 is too old: speedtui needs 5\.3 or newer$") as caught:
        require_training_packages()
    assert caught.value.hint == "pip install 'transformers>=5.3'"


def test_the_doctor_says_the_same_of_it(old_transformers: None) -> None:
    check = check_package("transformers")
    assert (check.status, check.found) == ("problem", "5.2.1")
    assert check.advice == "speedtui needs 5.3 or newer: pip install 'transformers>=5.3'"


def test_what_is_installed_here_will_do() -> None:
    require_training_packages()


def test_the_package_asks_for_the_same_versions() -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for package, oldest in OLDEST.items():
        assert f"{package}>={oldest}" in extras["train"]


def test_from_the_oldest_version_on_clipping_is_a_method_that_is_billed_to_the_optimizer() -> None:
    from transformers import Trainer

    assert callable(Trainer._clip_grad_norm)
    assert numbers("5.10.0") > numbers("5.3") > numbers("5.2.9+cpu")
