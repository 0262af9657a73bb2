"""Every size of terminal: nothing is wider than the screen, and the deadline is always there."""

from __future__ import annotations

from collections.abc import Callable

import builders as b
import pytest
from rich.cells import cell_len

from speedtui.engine.events import AnyEvent
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import plain

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]
SIZES = [
    (40, 6),
    (40, 10),
    (50, 16),
    (60, 20),
    (71, 24),
    (72, 24),
    (80, 24),
    (80, 50),
    (100, 30),
    (120, 32),
    (140, 40),
    (200, 60),
]
LOGS: dict[str, list[AnyEvent]] = {
    "empty": [], "loading": b.loading_log(), "study": b.study_log(), "finished study": b.study_log(finished=True),
    "training": b.training_log(), "trouble": b.trouble_log(), "cpu": b.training_log(300, gpu=False),
    "finished": b.finished_training_log(),
}  # fmt: skip


@pytest.mark.parametrize("screen", ["monitor", "trials"])
@pytest.mark.parametrize("name", LOGS)
async def test_no_row_is_wider_than_the_screen_at_any_size(name: str, screen: str, open_app: OpenApp) -> None:
    async with open_app(LOGS[name], start_screen=screen).run_test(size=SIZES[0]) as pilot:
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
            for pane in pilot.app.screen.query(Lines):
                if pane.region.area:
                    assert len(pane.rows) == pane.size.height
                    assert {cell_len(plain(line)) for line in pane.rows} == {pane.size.width}
                    assert pane.region.right <= size[0]
                    assert pane.region.bottom <= size[1], f"{pane} at {size}"


async def test_the_deadline_and_the_way_out_stay_at_forty_by_six(open_app: OpenApp) -> None:
    async with open_app(LOGS["training"]).run_test(size=(40, 6)) as pilot:
        await pilot.pause(0.1)
        shown = "\n".join(plain(line) for pane in pilot.app.screen.query(Lines) if pane.display for line in pane.rows)
        assert "ON TRACK" in shown and "finish 02:04" in shown and "q quit" in shown


async def test_the_trials_stay_usable_at_forty_by_six(open_app: OpenApp) -> None:
    async with open_app(LOGS["study"], start_screen="trials").run_test(size=(40, 6)) as pilot:
        await pilot.pause(0.1)
        await pilot.press("G")
        await pilot.pause(0.1)
        shown = [plain(line) for line in pilot.app.screen.query_one("#trials").rows]  # type: ignore[attr-defined]
        assert any(line.startswith("›") and "mb8 ga2 +bf16" in line for line in shown)


async def test_panes_go_by_priority_as_rows_get_scarce(open_app: OpenApp) -> None:
    async with open_app(LOGS["training"]).run_test(size=(80, 24)) as pilot:
        seen = []
        for size in ((80, 24), (60, 24), (60, 14), (60, 8)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
            found = pilot.app.screen.query(Lines)
            seen.append({pane.id for pane in found if pane.id is not None and pane.region.area})
        assert {"deadline", "step", "devices", "loss", "events"} <= seen[0]
        assert {"step", "loss"} <= seen[1] and "events" not in seen[1]
        assert "step" in seen[2] and "loss" not in seen[2]
        assert seen[3] == {"header", "deadline", "footer"}
