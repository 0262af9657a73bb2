"""The Plan: profiles and the next run's schedule."""

from __future__ import annotations

from functools import partial

from speedtui.tui.keys.key import Key, Situation
from speedtui.tui.keys.situations import next_differs, training

ADJUST, TEN = "the value down, up; h l", "ten values down, up"


def edited(now: Situation) -> bool:
    """There is something to undo."""
    return now.next_edited


def steerable(now: Situation) -> bool:
    """The run in progress could take up what the next one changes."""
    return training(now) and now.next_differs


key = partial(Key, scope="plan")

PLAN = (
    key("plan.less", "left,h", "adjust(-1)", "the value down; also h", label="adjust", together=ADJUST),
    key("plan.more", "right,l", "adjust(1)", "the value up; also l", label="adjust", together=ADJUST),
    key("plan.much_less", "H,shift+left", "adjust(-10)", "ten values down", label="×10", together=TEN),
    key("plan.much_more", "L,shift+right", "adjust(10)", "ten values up", label="×10", together=TEN),
    key("plan.choose", "enter", "choose", "type a value, take a row", label="type / take"),
    key("plan.goal", "g", "goal", "goal-seek: most that fits", label="goal-seek"),
    key("plan.write", "w", "write", "write next.toml, a new file", label="write", allowed=next_differs),
    key("plan.undo", "u", "undo", "undo the last edit", label="undo", allowed=edited),
    key("plan.now", "S", "steer", "change this run now (asks)", label="into this run", allowed=steerable, live=True),
    key("plan.plan", "R", "plan", "plan: measure or predict", label="plan"),
    key("plan.save", "P", "save_profile", "save as your own profile", label="save profile"),
    key("plan.reset", "0", "reset", "this setting as the run's", label="reset"),
    key("plan.reset_all", "U", "reset_all", "all settings as the run's", label="reset all", allowed=next_differs),
    key("plan.toggle", "space", "flip", "on or off, take a row"),
)  # fmt: skip
