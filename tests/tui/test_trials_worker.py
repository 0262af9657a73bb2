"""The Trials beside a training: whose worker is killed, and what a study takes whose worker trains."""

from __future__ import annotations

from collections.abc import Callable

import builders as b
import builders_trials as bt
import pytest
from builders_states import state_log
from pressing import press, settled
from recorded import RecordedSession

from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import plain
from speedtui.tui.panes.footer import Footer
from speedtui.tui.screens.trials import TrialsScreen

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]


async def test_kill_is_about_the_study_s_worker_and_not_about_the_training_in_front(open_app: OpenApp) -> None:
    study, training = RecordedSession(bt.study()), RecordedSession(b.training_log(200))
    async with open_app(study, start_screen="trials").run_test(size=(140, 40)) as pilot:
        app = pilot.app
        assert isinstance(app, SpeedtuiApp)
        await settled(pilot)
        app.runs.add(training, keep_study=True)
        await press(pilot, "K")
        assert "Trial #5" in " ".join(plain(line) for line in app.screen.query_one(Lines).rows)
        await press(pilot, "down", "enter")
        assert (study.killed, training.killed) == (1, 0)
        app.action_show_screen("monitor")
        await press(pilot, "K", "down", "enter")
        assert (study.killed, training.killed) == (1, 1)


async def test_while_a_demo_trains_its_winner_its_study_takes_nothing_and_says_so_in_grey(open_app: OpenApp) -> None:
    session = RecordedSession(state_log("on-track", "trials"))
    async with open_app(session, start_screen="trials").run_test(size=(140, 40)) as pilot:
        await press(pilot, "a", "A", "d", "enter", "r", "R", "x", "D", "u")
        assert session.commands == [] and isinstance(pilot.app.screen, TrialsScreen)
        spans = [span for row in pilot.app.screen.query_one(Footer).rows for span in row]
        styles = {span.text.strip(): span.style for span in spans}
        assert {styles[key] for key in ("a", "r", "R", "x")} == {"off"} and styles["m"] == "key"
