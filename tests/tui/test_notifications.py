"""What the screen tells of while it is open: briefly, once, and not while it is frozen."""

from __future__ import annotations

from collections.abc import Callable

import builders as b
import msgspec
import pytest
from pressing import heard, settled
from recorded import RecordedSession
from textual.widgets._toast import Toast, ToastRack

from speedtui.engine import events as e
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.text import plain
from speedtui.tui.notifications import tell
from speedtui.tui.panes.deadline import DeadlinePane

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]


def told(app: SpeedtuiApp) -> list[str]:
    return [f"{note.title} {note.message}".strip() for note in app._notifications]


FOUR = [e.Notice(t=9000.0 + i, level="warning", text=f"{i} word " * 60) for i in range(4)]
EVALUATED = e.EvaluationCompleted(
    t=9000.0, step=8400, loss=1.2345, seconds=14.2, rows=512, metrics={"accuracy": 0.61}, best=True
)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (EVALUATED, "Evaluated at step 8400: loss 1.234, accuracy 0.6100, the best so far; took 14.2 s"),
        (e.TrialFinished(t=9000.0, trial=4, result=b.out_of_memory_result()), "Trial #4: out of memory"),
        (e.RunFinished(t=9000.0, outcome="ok", exit_code=0), "The run is done."),
        (e.RunFinished(t=9000.0, outcome="late", exit_code=3), "The run is done, but late."),
        (e.RunFinished(t=9000.0, outcome="failed", exit_code=1, reason="NaN"), "The run failed. NaN."),
        (
            e.RunFinished(t=9000.0, outcome="stopped", exit_code=0, reason="stopped on request", next="Go on later."),
            "The run was stopped. Stopped on request. Go on later.",
        ),
    ],
)
async def test_what_happens_while_one_looks_is_told(event: e.AnyEvent, words: str, open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log() if not isinstance(event, e.TrialFinished) else b.study_log())
    async with open_app(session, rate_hz=5.0, start_screen="trials").run_test(size=(100, 30)) as pilot:
        await heard(pilot, session, event)
        assert [text for text in told(pilot.app) if words in text]


async def test_an_evaluation_of_the_loss_alone_is_drawn_and_not_told(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log())
    async with open_app(session, rate_hz=5.0).run_test(size=(100, 30)) as pilot:
        alone = [msgspec.structs.replace(EVALUATED, t=9000.0 + i, step=8400 + i, kind="loss") for i in range(3)]
        await heard(pilot, session, *alone, msgspec.structs.replace(EVALUATED, t=9004.0, step=8500))
        assert [text.partition(":")[0] for text in told(pilot.app)] == ["Evaluated at step 8500"]


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_over_a_dialog_the_newest_notice_stands_alone(size: tuple[int, int], open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log())
    async with open_app(session, rate_hz=5.0).run_test(size=size, notifications=True) as pilot:
        await settled(pilot)
        await pilot.press("s")
        await settled(pilot)
        await heard(
            pilot, session, *[e.Notice(t=9000.0 + i, level="warning", text=f"{i} word " * 60) for i in range(4)]
        )
        toasts = pilot.app.screen.get_child_by_type(ToastRack).query(Toast)
        (shown,) = [toast for toast in toasts if toast.region.area]
        assert shown._notification.message.startswith("3 word") and shown.region.height == 2


async def test_the_end_of_a_run_that_is_not_in_front_names_it(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        tell(app, e.RunFinished(t=9000.0, outcome="ok", exit_code=0), sent=set(), fresh=True, run="20260101-tune-a1b2")
        await settled(pilot)
        assert told(app) == ["The run 20260101-tune-a1b2 is done."]


async def test_the_monitor_does_not_say_twice_how_its_run_ended(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log())
    async with open_app(session, rate_hz=5.0).run_test(size=(100, 30)) as pilot:
        await heard(pilot, session, e.RunFinished(t=9000.0, outcome="failed", exit_code=1, reason="NaN"))
        assert told(pilot.app) == []
        assert "NaN" in "\n".join(plain(line) for line in pilot.app.screen.query_one(DeadlinePane).rows)


async def test_notices_leave_all_but_two_rows_of_a_small_screen_and_its_footer(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log())
    async with open_app(session, rate_hz=5.0).run_test(size=(80, 24), notifications=True) as pilot:
        await heard(
            pilot,
            session,
            EVALUATED,
            *[e.Notice(t=9000.0 + i, level="warning", text=f"{i} word " * 60) for i in range(4)],
        )
        assert len(told(pilot.app)) == 5
        toasts = pilot.app.screen.get_child_by_type(ToastRack).query(Toast)
        (shown,) = [toast for toast in toasts if toast.region.area]
        assert shown._notification.message.startswith("3 word") and (shown.region.y, shown.region.bottom) == (21, 23)


async def test_what_happened_before_is_not_told(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log())
    async with open_app(session, rate_hz=5.0).run_test(size=(100, 30)) as pilot:
        await heard(pilot, session, e.EvaluationCompleted(t=2.0, step=1, loss=3.0, seconds=1.0, rows=8))
        assert told(pilot.app) == []


async def test_a_verdict_that_stands_when_the_screen_is_opened_is_no_news(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log())
    async with open_app(session, rate_hz=5.0).run_test(size=(100, 30)) as pilot:
        await heard(pilot, session, b.eta(9000.0, 7600))
        assert told(pilot.app) == []


async def test_a_frozen_screen_tells_nothing_until_it_goes_on(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log())
    async with open_app(session, rate_hz=5.0).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        await pilot.press("f")
        await heard(pilot, session, EVALUATED)
        assert told(pilot.app) == []
        await pilot.press("f")
        await heard(pilot, session)
        assert [text for text in told(pilot.app) if "step 8400" in text]
