"""What each key sends, asks or shows."""

from __future__ import annotations

from collections.abc import Callable

import builders as b
import pytest
from pressing import heard, press, settled, until
from recorded import RecordedSession
from textual.command import CommandList

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.text import plain
from speedtui.tui.options import TrainingStart
from speedtui.tui.palette import palette_commands
from speedtui.tui.panes.events import EventsPane
from speedtui.tui.panes.header import Header
from speedtui.tui.panes.trials import TrialsPane
from speedtui.tui.screens.edit import EditScreen
from speedtui.tui.screens.help import HelpScreen
from speedtui.tui.screens.monitor import MonitorScreen
from speedtui.tui.screens.trials import TrialsScreen

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]


def without_ids(sent: list[c.AnyCommand]) -> list[tuple[str, dict[str, object]]]:
    return [(c.command_name(x), {f: getattr(x, f) for f in x.__struct_fields__ if f != "id"}) for x in sent]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("r",), ("run_trial", {"trial": 0})),
        (("down", "down", "r"), ("run_trial", {"trial": 2})),
        (("j", "j", "j", "k", "r"), ("run_trial", {"trial": 2})),
        (("G", "x"), ("stop_trial", {"trial": 7})),
        (("G", "g", "r"), ("run_trial", {"trial": 0})),
        (("j", "j", "j", "j", "j", "x"), ("stop_trial", {"trial": 5})),
        (("D", "y"), ("remove_candidate", {"trial": 0})),
        (("j", "P", "enter"), ("promote", {"trial": 1})),
        (("s", "down", "enter"), ("stop", {})),
    ],
)
async def test_a_key_on_the_trials_sends_its_command(
    keys: tuple[str, ...], expected: tuple[str, dict[str, object]], open_app: OpenApp
) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session, start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, *keys)
        assert without_ids(session.commands) == [expected]


@pytest.mark.parametrize(("key", "expected"), [("space", "pause"), ("e", "evaluate"), ("c", "checkpoint")])
async def test_a_key_on_the_monitor_sends_its_command(key: str, expected: str, open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(200))
    async with open_app(session).run_test(size=(100, 30)) as pilot:
        await press(pilot, key)
        assert [c.command_name(sent) for sent in session.commands] == [expected]


async def test_a_training_is_stopped_only_after_asking(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(200))
    async with open_app(session).run_test(size=(100, 30)) as pilot:
        await press(pilot, "s", "n")
        await press(pilot, "s", "escape")
        await press(pilot, "s", "s", "j", "y", "enter")  # the way of a pasted text, and of an impatient finger
        assert session.commands == []
        await press(pilot, "s", "down", "enter")
        assert [c.command_name(sent) for sent in session.commands] == ["stop"]


async def test_the_same_key_resumes_a_paused_run(open_app: OpenApp) -> None:
    session = RecordedSession([*b.training_log(200), e.Paused(t=130.0)])
    async with open_app(session).run_test() as pilot:
        await press(pilot, "space")
        assert [c.command_name(sent) for sent in session.commands] == ["resume"]


async def test_run_all_is_sent_while_something_waits(open_app: OpenApp) -> None:
    session = RecordedSession(b.idle_study_log())
    async with open_app(session, start_screen="trials").run_test() as pilot:
        await press(pilot, "R")
        assert [c.command_name(sent) for sent in session.commands] == ["run_all"]


async def test_keys_that_make_no_sense_now_do_nothing(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session).run_test() as pilot:
        await press(pilot, "e", "c")
        await press(pilot, "2", "enter", "R")
        assert session.commands == []
        assert isinstance(pilot.app.screen, TrialsScreen)


async def test_deleting_asks_and_enter_keeps(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session, start_screen="trials").run_test() as pilot:
        await press(pilot, "D", "enter")
        await press(pilot, "D", "escape")
        assert session.commands == []


async def test_editing_a_waiting_candidate_sends_its_new_values(open_app: OpenApp) -> None:
    session = RecordedSession(b.idle_study_log())
    async with open_app(session, start_screen="trials").run_test() as pilot:
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, EditScreen)
        await press(pilot, "end", "backspace", "4", "enter")
        assert without_ids(session.commands) == [
            ("edit_candidate", {"trial": 0, "values": {"train.micro_batch_size": 4}})
        ]


