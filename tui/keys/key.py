"""What a key is, and what decides whether it does something now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from speedtui.engine.state import RunState, RunStatus, TrialRow
from speedtui.tui.keys.names import shown_name

if TYPE_CHECKING:
    from speedtui.engine.advise.strategy import AdvisorStrategy

Scope = Literal["everywhere", "replay", "monitor", "trials", "plan", "advisor"]


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether a key does something now."""

    run: RunState
    study: RunState
    selected: TrialRow | None = None
    """The trial under the cursor of the Trials."""
    strategy: AdvisorStrategy | None = None
    """The one under the cursor of the Advisor."""
    taken: bool = False
    """The next run has it already."""
    next_differs: bool = False
    """The next run has something that this one has not."""
    next_edited: bool = False
    """Something was done to the next run that can be undone."""
    replaying: bool = False
    """A recording is shown."""
    read_only: bool = False
    """Nobody follows commands: a recording, or a run that is over."""
    runs: int = 1
    """How many runs are open on this screen."""


def always(_: Situation) -> bool:
    """Whatever goes on."""
    return True


class Key(msgspec.Struct, frozen=True):
    """One key and what it does: a row of the table."""

    id: str
    """Such as `trials.add`; what a keymap file names it by."""
    keys: str
    """Textual's names, separated by commas."""
    action: str
    help: str
    shown: str = ""
    """As people read it; by default the first of them."""
    label: str = ""
    """In the footer, where neighbours with the same label stand as one; empty for keys that are in the help alone."""
    short: str = ""
    """Instead of `label` where there is little room."""
    paused_label: str = ""
    """Instead of `label` while the run is paused."""
    together: str = ""
    """What it and its neighbours with the same words here do, in one row of the help; empty for a row of its own."""
    scope: Scope = "everywhere"
    allowed: Callable[[Situation], bool] = always
    live: bool = False
    """Works on a run that goes on; of one that is over it is not in the footer."""
    over_dialogs: bool = False
    """Works whatever is in front, fields that take text included."""

    def __post_init__(self) -> None:
        if not self.shown:
            msgspec.structs.force_setattr(self, "shown", shown_name(self.keys.split(",")[0]))

    def gone(self, now: Situation) -> bool:
        """Whether it can never work again with what is shown."""
        run = now.study if self.scope in ("trials", "advisor") else now.run
        return self.live and not self.allowed(now) and (now.read_only or run.status is RunStatus.FINISHED)

    def label_now(self, now: Situation, *, short: bool = False) -> str:
        """What the footer calls it."""
        paused = now.run.status is RunStatus.PAUSED
        if paused and self.paused_label:
            return self.paused_label
        return self.short if short and self.short else self.label
