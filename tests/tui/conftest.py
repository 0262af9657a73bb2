"""What every screen test needs: the helpers beside it, one time zone, one set of colours."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ.update({"TZ": "UTC", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"})
os.environ.pop("NO_COLOR", None)
os.environ.pop("TEXTUAL_THEME", None)
time.tzset()

import pytest  # noqa: E402
from builders import STARTED_AT  # noqa: E402
from idle import wait_until_idle  # noqa: E402
from recorded import RecordedSession  # noqa: E402

from speedtui.engine.events import AnyEvent  # noqa: E402
from speedtui.tui.app import SpeedtuiApp  # noqa: E402
from speedtui.tui.options import ScreenOptions  # noqa: E402

OpenApp = Callable[..., SpeedtuiApp]
wait_until_idle()


@pytest.fixture
def open_app() -> OpenApp:
    """Makes an app over recorded events; the clock stands at the last one."""

    def make(events: Iterable[AnyEvent] | RecordedSession = (), **options: object) -> SpeedtuiApp:
        session = events if isinstance(events, RecordedSession) else RecordedSession(events)
        clock = session.snapshot().now or STARTED_AT
        return SpeedtuiApp(session, ScreenOptions(clock=lambda: clock, **options))  # type: ignore[arg-type]

    return make
