"""The table of keys itself: no two confused, none that terminals take, each to be found."""

from __future__ import annotations

import builders as b
import pytest

from speedtui.engine.state import RunState, StateReducer
from speedtui.tui.drawing.text import plain, width_of
from speedtui.tui.keys import KEYS, Key, Scope, Situation
from speedtui.tui.keys.key import always
from speedtui.tui.keys.table import OVERRIDES, SCREENS, clashes, grouped, keys_of
from speedtui.tui.panes.footer import draw_footer
from speedtui.tui.screens.help import draw_help, found_keys


def fold(events: list[object]) -> RunState:
    folder = StateReducer()
    for event in events:
        folder.apply(event)  # type: ignore[arg-type]
    return folder.snapshot()


TRAINING = fold(b.training_log(200))  # type: ignore[arg-type]
NOW = Situation(run=TRAINING, study=TRAINING)


def footer(scope: Scope, width: int, height: int = 1, now: Situation = NOW) -> str:
    return " ".join(plain(line) for line in draw_footer(scope, now, width, height))


def test_no_key_means_two_things_on_one_screen_unless_the_table_says_why() -> None:
    assert [(name, first.id, second.id) for name, first, second in clashes()] == []


def test_every_override_is_one_and_has_a_reason() -> None:
    for (scope, name), reason in OVERRIDES.items():
        own = [key for key in keys_of(scope) if name in key.keys.split(",")]
        shared = [key for place in ("everywhere", "replay") for key in keys_of(place) if name in key.keys.split(",")]  # type: ignore[arg-type]
        assert own and shared, f"{scope} {name} overrides nothing"
        assert len(reason) > 20


def test_no_key_is_one_that_terminals_take_for_themselves() -> None:
    names = {name for key in KEYS for name in key.keys.split(",")}
    assert not [name for name in names if name.startswith(("f1", "f2", "alt+")) and name != "f"]
    assert {name for name in names if name.startswith("ctrl+")} == {"ctrl+l", "ctrl+p", "ctrl+z"}


def test_ids_are_unique_and_none_is_the_table_of_another() -> None:
    """In the keymap file `filter = …` and `filter.next = …` cannot both stand."""
    ids = [key.id for key in KEYS]
    assert len(ids) == len(set(ids))
    assert not [(one, other) for one in ids for other in ids if other.startswith(one + ".")]


@pytest.mark.parametrize("key", KEYS, ids=[key.id for key in KEYS])
def test_every_key_is_in_the_help_with_what_it_does(key: Key) -> None:
    scope = key.scope if key.scope in SCREENS else "monitor"
    shown = " ".join(" ".join(plain(line).split()) for line in draw_help(scope, 400, replaying=True))
    words = key.together or key.help
    row = next(keys for keys, what in grouped(keys_of(key.scope)) if what == words and key.shown in keys)
    assert f"{row} {words}" in shown


@pytest.mark.parametrize("key", KEYS, ids=[key.id for key in KEYS])
def test_every_key_is_found_by_what_it_does(key: Key) -> None:
    assert key.shown in "\n".join(plain(line) for line in found_keys(key.help, 100))


@pytest.mark.parametrize("scope", SCREENS)
@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_the_footer_always_has_the_help_and_the_way_out(scope: Scope, width: int) -> None:
    for height in (1, 2):
        rows = draw_footer(scope, NOW, width, height)
        assert len(rows) <= height
        assert all(width_of(line) <= width for line in rows)
        text = " ".join(plain(line) for line in rows)
        assert "? help" in text and "q quit" in text


@pytest.mark.parametrize("scope", SCREENS)
def test_every_labelled_key_is_in_the_footer_of_a_wide_screen(scope: Scope) -> None:
    text = footer(scope, 400, 2)
    for key in (*keys_of(scope), *keys_of("everywhere")):
        assert not key.label or (key.shown in text and key.label in text)


def test_the_monitors_footer_begins_with_what_is_used_most() -> None:
    assert footer("monitor", 80).split()[:4] == ["space", "pause", "e", "eval"]
    assert "[ ] rate" in footer("monitor", 200)


def test_what_does_nothing_now_is_grey_in_the_footer() -> None:
    idle = fold(b.idle_study_log())  # type: ignore[arg-type]
    rows = draw_footer("monitor", Situation(run=idle, study=idle), 200, 1)
    styles = {span.text.strip(): span.style for span in rows[0]}
    assert styles["e"] == "off" and styles["q"] == "key"


def test_what_can_never_work_again_is_not_in_the_footer_of_a_run_that_is_over() -> None:
    over = fold(b.finished_training_log())  # type: ignore[arg-type]
    done = Situation(run=over, study=over)
    for word in ("pause", "evaluate", "checkpoint", "stop safely", "levers", "mark"):
        assert word in footer("monitor", 400) and word not in footer("monitor", 400, now=done)
    assert "schedule" in footer("monitor", 400, now=done) and "profile" in footer("monitor", 400, now=done)
    study = fold(b.study_log(finished=True))  # type: ignore[arg-type]
    over_study = Situation(run=study, study=study, read_only=True)
    assert "promote" in footer("trials", 400, now=over_study) and "run all" not in footer("trials", 400, now=over_study)


def test_a_recording_can_be_paused_and_nothing_else_be_asked_of_it() -> None:
    text = footer("monitor", 400, now=Situation(run=TRAINING, study=TRAINING, replaying=True, read_only=True))
    assert "pause" in text and "faster" in text and "evaluate" not in text and "stop safely" not in text


def test_the_help_stands_in_two_columns_at_eighty_and_in_one_at_forty() -> None:
    for scope in SCREENS:
        wide, narrow = draw_help(scope, 76), draw_help(scope, 36)
        assert "Everywhere" in plain(wide[0]) and scope.capitalize() in plain(wide[0])
        assert all(width_of(line) <= 76 for line in wide)
        assert all(width_of(line) <= 36 for line in narrow)
        assert len(wide) < len(narrow)


def test_a_recordings_keys_are_in_the_help_of_a_recording_alone() -> None:
    live = "\n".join(plain(line) for line in draw_help("monitor", 100))
    replay = "\n".join(plain(line) for line in draw_help("monitor", 100, replaying=True))
    words = next(keys_of("replay")).help
    assert words not in live and words in replay


def test_keys_that_always_do_something_are_the_ones_without_a_condition() -> None:
    empty = RunState()
    nothing = Situation(run=empty, study=empty, read_only=True)
    for key in KEYS:
        assert key.allowed is not always or key.allowed(nothing)
        key.allowed(nothing)  # any situation can be asked about
