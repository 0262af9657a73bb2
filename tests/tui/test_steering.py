"""Levers and the schedule: what is asked, sent to this run and written for the next one; what is told meanwhile."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import builders as b
import msgspec
import pytest
from pressing import heard, press, settled
from recorded import RecordedSession
from textual.pilot import Pilot
from textual.widgets import Input

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.config.load import load_settings
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.draft.draft import Draft
from speedtui.tui.draft.front_draft import draft_editor
from speedtui.tui.drawing.text import plain
from speedtui.tui.panes.deadline import DeadlinePane
from speedtui.tui.panes.header import Header
from speedtui.tui.screens.confirm import Question
from speedtui.tui.screens.edit import EditScreen
from speedtui.tui.screens.levers import LeversScreen
from speedtui.tui.screens.monitor import MonitorScreen

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]
LATE = b.late_training_log()
EVERY = "schedule.eval_every"


async def edit(pilot: Pilot[None], *lines: str) -> None:
    """Opens the schedule and writes over the lines of these settings."""
    await press(pilot, "S")
    for line in lines:
        name = line.partition(" ")[0]
        field = next(field for field in pilot.app.screen.query(Input) if field.value.startswith(f"{name} ="))
        field.value = line
    await settled(pilot)


def draft(pilot: Pilot[None]) -> Draft:
    app = pilot.app
    assert isinstance(app, SpeedtuiApp)
    found = draft_editor(app).draft
    assert found is not None
    return found


def sets(session: RecordedSession) -> list[dict[str, object]]:
    return [dict(sent.values) for sent in session.commands if isinstance(sent, c.Set)]


def said(app: SpeedtuiApp) -> list[str]:
    return [f"{note.title}: {note.message}" for note in app._notifications]


async def test_the_lever_chosen_is_set_after_asking_once(open_app: OpenApp) -> None:
    session = RecordedSession(LATE)
    async with open_app(session).run_test(size=(100, 30)) as pilot:
        await press(pilot, "l")
        assert isinstance(pilot.app.screen, LeversScreen)
        await press(pilot, "down", "enter")
        assert isinstance(pilot.app.screen, Question) and session.commands == []
        await press(pilot, "enter")
        assert sets(session) == [{"schedule.generate": False, "schedule.metric": ""}]


@pytest.mark.parametrize("keys", [("escape",), ("enter", "escape"), ("enter", "n")])
async def test_a_lever_that_is_not_confirmed_is_not_set(keys: tuple[str, ...], open_app: OpenApp) -> None:
    session = RecordedSession(LATE)
    async with open_app(session).run_test(size=(100, 30)) as pilot:
        await press(pilot, "l", *keys)
        assert session.commands == [] and isinstance(pilot.app.screen, MonitorScreen)


async def test_a_run_that_is_in_time_has_no_levers_to_open(open_app: OpenApp) -> None:
    async with open_app(b.training_log()).run_test(size=(100, 30)) as pilot:
        await press(pilot, "l")
        assert isinstance(pilot.app.screen, MonitorScreen)


async def test_levers_of_a_run_that_is_only_shown_can_be_read_and_not_applied(open_app: OpenApp) -> None:
    session = RecordedSession(LATE)
    async with open_app(session, read_only=True).run_test(size=(100, 30)) as pilot:
        await press(pilot, "l", "enter")
        assert isinstance(pilot.app.screen, MonitorScreen) and session.commands == []
        assert any("only shown" in text for text in said(pilot.app))  # type: ignore[arg-type]


async def test_the_schedule_opens_as_it_is_now_with_what_was_changed_on_the_way(open_app: OpenApp) -> None:
    changed = e.SettingsChanged(t=LATE[-1].t, step=7578, values={"schedule.eval_every": "3 epochs"}, reason="command")
    async with open_app([*LATE, changed]).run_test(size=(100, 30)) as pilot:
        await press(pilot, "S")
        lines = [field.value for field in pilot.app.screen.query(Input)]
        assert lines[:4] == ["eval_every = 3 epochs", "fast_eval_every = 600 steps", "eval_share =", "generate = true"]
        assert "patience =" in lines and "keep_checkpoints = 3" in lines
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, MonitorScreen)


async def test_a_changed_schedule_is_set_in_this_run_only_when_that_is_asked_for(open_app: OpenApp) -> None:
    session = RecordedSession(LATE)
    async with open_app(session).run_test(size=(100, 30)) as pilot:
        await edit(pilot, "eval_every = 2400", "metric =", "patience = 4")
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, Question) and session.commands == []
        await press(pilot, "t")
        assert sets(session) == [{"schedule.eval_every": "2400 steps", "schedule.metric": "", "schedule.patience": 4}]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("eval_every = often", "expected 200 steps, 1 epoch, 30m or never, got 'often'"),
        ("eval_share = 2", "schedule.eval_share must be between 0 and 1"),
        ("beams = two", "schedule.beams: expected a whole number, got 'two'"),
        ("generate = false", "Set schedule.generate = true, or remove the metric."),
        ("weight_decay = 0.1", "train.weight_decay cannot be changed while a run goes on"),
        ("patient = 3", "patient is not a setting; did you mean schedule.patience?"),
    ],
)
async def test_what_cannot_be_used_is_refused_while_it_is_typed_with_what_was_expected(
    line: str, complaint: str, open_app: OpenApp
) -> None:
    async with open_app(LATE).run_test(size=(100, 30)) as pilot:
        await press(pilot, "S")
        fields = list(pilot.app.screen.query(Input))
        name = line.partition(" ")[0]
        next((field for field in fields if field.value.startswith(f"{name} =")), fields[-1]).value = line
        await settled(pilot)
        message = str(pilot.app.screen.query_one("#edit-message").render())
        assert complaint in " ".join(message.split())
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, EditScreen)


async def test_the_next_run_is_written_beside_this_one_and_never_over_another(
    open_app: OpenApp, tmp_path: Path
) -> None:
    session = RecordedSession(LATE, folder=tmp_path)
    async with open_app(session).run_test(size=(140, 40)) as pilot:
        for every in ("2400 steps", "3600 steps"):
            await edit(pilot, f"eval_every = {every}", "generate = false", "metric =")
            await press(pilot, "enter", "enter")
            told = pilot.app.screen
            assert isinstance(told, Question)
            shown = " ".join(plain(line) for line in told.body(200))
            assert str(tmp_path) in shown and "speedtui train --config" in shown
            await press(pilot, "enter")
    assert session.commands == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["next-2.toml", "next.toml"]
    first, second = load_settings(tmp_path / "next.toml"), load_settings(tmp_path / "next-2.toml")
    assert (first.schedule.eval_every, second.schedule.eval_every) == ("2400 steps", "3600 steps")
    assert first.schedule.generate is False and first.train.effective_batch_size == 16
    assert tomllib.loads((tmp_path / "next.toml").read_text())["model"]["path"] == "Qwen/Qwen2.5-0.5B"


async def test_the_schedule_is_that_of_the_draft_that_the_plan_shows(open_app: OpenApp, tmp_path: Path) -> None:
    session = RecordedSession(LATE, folder=tmp_path)
    async with open_app(session).run_test(size=(140, 40)) as pilot:
        await press(pilot, "3", "right", "down", "left", "1", "S")
        values = [field.value for field in pilot.app.screen.query(Input)]
        changed = draft(pilot).values()
        assert set(changed) == {"train.epochs", "schedule.eval_every"} and f"eval_every = {changed[EVERY]}" in values
        await press(pilot, "escape")
        await edit(pilot, "patience = 4")
        await press(pilot, "enter")
        question = pilot.app.screen
        assert isinstance(question, Question) and "also changes epochs" in question._text
        await press(pilot, "t")
        assert sets(session) == [{EVERY: changed[EVERY], "schedule.patience": 4}]
        assert draft(pilot).values() == {**changed, "schedule.patience": 4}
        changed_here = e.SettingsChanged(t=LATE[-1].t, step=7579, values=sets(session)[0], reason="command")
        await heard(pilot, session, changed_here)
        await press(pilot, "3")
        assert list(draft(pilot).values()) == ["train.epochs"]


async def test_what_is_typed_back_is_no_change_of_the_draft_any_more(open_app: OpenApp) -> None:
    async with open_app(LATE).run_test(size=(140, 40)) as pilot:
        await press(pilot, "3", "down", "left", "1")
        before = draft(pilot).base.schedule.eval_every
        assert list(draft(pilot).values()) == [EVERY]
        await edit(pilot, f"eval_every = {before}")
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, MonitorScreen) and draft(pilot).values() == {}


@pytest.mark.parametrize("over", ["read only", "ended"])
async def test_a_run_that_follows_no_commands_offers_the_next_run_alone(
    over: str, open_app: OpenApp, tmp_path: Path
) -> None:
    session = RecordedSession(LATE, folder=tmp_path)
    async with open_app(session, read_only=over == "read only").run_test(size=(100, 30)) as pilot:
        if over == "ended":
            session.end()
        await edit(pilot, "eval_every = 2400 steps")
        await press(pilot, "enter", "t")
        assert isinstance(pilot.app.screen, Question) and session.commands == []
        await press(pilot, "n")
    assert (tmp_path / "next.toml").exists()


async def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_left(open_app: OpenApp) -> None:
    session = RecordedSession(LATE, folder=Path("/nonexistent"))
    async with open_app(session).run_test(size=(100, 30)) as pilot:
        await edit(pilot, "eval_every = 2400 steps")
        await press(pilot, "enter", "n")
        assert isinstance(pilot.app.screen, MonitorScreen)
        assert any("next.toml: cannot be written" in text for text in said(pilot.app))  # type: ignore[arg-type]


async def test_a_flip_of_the_verdict_is_told_once_with_the_finish_and_what_is_missing(open_app: OpenApp) -> None:
    log = b.training_log(7578, verdict="on_track")
    session, t = RecordedSession(log), log[-1].t
    app = open_app(session, rate_hz=5.0)
    async with app.run_test(size=(100, 30)) as pilot:
        await heard(pilot, session)
        assert said(app) == []
        for i in range(1, 4):
            await heard(pilot, session, b.eta(t + i, 7578, "late"))
        assert said(app) == ["Late: Finish 04:04, 1h 04m after 03:00, the latest safe one."]
        await heard(pilot, session, b.eta(t + 4, 7578, "measuring"))
        await heard(pilot, session, b.eta(t + 5, 7578, "on_track"))
        assert said(app)[1:] == ["On track: Finish 02:04, 55m to spare before 03:00, the latest safe one."]


async def test_a_command_is_said_to_be_sent_until_its_answer_which_is_told(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(200))
    app = open_app(session, rate_hz=5.0)
    async with app.run_test(size=(140, 40)) as pilot:
        await press(pilot, "e")
        await heard(pilot, session)
        assert "evaluate sent" in plain(app.screen.query_one(Header).rows[0])
        answer = e.CommandApplied(t=130.0, id=session.commands[0].id, command="evaluate", detail="after this step")
        await heard(pilot, session, e.CommandReceived(t=130.0, id=answer.id, command="evaluate"), answer)
        assert "sent" not in plain(app.screen.query_one(Header).rows[0])
        assert any("evaluate: after this step" in text for text in said(app))


@pytest.mark.parametrize(("size", "rows"), [((80, 24), 5), ((140, 40), 7), ((40, 6), 4)])
async def test_the_deadline_gets_a_row_for_what_needs_a_person_and_gives_it_back(
    size: tuple[int, int], rows: int, open_app: OpenApp
) -> None:
    session = RecordedSession(LATE)
    app = open_app(session, rate_hz=5.0)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        pane = app.screen.query_one(DeadlinePane)
        assert pane.size.height == rows
        await heard(pilot, session, e.LeversFound(t=LATE[-1].t + 1, levers=[], short_seconds=0.0))
        assert pane.size.height == max(4, rows - 1)


async def test_levers_that_are_found_while_the_screen_is_open_appear_by_themselves(open_app: OpenApp) -> None:
    found = LATE[-1]
    assert isinstance(found, e.LeversFound)
    session = RecordedSession(LATE[:-1])
    app = open_app(session, rate_hz=5.0)
    async with app.run_test(size=(100, 30)) as pilot:
        await heard(pilot, session, msgspec.structs.replace(found, t=found.t + 1))
        shown = "\n".join(plain(line) for line in app.screen.query_one(DeadlinePane).rows)
        assert "saves 1h 10m" in shown
