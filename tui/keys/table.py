"""The table of all keys, and what is made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

import msgspec
from textual.binding import Binding, BindingType

from speedtui.tui.keys.advisor import ADVISOR
from speedtui.tui.keys.everywhere import EVERYWHERE, REPLAY
from speedtui.tui.keys.key import Key, Scope, Situation
from speedtui.tui.keys.monitor import MONITOR
from speedtui.tui.keys.names import shown_name
from speedtui.tui.keys.plan import PLAN
from speedtui.tui.keys.trials import TRIALS

KEYS: tuple[Key, ...] = (*MONITOR, *TRIALS, *PLAN, *ADVISOR, *REPLAY, *EVERYWHERE)
"""A screen's own keys come before those that work everywhere."""

SCREENS: tuple[Scope, ...] = ("monitor", "trials", "plan", "advisor")
"""In the order of their number keys."""
SHARED: tuple[Scope, ...] = ("replay", "everywhere")
"""Scopes whose keys work on every screen."""

Keymap = Mapping[str, str]
"""Keys by ids of the table, instead of the table's own: Textual's names, separated by commas."""
AS_SHIPPED: Keymap = {}

OVERRIDES: dict[tuple[Scope, str], str] = {
    ("trials", "K"): "the study's worker, which need not be the one in front; its footer names it while a trial runs",
    ("trials", "y"): "the same; its footer says what is copied",
    ("plan", "g"): "goal-seek; the first setting is one home away",
    **dict.fromkeys(
        (("plan", name) for name in ("left", "right", "H", "L", "shift+left", "shift+right")),
        "adjusts a setting; a recording is sought on the other screens",
    ),
    ("replay", "home"): "goes to a recording's beginning; g goes to the top there, too",
    ("replay", "end"): "goes to a recording's end; G goes to the bottom there, too",
}
"""Why a screen takes a key from those that work everywhere. Any other such key is a mistake."""


def keys_of(scope: Scope, keymap: Keymap = AS_SHIPPED) -> Iterator[Key]:
    """The keys of one scope, in the table's order, as a keymap has them."""
    return (rekeyed(key, keymap) for key in KEYS if key.scope == scope)


def rekeyed(key: Key, keymap: Keymap) -> Key:
    """The key as a keymap has it."""
    names = keymap.get(key.id)
    if names is None:
        return key
    return msgspec.structs.replace(key, keys=names, shown=" ".join(shown_name(name) for name in names.split(",")))


def grouped(keys: Iterator[Key]) -> Iterator[tuple[str, str]]:
    """(keys, what they do) by row of the help: neighbours that belong together stand in one."""
    for together, group in groupby(keys, key=lambda key: key.together or key.id):
        members = list(group)
        yield " ".join(key.shown for key in members), together if members[0].together else members[0].help


def bindings(*scopes: Scope) -> list[BindingType]:
    """The same as Textual's bindings; their ids are what a keymap changes."""
    return [
        Binding(key.keys, key.action, key.help, id=key.id, show=False, priority=key.over_dialogs)
        for scope in scopes
        for key in keys_of(scope)
    ]  # fmt: skip


def screen_bindings() -> list[BindingType]:
    """The number keys as bindings of a dialog that is only read: it gives way to the screen."""
    numbers = [key for key in EVERYWHERE if key.action.startswith("show_screen(")]
    return [
        Binding(key.keys, key.action.replace("show_screen", "leave_for"), key.help, id=key.id, show=False)
        for key in numbers
    ]  # fmt: skip


def action_allowed(scope: Scope, action: str, now: Situation) -> bool:
    """Whether an action, by its bare name, does something now on a screen."""
    candidates = [key for key in KEYS if _bare(key.action) == action and key.scope in (scope, *SHARED)]
    return not candidates or any(key.allowed(now) for key in candidates)


def clashes(keymap: Keymap = AS_SHIPPED) -> list[tuple[str, Key, Key]]:
    """(the key's name, who comes first, who never hears of it) for each two that one screen would confuse.

    A screen may have a key of its own for one that works everywhere where OVERRIDES says why.
    """
    found: dict[tuple[str, str, str], tuple[str, Key, Key]] = {}
    for screen in SCREENS:
        taken: dict[str, Key] = {}
        for key in (key for scope in (screen, *SHARED) for key in keys_of(scope, keymap)):
            for name in key.keys.split(","):
                first = taken.setdefault(name, key)
                if first.id != key.id and not _meant(first, key, name, keymap):
                    found[name, first.id, key.id] = (name, first, key)
    return list(found.values())


def _meant(first: Key, second: Key, name: str, keymap: Keymap) -> bool:
    if first.id in keymap or second.id in keymap or first.scope == second.scope:
        return False
    return (first.scope, name) in OVERRIDES


def _bare(action: str) -> str:
    """Without parameters and without whose action it is."""
    return action.partition("(")[0].rpartition(".")[2]