async def test_adding_starts_from_the_configuration(open_app: OpenApp) -> None:
    session = RecordedSession(b.idle_study_log())
    async with open_app(session, start_screen="trials").run_test() as pilot:
        await press(pilot, "a", "enter")
        assert without_ids(session.commands) == [
            ("add_candidate", {"values": {"train.micro_batch_size": 1}, "queued": False})
        ]


async def test_duplicating_starts_from_the_candidate(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session, start_screen="trials").run_test() as pilot:
        await press(pilot, "j", "j", "d", "enter")
        assert without_ids(session.commands) == [
            ("add_candidate", {"values": {"train.micro_batch_size": 4}, "queued": False})
        ]


async def test_a_value_that_cannot_be_used_is_not_saved_and_says_why(open_app: OpenApp) -> None:
    session = RecordedSession(b.idle_study_log())
    async with open_app(session, start_screen="trials").run_test() as pilot:
        await press(pilot, "a", "end", "backspace", "5", "enter")
        assert session.commands == []
        assert isinstance(pilot.app.screen, EditScreen)
        message = str(pilot.app.screen.query_one("#edit-message").render())
        assert "train.micro_batch_size 5 does not divide train.effective_batch_size 16" in message
        assert "Take one of 1, 2, 4, 8, 16." in message
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, TrialsScreen)


async def test_typing_in_the_last_line_opens_another(open_app: OpenApp) -> None:
    session = RecordedSession(b.idle_study_log())
    async with open_app(session, start_screen="trials").run_test() as pilot:
        await press(pilot, "a", "down", *"bf16", "space", "equals_sign", "space", *"true")
        assert len(pilot.app.screen.query("Input")) == 3
        await press(pilot, "enter")
        assert without_ids(session.commands)[0][1]["values"] == {"train.micro_batch_size": 1, "train.bf16": True}


async def test_the_number_keys_change_the_screen(open_app: OpenApp) -> None:
    async with open_app(b.study_log()).run_test() as pilot:
        await press(pilot, "2")
        assert isinstance(pilot.app.screen, TrialsScreen)
        await press(pilot, "1")
        assert isinstance(pilot.app.screen, MonitorScreen)


@pytest.mark.parametrize("close", ["question_mark", "escape", "q"])
async def test_help_opens_and_closes(close: str, open_app: OpenApp) -> None:
    async with open_app(b.study_log()).run_test() as pilot:
        await press(pilot, "question_mark")
        assert isinstance(pilot.app.screen, HelpScreen)
        await press(pilot, close)
        assert isinstance(pilot.app.screen, MonitorScreen)


async def test_the_rate_goes_down_and_up_in_steps(open_app: OpenApp) -> None:
    async with open_app(b.study_log()).run_test(size=(140, 40)) as pilot:
        for key, shown in (("[", "1 Hz"), ("[", "0.5 Hz"), ("]", "1 Hz"), ("]", "2 Hz"), ("]", "5 Hz"), ("]", "5 Hz")):
            await press(pilot, key)
            assert shown in plain(pilot.app.screen.query_one(Header).rows[0])


async def test_a_frozen_screen_stays_as_it_is_until_it_is_let_go(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(200))
    async with open_app(session, rate_hz=5.0).run_test(size=(140, 40)) as pilot:
        await press(pilot, "f")
        before = list(pilot.app.screen.query_one("#deadline").rows)  # type: ignore[attr-defined]
        await heard(pilot, session, b.coalesced(300.0, 400, 1, loss=2.0), b.eta(300.0, 400))
        assert pilot.app.screen.query_one("#deadline").rows == before  # type: ignore[attr-defined]
        assert "frozen" in plain(pilot.app.screen.query_one(Header).rows[0])
        await press(pilot, "f")
        assert pilot.app.screen.query_one("#deadline").rows != before  # type: ignore[attr-defined]


async def test_movement_on_the_monitor_scrolls_the_events(open_app: OpenApp) -> None:
    async with open_app(b.training_log()).run_test(size=(100, 30)) as pilot:
        events = pilot.app.screen.query_one(EventsPane)
        newest = events.top_text
        await press(pilot, "j", "down")
        assert "2 newer" in plain(events.rows[0]) and events.top_text != newest
        await press(pilot, "g")
        assert "newer" not in plain(events.rows[0]) and events.top_text == newest


