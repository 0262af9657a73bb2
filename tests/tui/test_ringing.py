"""The bell and the desktop notification of an open screen."""

from __future__ import annotations

from collections.abc import Callable

import builders as b
import msgspec
import pytest
from pressing import until
from recorded import RecordedSession

from speedtui.engine import events as e
from speedtui.engine.config.settings import NotifySettings
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.terminal.ringing import notification

OpenApp = Callable[..., SpeedtuiApp]


@pytest.mark.parametrize(
    ("environment", "sequence"),
    [
        ({"TERM": "xterm-256color"}, "\x1b]9;speedtui: run is late: Run r is late.\a"),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7800"}, "\x1b]777;notify;speedtui: run is late;Run r is late.\a"),
        ({"TERM": "foot"}, "\x1b]777;notify;speedtui: run is late;Run r is late.\a"),
        (
            {"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"},
            "\x1bPtmux;\x1b\x1b]9;speedtui: run is late: Run r is late.\a\x1b\\",
        ),
    ],
)
def test_a_terminal_is_told_in_the_way_it_knows(environment: dict[str, str], sequence: str) -> None:
    assert notification("speedtui: run is late", "Run r is late.", environment) == sequence


def test_nothing_of_a_text_ends_the_sequence_or_begins_another() -> None:
    evil = "a\x1b\\b\a\x1b]52;c;ZXZpbA==\a\x9c;c\n"
    for environment in ({"TERM": "foot"}, {"TERM": "xterm", "TMUX": "x"}, {}):
        sent = notification(evil, evil, environment)
        assert sent.count("\a") == 1 and "\x9c" not in sent and "\n" not in sent
        assert sent.count("\x1b]") == 1 and sent.count("\x1b\\") == ("TMUX" in environment)
        assert notification(evil, "x", {"TERM": "foot"}).count(";") == 3


@pytest.mark.parametrize(
    ("notify", "rung"),
    [
        (NotifySettings(), []),
        (NotifySettings(bell=True), ["\a"]),
        (NotifySettings(bell=True, desktop=True), ["\a", "\x1b]9;speedtui: run failed: "]),
        (NotifySettings(bell=True, desktop=True, on=["late"]), []),
    ],
)
async def test_an_open_screen_rings_once_where_the_settings_want_it(
    notify: NotifySettings, rung: list[str], open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TMUX", "VTE_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    config = {"notify": msgspec.to_builtins(notify)}
    log = [msgspec.structs.replace(x, config=config) if isinstance(x, e.RunStarted) else x for x in b.training_log()]
    session = RecordedSession(log)
    app = open_app(session, rate_hz=5.0, start_screen="trials")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: session.followed)
        assert app._driver is not None
        sent: list[str] = []
        monkeypatch.setattr(app._driver, "write", sent.append)
        session.hear(log[0])
        session.hear(e.RunFinished(t=9000.0, outcome="failed", exit_code=1, reason="NaN"))
        app.notices.read()
        app.notices.read()
        assert [next((r for r in rung if x.startswith(r)), x) for x in sent if x[0] in "\a\x1b"] == rung
