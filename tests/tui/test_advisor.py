"""The Advisor: what its panes say at their sizes, and what each of its keys does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import builders as b
import builders_advisor as ba
import pytest
from pressing import press, settled
from recorded import RecordedSession
from rich.cells import cell_len

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.advise.diagnosis import Diagnosis
from speedtui.engine.advise.strategies import advised
from speedtui.engine.advise.strategy import AdvisorStrategy, risk_of
from speedtui.engine.advise.worth_trying import COSTS
from speedtui.engine.state import fold
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import plain
from speedtui.tui.panes.advisor_detail import draw_strategy
from speedtui.tui.panes.advisor_diagnosis import draw_diagnosis
from speedtui.tui.panes.advisor_pane import AdvisorPicture
from speedtui.tui.panes.advisor_phases import draw_phases
from speedtui.tui.panes.advisor_table import draw_strategies
from speedtui.tui.panes.advisor_together import draw_next, draw_together
from speedtui.tui.panes.footer import Footer
from speedtui.tui.screens.advisor import AdvisorScreen
from speedtui.tui.screens.confirm import Question
from speedtui.tui.screens.levers import LeversScreen

OpenApp = Callable[..., SpeedtuiApp]
WIDTHS = (36, 40, 60, 80, 100, 140, 200)


def shown_of(events: list[e.AnyEvent], **more: object) -> AdvisorPicture:
    run = fold(events)
    found = advised(run, run)
    return AdvisorPicture(advised=found, rows=found.strategies, total=len(found.strategies), **more)  # type: ignore[arg-type]


def text_of(rows: object) -> str:
    return "\n".join(plain(line) for line in rows)  # type: ignore[attr-defined]


# -- panes -----------------------------------------------------------------------------------------


def test_the_table_says_ratio_interval_and_state_and_a_dash_where_nothing_is_known() -> None:
    lines = text_of(draw_strategies(shown_of(ba.compared_study(), probes=True), 0, 140, 12)).splitlines()
    gains, waits = (next(line for line in lines if name in line) for name in ("micro-batch 1 → 2", "flash attention"))
    assert "1.20× [1.17 1.23]" in gains and "+6.0 GiB" in gains and "+ enter takes" in gains
    assert "–" in waits and "×" not in waits and "b to probe" in waits


def test_an_open_gain_says_that_its_interval_contains_one() -> None:
    line = next(line for line in text_of(draw_strategies(shown_of(ba.compared_study()), 0, 140, 12)).splitlines()
                if "torch.compile" in line)  # fmt: skip
    assert "interval has 1.00" in line and "? unproven" in line


def test_without_a_study_that_waits_nothing_is_offered_to_be_probed() -> None:
    assert "b to probe" not in text_of(draw_strategies(shown_of(ba.compared_study()), 0, 140, 12))


@pytest.mark.parametrize("width", WIDTHS)
def test_no_row_is_wider_than_its_pane(width: int) -> None:
    run = fold(ba.stacked_study())
    for at in range(len(shown_of(ba.stacked_study()).rows)):
        shown = shown_of(ba.stacked_study(), at=at, taken={"train.loader_workers": 2})
        drawn = [
            *draw_strategies(shown, 0, width, 12), *draw_strategy(shown, run.study, width, 9),
            *draw_phases(shown, run.study, width, 9), *draw_together(shown.advised.stack, width, 6),
            *draw_together(shown.advised.stack, width, 3), draw_next(shown.taken, width),
            *draw_diagnosis(Diagnosis(), run, width, 4),
        ]  # fmt: skip
        assert max(cell_len(plain(line)) for line in drawn) <= width


def test_what_a_change_costs_and_how_it_is_taken_back_is_whole_at_80_columns() -> None:
    for path in COSTS:
        one = AdvisorStrategy(
            name="x", values={path: 1}, before={path: 0}, state="to_probe", risk=risk_of(path, 0, 1), why="y" * 200
        )  # fmt: skip
        for probes in (True, False):
            drawn = text_of(draw_strategy(AdvisorPicture(rows=(one,), probes=probes), None, 80, 8)).splitlines()
            assert not [line for line in drawn if "…" in line and "yyy" not in line]


def test_a_time_saved_that_is_all_that_is_known_of_a_gain_is_told_as_the_gain() -> None:
    one = AdvisorStrategy(
        name="x", values={"train.group_by_length": True}, before={"train.group_by_length": False}, state="ready",
        risk="order", why="padding", evidence="from this run's own figures", saves_seconds=17.0,
    )  # fmt: skip
    drawn = text_of(draw_strategy(AdvisorPicture(rows=(one,)), None, 80, 8))
    assert "Gain    saves ~17s; from this run's own figures" in drawn and "Saves" not in drawn


def test_the_detail_never_cuts_the_exact_change() -> None:
    shown = shown_of(ba.stacked_study())
    for height in range(4, 12):
        drawn = text_of(draw_strategy(shown, fold(ba.stacked_study()).study, 60, height)).replace("│", " ")
        words = " ".join(drawn.split())
        assert "train.loader_workers: 0 → 2, train.micro_batch_size: 1 → 4" in words


def test_the_bars_of_a_step_are_on_one_scale_and_carry_both_times() -> None:
    shown = shown_of(ba.stacked_study())
    without, with_it = (
        next(
            line
            for line in text_of(draw_phases(shown, fold(ba.stacked_study()).study, 60, 9)).splitlines()
            if name in line
        )
        for name in ("│ without", "│ with ")
    )
    assert "746 ms" in without and "470 ms" in with_it
    letters = [sum(line.count(letter) for letter in "FBODdLX") for line in (without, with_it)]
    assert letters[1] / letters[0] == pytest.approx(0.470 / 0.746, abs=0.03)


def test_the_stack_shows_each_trial_s_own_time() -> None:
    stack = shown_of(ba.stacked_study()).advised.stack
    assert "mb1 746 ms → +mb4 517 ms → +workers 2 470 ms = 1.59×" in text_of(draw_together(stack, 78, 3))
    rows = text_of(draw_together(stack, 140, 5)).splitlines()
    assert ["1.00×" in rows[1], "1.45×" in rows[2], "1.59×" in rows[3]] == [True, True, True]


def test_where_nothing_was_measured_together_it_says_how_to() -> None:
    assert "speedtui tune --mode auto" in text_of(draw_together((), 140, 3))
    assert "…" not in text_of(draw_together((), 80, 3))


def test_the_next_run_names_what_it_takes() -> None:
    assert "next run will use mb4, workers 2" in plain(
        draw_next({"train.loader_workers": 2, "train.micro_batch_size": 4}, 100)
    )
    assert "the same settings" in plain(draw_next({}, 100))


# -- keys ------------------------------------------------------------------------------------------


def screen_of(app: SpeedtuiApp) -> AdvisorScreen:
    screen = app.screen_stack[0]
    assert isinstance(screen, AdvisorScreen)
    return screen


def text_on(app: SpeedtuiApp) -> str:
    return text_of([line for pane in app.screen.query(Lines) if pane.display for line in pane.rows])


def probed(session: RecordedSession) -> list[dict[str, object]]:
    return [dict(sent.values) for sent in session.commands if isinstance(sent, c.AddCandidate) and sent.queued]


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["enter", "space"])
async def test_a_strategy_is_taken_for_the_next_run_and_back(key: str, open_app: OpenApp) -> None:
    session = RecordedSession(ba.compared_study())
    app = open_app(session, start_screen="advisor")
    async with app.run_test(size=(140, 40)) as pilot:
        await press(pilot, key)
        assert screen_of(app).shown.taken == {"train.micro_batch_size": 2}
        assert "next run will use mb2" in text_on(app) and "→ next run" in text_on(app)
        await press(pilot, "u")
        assert screen_of(app).shown.taken == {}
        assert session.commands == []  # the run in progress was left alone


@pytest.mark.asyncio
async def test_undo_takes_back_the_last_change_where_the_cursor_is_elsewhere(open_app: OpenApp) -> None:
    app = open_app(RecordedSession(ba.compared_study()), start_screen="advisor")
    async with app.run_test(size=(140, 40)) as pilot:
        await press(pilot, "enter", "j", "u")
        assert screen_of(app).shown.taken == {}


@pytest.mark.asyncio
async def test_a_probe_becomes_a_queued_candidate_of_the_study(open_app: OpenApp) -> None:
    session = RecordedSession(ba.compared_study())
    app = open_app(session, start_screen="advisor")
    async with app.run_test(size=(140, 40)) as pilot:
        while screen_of(app).shown.selected is None or screen_of(app).shown.selected.name != "packing on":
            await press(pilot, "j")
        await press(pilot, "b")
        assert probed(session) == [{"data.packing": True}]


@pytest.mark.asyncio
async def test_all_that_may_gain_and_nobody_measured_is_probed_and_nothing_else(open_app: OpenApp) -> None:
    session = RecordedSession(ba.compared_study())
    async with open_app(session, start_screen="advisor").run_test(size=(140, 40)) as pilot:
        await press(pilot, "B")
        assert sorted(str(values) for values in probed(session)) == [
            "{'data.packing': True}", "{'model.attention': 'flash_attention_2'}", "{'train.liger': True}",
        ]  # fmt: skip


@pytest.mark.asyncio
async def test_nothing_is_probed_while_a_training_runs(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(300))
    async with open_app(session, start_screen="advisor").run_test(size=(140, 40)) as pilot:
        await press(pilot, "b", "B")
        assert session.commands == []


@pytest.mark.asyncio
async def test_the_difference_of_the_next_run_is_shown_as_it_would_be_written(open_app: OpenApp) -> None:
    app = open_app(RecordedSession(ba.compared_study()), start_screen="advisor")
    async with app.run_test(size=(140, 40)) as pilot:
        await press(pilot, "enter", "v")
        assert isinstance(app.screen, Question)
        assert "micro_batch_size = 2 # was 1" in text_on(app)


@pytest.mark.asyncio
async def test_the_list_is_sorted_by_another_column_with_the_cursor_on_the_same_strategy(open_app: OpenApp) -> None:
    app = open_app(RecordedSession(ba.compared_study()), start_screen="advisor")
    async with app.run_test(size=(140, 40)) as pilot:
        await press(pilot, "j")
        under = screen_of(app).strategy
        await press(pilot, "o")
        deltas = [one.peak_delta_bytes for one in screen_of(app).shown.rows if one.peak_delta_bytes is not None]
        assert deltas == sorted(deltas) and "peak▼" in text_on(app)
        assert screen_of(app).strategy == under


@pytest.mark.asyncio
async def test_a_filter_leaves_what_has_its_words_and_esc_takes_it_away(open_app: OpenApp) -> None:
    app = open_app(RecordedSession(ba.compared_study()), start_screen="advisor")
    async with app.run_test(size=(140, 40)) as pilot:
        await press(pilot, "slash", *"compile", "enter")
        assert [one.name for one in screen_of(app).shown.rows] == ["torch.compile on"]
        assert "/ compile  1 of" in text_on(app)
        await press(pilot, "escape")
        assert len(screen_of(app).shown.rows) > 5


@pytest.mark.asyncio
async def test_copying_gives_the_change_as_the_file_has_it(open_app: OpenApp) -> None:
    app = open_app(RecordedSession(ba.compared_study()), start_screen="advisor")
    async with app.run_test(size=(140, 40)) as pilot:
        await press(pilot)
        assert screen_of(app).copy_text() == ("The change", "[train]\nmicro_batch_size = 2  # was 1")


@pytest.mark.asyncio
async def test_the_report_is_written_beside_the_run(open_app: OpenApp, tmp_path: Path) -> None:
    session = RecordedSession(ba.stacked_study(), folder=tmp_path)
    async with open_app(session, start_screen="advisor").run_test(size=(140, 40)) as pilot:
        await press(pilot, "enter", "w")
    text = (tmp_path / "report.md").read_text()
    assert "| together: mb4, workers 2 | `train.loader_workers: 0 → 2, train.micro_batch_size: 1 → 4` | 1.59×" in text
    assert "| + workers 2 | 0.470 | 1.59× | #2 |" in text
    assert "micro_batch_size = 4  # was 1" in text


@pytest.mark.asyncio
async def test_a_report_that_cannot_be_written_says_so(open_app: OpenApp) -> None:
    app = open_app(RecordedSession(ba.stacked_study()), start_screen="advisor")
    async with app.run_test(size=(140, 40)) as pilot:
        await press(pilot, "w")
        assert any("cannot be written" in note.message for note in app._notifications)


@pytest.mark.asyncio
async def test_a_late_training_takes_a_lever_from_here_after_asking(open_app: OpenApp) -> None:
    session = RecordedSession(b.late_training_log())
    app = open_app(session, start_screen="advisor")
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "l")
        assert isinstance(app.screen, LeversScreen)
        await press(pilot, "enter", "y")
        assert [sent.values for sent in session.commands if isinstance(sent, c.Set)] == [
            {"schedule.eval_every": "6000 steps"}
        ]


@pytest.mark.asyncio
@pytest.mark.parametrize("log", [b.training_log, ba.stacked_study, list])
async def test_it_fits_any_terminal_and_always_lists_something(
    log: Callable[[], list[e.AnyEvent]], open_app: OpenApp
) -> None:
    app = open_app(log(), start_screen="advisor")
    async with app.run_test(size=(40, 6)) as pilot:
        for size in ((40, 6), (40, 12), (60, 20), (80, 24), (100, 30), (140, 40), (200, 60)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
            for pane in app.screen.query(Lines):
                if pane.region.area:
                    assert {cell_len(plain(line)) for line in pane.rows} == {pane.size.width}
                    assert pane.region.bottom <= size[1], f"{pane} at {size}"
            assert "strategy" in text_on(app) or "No configuration" in text_on(app)
            assert "quit" in text_of(app.screen.query_one(Footer).rows)


@pytest.mark.asyncio
async def test_a_new_measurement_changes_the_list_while_it_is_open(open_app: OpenApp) -> None:
    session = RecordedSession(ba.compared_study())
    app = open_app(session, start_screen="advisor")
    async with app.run_test(size=(140, 40)) as pilot:
        await press(pilot)
        session.hear(e.TrialStarted(t=410.0, trial=5),
                     e.TrialFinished(t=420.0, trial=5, result=ba.result(0.300, 31.0)))  # fmt: skip
        app.tick()
        app.drawing.now()
        first = screen_of(app).shown.rows[0]
        assert (first.name, first.state) == ("loader workers 0 → 2", "ready")