async def test_the_cursor_stays_on_its_candidate_when_rows_come_and_go(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session, start_screen="trials", rate_hz=5.0).run_test() as pilot:
        await press(pilot, "j", "j")
        done = e.TrialFinished(t=101.0, trial=5, result=b.ok_result(0.5, 38.0))
        await heard(pilot, session, e.CandidateRemoved(t=100.0, trial=0), done)
        assert pilot.app.screen.query_one(TrialsPane).selected == 2
        await heard(pilot, session, e.CandidateRemoved(t=102.0, trial=2), e.StudyFinished(t=103.0, best=3))
        assert pilot.app.screen.query_one(TrialsPane).selected == 1


async def test_a_click_selects_a_row(open_app: OpenApp) -> None:
    async with open_app(b.study_log(), start_screen="trials").run_test() as pilot:
        await settled(pilot)
        await pilot.click(TrialsPane, offset=(10, 4))
        await settled(pilot)
        assert pilot.app.screen.query_one(TrialsPane).selected == 3


async def test_the_palette_has_the_commands_of_the_screen(open_app: OpenApp) -> None:
    async with open_app(b.study_log(), start_screen="trials").run_test() as pilot:
        await settled(pilot)
        titles = [command.words for command in palette_commands(pilot.app)]  # type: ignore[arg-type]
        assert "evaluate now" not in titles
        assert titles[0] == "add a candidate"
        assert 0 < titles.index("this help") < titles.index("Monitor: evaluate now")


async def test_the_palette_runs_what_is_chosen_and_finds_a_command_by_its_key(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(200))
    async with open_app(session).run_test(size=(80, 24)) as pilot:
        await press(pilot, "colon", *"checkpoint")
        rows = pilot.app.screen.query_one(CommandList).options
        assert str(rows[0].prompt).split() == ["save", "a", "checkpoint", "now", "c"]
        await press(pilot, "enter")
        await press(pilot, "colon", "e")
        await press(pilot, "enter")
        assert [c.command_name(sent) for sent in session.commands] == ["checkpoint", "evaluate"]


async def test_a_refused_command_of_this_screen_is_notified_and_others_are_not(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session, start_screen="trials", rate_hz=5.0).run_test() as pilot:
        await press(pilot, "r")
        own = e.CommandRefused(t=100.0, id=session.commands[0].id, command="run_trial", reason="#0 is running")
        other = e.CommandRefused(t=100.0, id="somebody else's", command="pause", reason="not ours")
        await heard(pilot, session, own, other)
        assert [note.message for note in pilot.app._notifications] == ["#0 is running"]


async def test_a_run_that_is_only_shown_takes_no_commands(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session, start_screen="trials", read_only=True).run_test() as pilot:
        await press(pilot, "r", "s")
        await press(pilot, "a")
        await press(pilot, "D")
        assert session.commands == []
        assert isinstance(pilot.app.screen, TrialsScreen)


async def test_promoting_can_start_the_training_once_the_study_has_ended(open_app: OpenApp) -> None:
    study, training = RecordedSession(b.study_log(finished=True)), RecordedSession(b.training_log(100))
    asked: list[tuple[str, int | None]] = []

    def train(wanted: TrainingStart) -> RecordedSession:
        asked.append((wanted.config_file, wanted.trial))
        return training

    async with open_app(study, start_screen="trials", rate_hz=5.0, train=train).run_test(size=(120, 40)) as pilot:
        await press(pilot, "G", "P", "t")
        assert [c.command_name(sent) for sent in study.commands] == ["promote"]
        await heard(pilot, study, e.TrialPromoted(t=300.0, trial=7, config_file="promoted.toml"))
        assert [c.command_name(sent) for sent in study.commands] == ["promote", "finish"]
        assert asked == []
        study.hear(e.RunFinished(t=301.0, outcome="ok", exit_code=0))
        study.end()
        await until(pilot, lambda: asked and isinstance(pilot.app.screen, MonitorScreen))
        assert asked == [("promoted.toml", 7)]
        assert pilot.app.front.session is training  # type: ignore[attr-defined]
        await press(pilot, "2")
        assert "mb8 ga2 +bf16" in "\n".join(plain(line) for line in pilot.app.screen.query_one(TrialsPane).rows)
        assert TrialStatus.OK.value in plain(pilot.app.screen.query_one(TrialsPane).rows[1])
