from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own profiles, empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "speedtui" / "profiles"
    folder.mkdir(parents=True)
    return folder
