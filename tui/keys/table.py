"""The table of all keys, and what is made from it."""

from __future__ import annotations

from collections.abc import Iterator

from textual.binding import Binding, BindingType

from speedtui.tui.keys.advisor import ADVISOR
from speedtui.tui.keys.everywhere import EVERYWHERE
from speedtui.tui.keys.key import Key, Scope, Situation
from speedtui.tui.keys.monitor import MONITOR
from speedtui.tui.keys.plan import PLAN
from speedtui.tui.keys.replay import REPLAY
from speedtui.tui.keys.trials import TRIALS

KEYS: tuple[Key, ...] = (*MONITOR, *TRIALS, *PLAN, *ADVISOR, *REPLAY, *EVERYWHERE)
"""A screen's own keys come before those that work everywhere."""


def keys_of(scope: Scope) -> Iterator[Key]:
    """The keys of one scope, in the table's order."""
    return (key for key in KEYS if key.scope == scope)


def bindings(*scopes: Scope) -> list[BindingType]:
    """The same as Textual's bindings; their ids are what a keymap changes."""
    return [
        Binding(key.keys, key.action, key.help, id=key.id, show=False)
        for scope in scopes
        for key in keys_of(scope)
    ]  # fmt: skip


def action_allowed(scope: Scope, action: str, now: Situation) -> bool:
    """Whether an action, by its bare name, does something now on a screen."""
    candidates = [key for key in KEYS if _bare(key.action) == action and key.scope in (scope, "everywhere", "replay")]
    return not candidates or any(key.allowed(now) for key in candidates)


def _bare(action: str) -> str:
    """Without parameters and without whose action it is."""
    return action.partition("(")[0].rpartition(".")[2]
