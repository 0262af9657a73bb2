"""A trial's settings are kept as a profile of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import builders as b
import pytest
from pressing import settled
from recorded import RecordedSession
from textual.widgets import Input, Static

from speedtui.engine.profile.load import find_profile
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.screens.name import NameScreen
from speedtui.tui.screens.trials import TrialsScreen

OpenApp = Callable[..., SpeedtuiApp]


@pytest.fixture(autouse=True)
def own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "speedtui" / "profiles"


async def test_a_promoted_trial_can_be_saved_under_a_name_instead(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session, start_screen="trials").run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("j", "P", "s")
        await settled(pilot)
        assert isinstance(pilot.app.screen, NameScreen)
        await pilot.press(*"my-own")
        await pilot.press("enter")
        await settled(pilot)
        assert isinstance(pilot.app.screen, TrialsScreen)
        row = session.snapshot().study.row(1)  # type: ignore[union-attr]
    assert session.commands == []
    saved = find_profile("my-own")
    assert row is not None and row.result is not None and row.result.measurement is not None
    assert saved.values == {"train.effective_batch_size": 16, **row.candidate.values}
    assert saved.baseline.tokens_per_second == row.result.measurement.tokens_per_second
    assert saved.own


async def test_a_name_that_is_taken_or_none_is_refused_while_it_is_typed(open_app: OpenApp, own_profiles: Path) -> None:
    async with open_app(b.study_log(), start_screen="trials").run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("j", "P", "s")
        await settled(pilot)
        for text, complaint, way_out in (
            ("fast", "there is a profile fast already", ""), ("No Good", "cannot be named", "Use lower-case letters"),
        ):  # fmt: skip
            pilot.app.screen.query_one(Input).value = text
            await settled(pilot)
            message = str(pilot.app.screen.query_one("#edit-message", Static).content)
            assert complaint in message and way_out in message
            await pilot.press("enter")
            assert isinstance(pilot.app.screen, NameScreen)
        await pilot.press("escape")
        await settled(pilot)
        assert isinstance(pilot.app.screen, TrialsScreen)
    assert not own_profiles.exists()
