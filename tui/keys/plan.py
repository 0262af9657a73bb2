"""The Plan: profiles and the next run's schedule."""

from __future__ import annotations

from speedtui.tui.keys.key import Key, Situation
from speedtui.tui.keys.situations import training

ADJUST, TEN = "the value down, up; h l", "ten values down, up"


def differs(now: Situation) -> bool:
    """The next run is another one than this."""
    return now.next_differs


def edited(now: Situation) -> bool:
    """There is something to undo."""
    return now.next_edited


def steerable(now: Situation) -> bool:
    """The run in progress could take up what the next one changes."""
    return training(now) and now.next_differs


PLAN = (
    Key(id="plan.less", keys="left,h", shown="←", action="adjust(-1)", label="adjust", scope="plan", together=ADJUST,
        help="the value down; also h"),
    Key(id="plan.more", keys="right,l", shown="→", action="adjust(1)", label="adjust", scope="plan", together=ADJUST,
        help="the value up; also l"),
    Key(id="plan.much_less", keys="H,shift+left", shown="H", action="adjust(-10)", label="×10", scope="plan",
        together=TEN, help="ten values down"),
    Key(id="plan.much_more", keys="L,shift+right", shown="L", action="adjust(10)", label="×10", scope="plan",
        together=TEN, help="ten values up"),
    Key(id="plan.choose", keys="enter", shown="enter", action="choose", label="type / take", scope="plan",
        help="type a value, take a row"),
    Key(id="plan.goal", keys="g", shown="g", action="goal", label="goal-seek", scope="plan",
        help="goal-seek: most that fits"),
    Key(id="plan.write", keys="w", shown="w", action="write", label="write", scope="plan", allowed=differs,
        help="write next.toml, a new file"),
    Key(id="plan.undo", keys="u", shown="u", action="undo", label="undo", scope="plan", allowed=edited,
        help="undo the last edit"),
    Key(id="plan.now", keys="S", shown="S", action="steer", label="into this run", scope="plan", allowed=steerable,
        live=True, help="change this run now (asks)"),
    Key(id="plan.plan", keys="R", shown="R", action="plan", label="plan", scope="plan",
        help="plan: measure or predict"),
    Key(id="plan.save", keys="P", shown="P", action="save_profile", label="save profile", scope="plan",
        help="save as your own profile"),
    Key(id="plan.reset", keys="0", shown="0", action="reset", label="reset", scope="plan",
        help="this setting as the run's"),
    Key(id="plan.reset_all", keys="U", shown="U", action="reset_all", label="reset all", scope="plan", allowed=differs,
        help="all settings as the run's"),
    Key(id="plan.toggle", keys="space", shown="space", action="flip", scope="plan",
        help="on or off, take a row"),
)  # fmt: skip
