"""What a key is, and what decides whether it does something now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from speedtui.engine.state import RunState, RunStatus, TrialRow

Scope = Literal["everywhere", "replay", "monitor", "trials", "plan", "advisor"]


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether a key does something now."""

    run: RunState
    study: RunState
    selected: TrialRow | None = None
    """The trial under the cursor of the Trials."""
    replaying: bool = False
    """A recording is shown."""
    read_only: bool = False
    """Nobody follows commands: a recording, or a run that is over."""
    runs: int = 1
    """How many runs are open on this screen."""


def always(_: Situation) -> bool:
    """Whatever goes on."""
    return True


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key and what it does."""

    id: str
    """Such as `trials.add`; what a keymap file names it by."""
    keys: str
    """Textual's names, separated by commas."""
    shown: str
    """As people read it."""
    action: str
    label: str = ""
    """In the footer; empty for keys that stand in the help alone."""
    paused_label: str = ""
    """Instead of `label` while the run is paused."""
    help: str
    scope: Scope = "everywhere"
    allowed: Callable[[Situation], bool] = always

    def label_now(self, now: Situation) -> str:
        """What the footer calls it."""
        paused = now.run.status is RunStatus.PAUSED
        return self.paused_label if paused and self.paused_label else self.label
