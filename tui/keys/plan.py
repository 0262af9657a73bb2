"""The Plan: profiles and the next run's schedule."""

from __future__ import annotations

from speedtui.tui.keys.key import Key
from speedtui.tui.keys.situations import training

ADJUST, TEN = "the value down, up; h l", "ten values down, up"

PLAN = (
    Key(id="plan.less", keys="left,h", shown="←", action="adjust(-1)", label="adjust", scope="plan", together=ADJUST,
        help="the setting's value down; also h"),
    Key(id="plan.more", keys="right,l", shown="→", action="adjust(1)", label="adjust", scope="plan", together=ADJUST,
        help="the setting's value up; also l"),
    Key(id="plan.much_less", keys="H,shift+left", shown="H", action="adjust(-10)", label="×10", scope="plan",
        together=TEN, help="ten values down"),
    Key(id="plan.much_more", keys="L,shift+right", shown="L", action="adjust(10)", label="×10", scope="plan",
        together=TEN, help="ten values up"),
    Key(id="plan.choose", keys="enter", shown="enter", action="choose", label="type / take", scope="plan",
        help="type a value; in the other panes take the profile or the row"),
    Key(id="plan.goal", keys="g", shown="g", action="goal", label="goal-seek", scope="plan",
        help="goal-seek: the most evaluations, epochs or steps that still fit"),
    Key(id="plan.write", keys="w", shown="w", action="write", label="write", scope="plan",
        help="write the next run's configuration; nothing is overwritten"),
    Key(id="plan.undo", keys="u", shown="u", action="undo", label="undo", scope="plan", help="undo the last edit"),
    Key(id="plan.now", keys="S", shown="S", action="steer", label="into this run", scope="plan", allowed=training,
        help="take what can be changed now into the run in progress (asks)"),
    Key(id="plan.plan", keys="R", shown="R", action="plan", label="plan", scope="plan",
        help="plan: measure each profile, or predict from earlier runs"),
    Key(id="plan.save", keys="P", shown="P", action="save_profile", label="save profile", scope="plan",
        help="save the next run's settings as a profile of your own"),
    Key(id="plan.reset", keys="0", shown="0", action="reset", label="reset", scope="plan",
        help="the setting as this run has it"),
    Key(id="plan.reset_all", keys="U", shown="U", action="reset_all", label="reset all", scope="plan",
        help="all settings as this run has them"),
    Key(id="plan.toggle", keys="space", shown="space", action="flip", scope="plan",
        help="a setting on or off; in the other panes take the row"),
)  # fmt: skip
