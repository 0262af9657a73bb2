"""The title of the terminal's window."""

from __future__ import annotations

import builders as b
import pytest

from speedtui.engine import events as e
from speedtui.engine.state import fold
from speedtui.tui.terminal.title import Title, title_of


class Window:
    """Remembers its titles."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def set_title(self, text: str) -> None:
        self.titles.append(text)


@pytest.mark.parametrize(
    ("log", "title"),
    [
        (b.training_log(), "42% ON TRACK · 02:04 · speedtui"),
        (b.study_log(), "tuning 5/8 · 2 queued · speedtui"),
        (b.idle_study_log(), "idle · speedtui"),
        (b.loading_log(), "loading · speedtui"),
        (b.finished_training_log(), "100% done · speedtui"),
        ([], "starting · speedtui"),
    ],
)
def test_a_title_says_how_far_it_is_and_whether_it_is_in_time(log: list[e.AnyEvent], title: str) -> None:
    assert title_of(fold(log)) == title


def test_a_title_is_sent_when_it_changes_and_at_most_once_a_second() -> None:
    window, title = Window(), Title()
    for log in (b.training_log(), b.training_log(), b.study_log()):
        title.show(window, fold(log))
    assert window.titles == ["42% ON TRACK · 02:04 · speedtui"]
