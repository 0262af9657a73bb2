"""What each key of the Trials sends, asks, shows or writes."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import builders as b
import builders_trials as bt
import pytest
from pressing import heard, press, settled
from recorded import RecordedSession
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Static

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate
from speedtui.engine.config.settings import Scalar
from speedtui.engine.context.order import Order, write_order
from speedtui.engine.runs import RunFolder
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.text import plain
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.summary import SummaryPane
from speedtui.tui.panes.trial_log import TrialLogPane
from speedtui.tui.panes.trials import TrialsPane
from speedtui.tui.screens.compare import CompareScreen
from speedtui.tui.screens.edit import EditScreen
from speedtui.tui.screens.trials import TrialsScreen

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]


def table(pilot: Pilot[None]) -> TrialsPane:
    return pilot.app.screen.query_one(TrialsPane)


def listed(pilot: Pilot[None]) -> list[int]:
    return bt.numbers([plain(line) for line in table(pilot).rows])


def sent(session: RecordedSession) -> list[tuple[str, object]]:
    """Name of each command, and the trial or the values that it is about."""
    return [(c.command_name(one), getattr(one, "trial", getattr(one, "values", None))) for one in session.commands]


def candidate(number: int) -> Candidate:
    values: dict[str, Scalar] = {"train.micro_batch_size": 1}
    return Candidate(id=number, values=values, micro_batch_size=1, grad_accum_steps=16, label="mb1 ga16")


def told(pilot: Pilot[None]) -> str:
    return "\n".join(note.message for note in pilot.app._notifications)


def study_folder(tmp_path: Path, *, order: bool = True) -> Path:
    folder = RunFolder(tmp_path / "runs" / "20260101-000000-tune-4f1a")
    folder.path.mkdir(parents=True)
    if order:
        write_order(folder, Order(job="tune", started_at=b.STARTED_AT, train_command=["speedtui", "train"]))
    return folder.path


# --- how it is listed ---


async def test_sorting_and_reversing_reorder_the_rows_and_keep_the_cursor(open_app: OpenApp) -> None:
    async with open_app(bt.study(), start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, "j", "j", "o")
        assert listed(pilot)[:4] == [3, 2, 1, 0] and table(pilot).selected == 2
        assert "sort samples/s ↓" in plain(pilot.app.screen.query_one(SummaryPane).rows[0])
        await press(pilot, "O")
        assert listed(pilot)[:4] == [0, 1, 2, 3]
        await press(pilot, "up")
        assert table(pilot).selected == 1


async def test_a_filter_narrows_the_table_and_escape_takes_it_away(open_app: OpenApp) -> None:
    async with open_app(bt.study(), start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, "slash", *"queued", "enter")
        assert listed(pilot) == [6, 7]
        assert "/ queued  2 of 8" in plain(pilot.app.screen.query_one(SummaryPane).rows[0])
        await press(pilot, "n")
        assert table(pilot).selected == 7
        await press(pilot, "escape")
        assert len(listed(pilot)) == 8 and table(pilot).selected == 7


async def test_a_filter_that_nothing_passes_names_the_key_that_takes_it_away(open_app: OpenApp) -> None:
    async with open_app(bt.study(), start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, "slash", *"nowhere", "enter")
        shown = " ".join(plain(line) for line in table(pilot).rows)
        assert "None of 8 candidates has all of “nowhere”" in shown and "esc takes the filter away" in shown


async def test_marked_trials_are_compared_and_escape_takes_the_marks_away(open_app: OpenApp) -> None:
    async with open_app(bt.study(), start_screen="trials").run_test(size=(120, 40)) as pilot:
        await press(pilot, "space", "j", "space")
        assert table(pilot).listing.marked == {0, 2} and table(pilot).selected == 3
        await press(pilot, "m")
        dialog = pilot.app.screen
        assert isinstance(dialog, CompareScreen)
        shown = "\n".join(plain(line) for line in dialog.query_one("Box").rows)  # type: ignore[attr-defined]
        assert "#0 mb1 ga16" in shown and "1.81× [1.76 1.86]" in shown
        await press(pilot, "escape", "escape")
        assert table(pilot).listing.marked == frozenset()


async def test_without_marks_the_best_is_compared_with_the_one_under_the_cursor(open_app: OpenApp) -> None:
    async with open_app(bt.study(), start_screen="trials").run_test(size=(120, 40)) as pilot:
        await press(pilot, "m")
        dialog = pilot.app.screen
        assert isinstance(dialog, CompareScreen)
        shown = "\n".join(plain(line) for line in dialog.query_one("Box").rows)  # type: ignore[attr-defined]
        assert "#3 mb8 ga2" in shown and "0.54×" in shown
        await press(pilot, "m", "j", "j", "j", "m")
        assert isinstance(pilot.app.screen, TrialsScreen) and "Mark two trials" in told(pilot)


async def test_page_keys_go_by_what_is_seen(open_app: OpenApp) -> None:
    async with open_app(bt.hundred(), start_screen="trials").run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        page = table(pilot).page()
        await press(pilot, "pagedown", "pagedown")
        assert table(pilot).selected == 2 * page
        await press(pilot, "pageup")
        assert table(pilot).selected == page
        await press(pilot, "end")
        assert table(pilot).selected == 99


async def test_moving_the_cursor_among_a_hundred_draws_two_rows_again(open_app: OpenApp) -> None:
    async with open_app(bt.hundred(), start_screen="trials").run_test(size=(140, 40)) as pilot:
        await press(pilot, "j")
        pane, regions = table(pilot), list[Region]()
        refresh = pane.refresh

        def counted(*areas: Region, **options: bool) -> TrialsPane:
            regions.extend(areas or [Region(0, 0, *pane.size)])
            refresh(*areas, **options)
            return pane

        pane.refresh = counted  # type: ignore[assignment]
        await press(pilot, "j")
        assert pane.selected == 2
        assert {region.y for region in regions} == {2, 3}
        assert all(region.height == 1 for region in regions)


async def test_a_trial_that_starts_changes_its_own_row_alone(open_app: OpenApp) -> None:
    session = RecordedSession(bt.hundred())
    async with open_app(session, start_screen="trials", rate_hz=5.0).run_test(size=(140, 40)) as pilot:
        await press(pilot, "G")
        before = list(table(pilot).rows)
        await heard(pilot, session, e.TrialStarted(t=session.snapshot().t, trial=99))
        changed = [y for y, row in enumerate(table(pilot).rows) if row != before[y]]
        assert changed == [len(before) - 1]


async def test_the_log_beside_the_table_follows_the_cursor(open_app: OpenApp) -> None:
    async with open_app(bt.study(), start_screen="trials").run_test(size=(140, 40)) as pilot:
        await press(pilot, "j", "j", "j", "j")
        shown = " ".join(plain(line) for line in pilot.app.screen.query_one(TrialLogPane).rows)
        assert "Log of #4" in shown and "out of memory" in shown


async def test_tab_goes_through_the_panes_and_z_shows_one_alone(open_app: OpenApp) -> None:
    async with open_app(bt.study(), start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, "tab", "tab", "z")
        assert pilot.app.screen.query_one("#detail").display and not table(pilot).display
        await press(pilot, "escape")
        assert table(pilot).display


# --- what is asked of the study ---


async def test_a_grid_adds_every_combination_that_is_not_there(open_app: OpenApp) -> None:
    session = RecordedSession(bt.study())
    async with open_app(session, start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, "A")
        assert isinstance(pilot.app.screen, EditScreen)
        await press(pilot, "end", *", 2, 3", "down", *"bf16 = false, true")
        message = str(pilot.app.screen.query_one("#edit-message", Static).render())
        assert message.startswith("✓ 2 candidates; 2 are there already; 2 refused: train.micro_batch_size 3 does not")
        await press(pilot, "enter")
        assert sent(session) == [
            ("add_candidate", {"train.micro_batch_size": micro, "train.bf16": True}) for micro in (1, 2)
        ]
        assert "2 added; R runs them all." in told(pilot)


async def test_a_grid_with_nothing_new_is_not_added_and_says_why(open_app: OpenApp) -> None:
    session = RecordedSession(bt.study())
    async with open_app(session, start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, "A", "end", *", 2", "enter")
        message = str(pilot.app.screen.query_one("#edit-message", Static).render())
        assert "nothing new: 2 are there already" in message and session.commands == []


async def test_the_cursor_goes_to_a_candidate_that_was_added_and_stays_there(open_app: OpenApp) -> None:
    session = RecordedSession(bt.study())
    async with open_app(session, start_screen="trials", rate_hz=5.0).run_test(size=(100, 30)) as pilot:
        await press(pilot, "a", "enter")
        added = max(listed(pilot)) + 1
        for number in (added, added + 1):  # the second one is somebody else's
            await heard(pilot, session, e.CandidateAdded(t=session.snapshot().t, candidate=candidate(number)))
        assert table(pilot).selected == added


async def test_names_and_values_are_completed(open_app: OpenApp) -> None:
    async with open_app(bt.study(), start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, "a", "down", *"train.opt", "right", *"sg", "right")
        assert isinstance(pilot.app.screen, EditScreen)
        assert pilot.app.screen.query("Input").nodes[1].value == "train.optimizer = sgd"  # type: ignore[attr-defined]
        hint = str(pilot.app.screen.query_one("#edit-hint", Static).render())
        assert "adafactor" in hint and "is adamw_torch_fused in the configuration" in hint


async def test_a_deleted_candidate_is_added_again_without_its_result(open_app: OpenApp) -> None:
    session = RecordedSession(bt.study())
    async with open_app(session, start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, "u")
        assert "Nothing was deleted here." in told(pilot)
        await press(pilot, "j", "j", "D", "y", "u")
        assert sent(session) == [("remove_candidate", 2), ("add_candidate", {"train.micro_batch_size": 4})]
        assert "its result is gone" in told(pilot)


async def test_kill_is_offered_only_while_a_trial_runs(open_app: OpenApp) -> None:
    for log, style in ((bt.study(), "key"), (bt.study(running=False), "off")):
        async with open_app(log, start_screen="trials").run_test(size=(140, 40)) as pilot:
            await settled(pilot)
            spans = [span for row in pilot.app.screen.query_one(Footer).rows for span in row]
            assert [span.style for span in spans if span.text == " K"] == [style]


# --- what leaves the screen ---


async def test_the_copied_command_trains_with_the_trial_under_the_cursor(open_app: OpenApp, tmp_path: Path) -> None:
    folder = study_folder(tmp_path)
    session = RecordedSession(bt.study(), folder=folder)
    async with open_app(session, start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, "j", "j", "y")
        words = shlex.split(pilot.app.clipboard)
        assert words[-5:] == ["train", "--runs", str(tmp_path / "runs"), "--trial", "20260101-000000-tune-4f1a#2"]


async def test_exporting_writes_the_listed_trials_as_csv_and_json(open_app: OpenApp, tmp_path: Path) -> None:
    folder = study_folder(tmp_path)
    session = RecordedSession(bt.study(), folder=folder)
    async with open_app(session, start_screen="trials", read_only=True).run_test(size=(100, 30)) as pilot:
        await press(pilot, "o", "w")
        with (folder / "csv" / "trials.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["trial"] for row in rows][:3] == ["3", "2", "1"]
        assert rows[4]["status"] == "out_of_memory" and float(rows[1]["step_seconds"]) == 0.412
        entries = json.loads((folder / "trials.json").read_text())
        assert entries[1]["trial"] == 2 and entries[5]["status"] == "running"
        assert str(folder / "csv" / "trials.csv") in told(pilot) and str(folder / "trials.json") in told(pilot)


async def test_an_export_that_cannot_be_written_says_why(open_app: OpenApp) -> None:
    async with open_app(bt.study(), start_screen="trials").run_test(size=(100, 30)) as pilot:
        await press(pilot, "w")
        assert "Not written: " in told(pilot)


async def test_a_trial_of_a_study_that_is_over_can_still_be_promoted(open_app: OpenApp, tmp_path: Path) -> None:
    folder = study_folder(tmp_path)
    log = [*bt.study(running=False), e.RunFinished(t=300.0, outcome="ok", exit_code=0)]
    session = RecordedSession(log, folder=folder)
    async with open_app(session, start_screen="trials", read_only=True).run_test(size=(120, 40)) as pilot:
        await press(pilot, "j", "j", "P", "enter")
        assert session.commands == []
        assert "micro_batch_size = 4" in (folder / "train.toml").read_text()
        assert f"--trial '{folder.name}#2'" in (folder / "train.sh").read_text()
        assert "#2 promoted" in told(pilot)


async def test_a_recording_without_its_folder_says_why_nothing_can_be_promoted(
    open_app: OpenApp, tmp_path: Path
) -> None:
    session = RecordedSession(bt.study(running=False), folder=study_folder(tmp_path, order=False))
    async with open_app(session, start_screen="trials", read_only=True).run_test(size=(120, 40)) as pilot:
        await press(pilot, "P", "enter")
        assert "#0 cannot be promoted" in told(pilot) and "recording" in told(pilot)
