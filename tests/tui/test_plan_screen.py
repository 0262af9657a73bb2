"""The Plan by its keys: what each one does to the next run, what is asked, written, sent and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import builders as b
import builders_plan as bp
import msgspec
import pytest
from pressing import press
from recorded import RecordedSession
from textual.pilot import Pilot
from textual.widgets import Input, Static

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.settings import Settings
from speedtui.engine.profile.apply import values_of
from speedtui.engine.profile.load import find_profile
from speedtui.engine.session.base import Session
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.draft.draft import Draft
from speedtui.tui.draft.front_draft import draft_editor
from speedtui.tui.draft.schedule_edit import settings_now
from speedtui.tui.drawing.text import plain
from speedtui.tui.options import TrainingStart
from speedtui.tui.panes.plan_pane import PlanPane
from speedtui.tui.screens.confirm import Question
from speedtui.tui.screens.monitor import MonitorScreen
from speedtui.tui.screens.plan import PlanScreen
from speedtui.tui.screens.profiles import ProfilesScreen

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]
TICK = 0.7
"""At two redraws a second."""
EVERY = "schedule.eval_every"


@pytest.fixture(autouse=True)
def own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def draft(pilot: Pilot[None]) -> Draft:
    app = pilot.app
    assert isinstance(app, SpeedtuiApp)
    found = draft_editor(app).draft
    assert found is not None
    return found


def shown(pilot: Pilot[None], pane: str) -> str:
    return "\n".join(plain(line) for line in pilot.app.screen.query_one(f"#plan-{pane}", PlanPane).rows)


def said(pilot: Pilot[None]) -> str:
    return " ".join(note.message for note in pilot.app._notifications)


async def test_arrows_move_over_the_settings_and_change_them(open_app: OpenApp) -> None:
    async with open_app(bp.training(), start_screen="plan").run_test(size=(140, 40)) as pilot:
        await press(pilot, "down", "left")
        assert draft(pilot).values() == {EVERY: "1000 steps"}
        await press(pilot, "l", "l")
        assert draft(pilot).values() == {EVERY: "1500 steps"}
        await press(pilot, "H")
        assert draft(pilot).values() == {EVERY: "150 steps"}
        assert "120 × 14.2 s" in shown(pilot, "fields")
        await press(pilot, "L", "k", "right")
        assert draft(pilot).values() == {EVERY: "1500 steps", "train.max_steps": 20_000}
        await press(pilot, "end")
        assert "›max length" in shown(pilot, "fields")


async def test_the_result_follows_every_key(open_app: OpenApp) -> None:
    async with open_app(bp.training(), start_screen="plan").run_test(size=(80, 24)) as pilot:
        await press(pilot)
        assert "ON TRACK" in shown(pilot, "result") and "total 2h 08m of 3h 20m" in shown(pilot, "result")
        await press(pilot, "right", "right", "right", "right")
        assert "LATE" in shown(pilot, "result")
        await press(pilot, "U")
        assert "ON TRACK" in shown(pilot, "result") and draft(pilot).diff() == []


async def test_undo_reset_and_reset_all(open_app: OpenApp) -> None:
    async with open_app(bp.training(), start_screen="plan").run_test(size=(80, 24)) as pilot:
        await press(pilot, "right", "down", "left", "left")
        assert set(draft(pilot).values()) == {EVERY, "train.max_steps"}
        await press(pilot, "u")
        assert draft(pilot).values()[EVERY] == "1000 steps"
        await press(pilot, "0")
        assert list(draft(pilot).values()) == ["train.max_steps"]
        await press(pilot, "U", "u")
        assert list(draft(pilot).values()) == ["train.max_steps"]


async def test_space_turns_a_setting_on_and_off(open_app: OpenApp) -> None:
    async with open_app(bp.training(), start_screen="plan").run_test(size=(140, 40)) as pilot:
        await press(pilot, *["down"] * 8, "space")
        assert draft(pilot).values() == {"schedule.save_only_best": True}
        await press(pilot, "space")
        assert draft(pilot).values() == {}


async def test_a_value_is_typed_and_checked_with_the_words_of_the_file(open_app: OpenApp) -> None:
    async with open_app(bp.training(), start_screen="plan").run_test(size=(100, 30)) as pilot:
        await press(pilot, "down", "enter")
        field = pilot.app.screen.query(Input).first()
        assert field.value == "schedule.eval_every = 1200 steps"
        field.value = "schedule.eval_every = now and then"
        await press(pilot, "enter")
        assert "expected 200 steps, 1 epoch, 30m or never" in str(
            pilot.app.screen.query_one("#edit-message", Static).content
        )
        field.value = "eval_every = 450"
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, PlanScreen) and draft(pilot).values() == {EVERY: "450 steps"}


async def test_enter_takes_a_frequency_a_schedule_and_a_profile(open_app: OpenApp) -> None:
    async with open_app(bp.planned_log(), start_screen="plan").run_test(size=(140, 40)) as pilot:
        await press(pilot, "tab", "tab", "enter")
        assert draft(pilot).layers.edits[EVERY] == "300 steps"
        await press(pilot, "u", "tab", "down", "down", "enter")
        assert draft(pilot).layers.edits["schedule.checkpoint_every"] == "never"
        await press(pilot, "u", "shift+tab", "shift+tab", "shift+tab", "down", "down", "enter")
        assert draft(pilot).profile == "balanced" and draft(pilot).values() == {"train.micro_batch_size": 4}


async def test_a_plan_opens_with_the_profile_that_it_is_for(open_app: OpenApp) -> None:
    async with open_app(bp.planned_log(), start_screen="plan").run_test(size=(140, 40)) as pilot:
        await press(pilot)
        assert draft(pilot).profile == "fast" and draft(pilot).values() == {"train.micro_batch_size": 8}
        text = shown(pilot, "profiles")
        for words in ("● fast", "○ balanced", "! tight", "✗ late", "✗ memory", "1 day old", "~6h 11m"):
            assert words in text, words


async def test_goal_seek_takes_the_most_that_still_fits(open_app: OpenApp) -> None:
    async with open_app(bp.training(), start_screen="plan").run_test(size=(100, 30)) as pilot:
        await press(pilot, "g")
        assert isinstance(pilot.app.screen, Question)
        await press(pilot, "s")
        steps = draft(pilot).values()["train.max_steps"]
        assert isinstance(steps, int) and steps > 20_000
        assert "ON TRACK" in shown(pilot, "result")
        await press(pilot, "right")
        assert "ON TRACK" not in shown(pilot, "result")


async def test_goal_seek_without_a_window_says_what_is_missing(open_app: OpenApp) -> None:
    log = bp.training(window={"length": None, "margin": "0s"})
    async with open_app(log, start_screen="plan").run_test(size=(100, 30)) as pilot:
        await press(pilot, "g")
        assert isinstance(pilot.app.screen, PlanScreen) and "no window" in said(pilot)


async def test_what_is_written_loads_and_holds_exactly_the_changes(open_app: OpenApp, tmp_path: Path) -> None:
    session = RecordedSession(bp.training(), folder=tmp_path)
    async with open_app(session, start_screen="plan").run_test(size=(100, 30)) as pilot:
        await press(pilot, "w")
        assert isinstance(pilot.app.screen, PlanScreen) and not list(tmp_path.glob("next*"))
        await press(pilot, "down", "left", "w")
        assert isinstance(pilot.app.screen, Question)
        assert "speedtui train --config" in pilot.app.screen._text
    written = tmp_path / "next.toml"
    assert values_of(load_settings(written), settings_now(session.snapshot())) == {EVERY: "1000 steps"}
    assert "#   schedule.eval_every: 1200 steps -> 1000 steps" in written.read_text()
    assert session.commands == []


async def test_writing_twice_overwrites_nothing(open_app: OpenApp, tmp_path: Path) -> None:
    session = RecordedSession(bp.training(), folder=tmp_path)
    async with open_app(session, start_screen="plan").run_test(size=(100, 30)) as pilot:
        await press(pilot, "down", "left", "w")
        await press(pilot, "escape", "left", "w")
    assert load_settings(tmp_path / "next.toml").schedule.eval_every == "1000 steps"
    assert load_settings(tmp_path / "next-2.toml").schedule.eval_every == "800 steps"


async def test_only_what_a_run_can_take_up_is_sent_to_it_after_asking(open_app: OpenApp) -> None:
    session = RecordedSession(bp.training())
    async with open_app(session, start_screen="plan").run_test(size=(140, 40)) as pilot:
        await press(pilot, "down", "left", "down", "down", "right", "S")
        assert isinstance(pilot.app.screen, Question) and "length" in pilot.app.screen._text
        await press(pilot, "n")
        assert session.commands == []
        await press(pilot, "S", "y")
        assert [dict(sent.values) for sent in session.commands if isinstance(sent, c.Set)] == [{EVERY: "1000 steps"}]
        changed = e.SettingsChanged(t=4000.0, step=7579, values={EVERY: "1000 steps"}, reason="command")
        session.hear(changed)
        await pilot.pause(TICK)
        assert list(draft(pilot).values()) == ["window.length"]


async def test_nothing_that_a_run_can_take_up_is_said(open_app: OpenApp) -> None:
    session = RecordedSession(bp.training())
    async with open_app(session, start_screen="plan").run_test(size=(100, 30)) as pilot:
        await press(pilot, "down", "down", "down", "right", "S")
        assert isinstance(pilot.app.screen, PlanScreen) and "while a run goes on" in said(pilot)
    assert session.commands == []


async def test_keys_that_need_a_change_are_grey_until_there_is_one(open_app: OpenApp) -> None:
    session = RecordedSession(bp.training())
    async with open_app(session, start_screen="plan").run_test(size=(140, 40)) as pilot:
        await press(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, PlanScreen)

        def allowed() -> dict[str, bool]:
            actions = {"w": "write", "u": "undo", "U": "reset_all", "S": "steer"}
            return {key: bool(screen.check_action(action, ())) for key, action in actions.items()}

        assert not any(allowed().values())
        await press(pilot, "down", "left")
        assert all(allowed().values())
        await press(pilot, "U")
        assert allowed() == {"w": False, "u": True, "U": False, "S": False}


async def test_the_draft_survives_other_screens_and_is_kept_for_each_run(open_app: OpenApp) -> None:
    app = open_app(bp.training(), start_screen="plan")
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "down", "left", "1")
        await press(pilot, "3")
        assert draft(pilot).values() == {EVERY: "1000 steps"}
        app.runs.add(RecordedSession(bp.planned_log()))
        await press(pilot, "right")
        assert draft(pilot).profile == "fast"
        app.runs.step(-1)
        assert draft(pilot).values() == {EVERY: "1000 steps"}


async def test_the_settings_are_saved_as_a_profile(open_app: OpenApp) -> None:
    async with open_app(bp.training(), start_screen="plan").run_test(size=(100, 30)) as pilot:
        await press(pilot, "down", "left", "P")
        await press(pilot, *"mine", "enter")
        names = [line.option.name for line in pilot.app.screen.query_one("#plan-profiles", PlanPane).next_run.lines]
        assert names == ["this run", "fast", "balanced", "quality", "memory-efficient", "mine"]
    saved = find_profile("mine")
    assert saved.values == {"train.effective_batch_size": 16, "train.micro_batch_size": 8, EVERY: "1000 steps"}
    assert saved.baseline.tokens_per_second == pytest.approx(39_800, rel=0.02)


async def test_the_changes_are_copied_as_they_stand_in_a_file(open_app: OpenApp) -> None:
    async with open_app(bp.training(), start_screen="plan").run_test(size=(100, 30)) as pilot:
        await press(pilot, "down", "left")
        screen = pilot.app.screen
        assert isinstance(screen, PlanScreen)
        assert screen.copy_text()[1] == '[schedule]\neval_every = "1000 steps"  # was "1200 steps"'


class Planner:
    """Counts what is asked for and plays a plan."""

    def __init__(self, log: list[e.AnyEvent]) -> None:
        self.asked: list[tuple[Settings, bool]] = []
        self.session = RecordedSession(log)

    def __call__(self, settings: Settings, measure: bool) -> Session:
        self.asked.append((settings, measure))
        return self.session


async def test_beside_a_training_a_plan_is_made_without_measuring(open_app: OpenApp) -> None:
    planner = Planner([b.run_started(job="plan")])
    session = RecordedSession(bp.training())
    async with open_app(session, start_screen="plan", plan=planner).run_test(size=(140, 40)) as pilot:
        await press(pilot, "down", "left", "R")
        assert isinstance(pilot.app.screen, PlanScreen) and [measure for _, measure in planner.asked] == [False]
        assert planner.asked[0][0].schedule.eval_every == "1000 steps"
        assert "planning" in shown(pilot, "profiles") and "has the device" in said(pilot)
        planner.session.hear(*bp.planned_log()[:-1])
        await pilot.pause(TICK)
        assert "balanced" in shown(pilot, "profiles") and "572 ms" in shown(pilot, "profiles")
        await press(pilot, "R")
        assert len(planner.asked) == 1 and "being made already" in said(pilot)
    assert session.commands == []


@pytest.mark.parametrize(("key", "asked"), [("m", [True]), ("n", [False]), ("escape", [])])
async def test_after_a_run_it_is_asked_whether_to_measure(key: str, asked: list[bool], open_app: OpenApp) -> None:
    planner = Planner([b.run_started(job="plan")])
    session = RecordedSession(b.finished_training_log())
    async with open_app(session, start_screen="plan", plan=planner).run_test(size=(100, 30)) as pilot:
        session.end()
        await press(pilot, "R", key)
        assert [measure for _, measure in planner.asked] == asked


async def test_without_a_way_to_plan_the_command_is_named(open_app: OpenApp) -> None:
    async with open_app(bp.training(), start_screen="plan").run_test(size=(100, 30)) as pilot:
        await press(pilot, "R")
        assert "speedtui plan" in said(pilot)


async def test_p_takes_a_profile_from_any_screen_and_leaves_the_run_alone(open_app: OpenApp) -> None:
    session = RecordedSession(bp.training())
    async with open_app(session).run_test(size=(100, 30)) as pilot:
        await press(pilot, "p")
        assert isinstance(pilot.app.screen, ProfilesScreen)
        await press(pilot, "j", "enter")
        assert draft(pilot).profile == "fast" and "next run takes fast" in said(pilot)
        await press(pilot, "p", "escape")
        assert draft(pilot).profile == "fast"
    assert session.commands == []


async def test_p_offers_training_only_where_the_device_is_free(open_app: OpenApp, tmp_path: Path) -> None:
    started: list[TrainingStart] = []

    def train(wanted: TrainingStart) -> Session:
        started.append(wanted)
        return RecordedSession(bp.training())

    busy = RecordedSession(bp.training(), folder=tmp_path)
    async with open_app(busy, train=train).run_test(size=(100, 30)) as pilot:
        await press(pilot, "p", "t")
        assert isinstance(pilot.app.screen, ProfilesScreen) and started == []
    over = RecordedSession(bp.planned_log(), folder=tmp_path)
    async with open_app(over, train=train).run_test(size=(100, 30)) as pilot:
        over.end()
        await press(pilot, "p", "j", "t")
    (wanted,) = started
    assert (wanted.config_file, wanted.trial, wanted.profile) == (str(tmp_path / "next.toml"), None, "balanced")
    assert wanted.estimate is not None and wanted.estimate.terms["steps"] == pytest.approx(10_300.0)
    assert wanted.step_seconds == pytest.approx(10_300.0 / 18_000)
    assert load_settings(tmp_path / "next.toml").train.micro_batch_size == 4


async def test_training_now_ends_a_study_that_waits_and_takes_the_draft(open_app: OpenApp, tmp_path: Path) -> None:
    started: list[str] = []
    training = RecordedSession(bp.training())

    def train(wanted: TrainingStart) -> Session:
        started.append(wanted.config_file)
        return training

    log = b.study_log(finished=True)
    log[0] = msgspec.structs.replace(log[0], job="tune")  # type: ignore[call-arg]
    study = RecordedSession(log, folder=tmp_path)
    async with open_app(study, train=train, rate_hz=5.0).run_test(size=(120, 40)) as pilot:
        await press(pilot, "3", "down", "left", "p", "j", "t")
        assert [c.command_name(sent) for sent in study.commands] == ["finish"] and started == []
        study.hear(e.RunFinished(t=400.0, outcome="ok", exit_code=0))
        study.end()
        await pilot.pause(TICK)
        assert started == [str(tmp_path / "next.toml")]
        assert pilot.app.front.session is training and isinstance(pilot.app.screen, MonitorScreen)  # type: ignore[attr-defined]
    written = load_settings(tmp_path / "next.toml")
    fast = find_profile("fast").values
    assert written.train.epochs == fast["train.epochs"] and written.schedule.eval_every != "1 epoch"


async def test_a_study_that_cannot_be_told_to_end_starts_no_training(open_app: OpenApp, tmp_path: Path) -> None:
    started: list[TrainingStart] = []
    log = b.study_log(finished=True)
    log[0] = msgspec.structs.replace(log[0], job="tune")  # type: ignore[call-arg]

    class Deaf(RecordedSession):
        def send(self, command: c.AnyCommand) -> None:
            raise OSError("no space left")

    study = Deaf(log, folder=tmp_path)
    app = open_app(study, train=started.append, rate_hz=5.0)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "p", "j", "t")
        assert "could not be sent" in said(pilot)
        study.end()
        await pilot.pause(TICK)
        assert started == []


async def test_p_saves_a_profile_under_another_name(open_app: OpenApp) -> None:
    async with open_app(bp.planned_log()).run_test(size=(100, 30)) as pilot:
        await press(pilot, "p", "j", "s")
        await press(pilot, *"calm", "enter")
    assert find_profile("calm").values["train.micro_batch_size"] == 4
