"""Every key: dispatch, footer, help and palette are made from this one table.

No function keys, no alt and no ctrl but p and l: those are taken by tmux, screen and terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from textual.binding import Binding, BindingType

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState, RunStatus, TrialRow

Scope = Literal["everywhere", "monitor", "trials"]


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether a key does something now."""

    run: RunState
    study: RunState
    selected: TrialRow | None = None


def _always(_: Situation) -> bool:
    return True


def _busy(now: Situation) -> bool:
    return now.run.status.busy


def _training(now: Situation) -> bool:
    training = now.run.training
    return _busy(now) and training is not None and training.finished is None


def _levers(now: Situation) -> bool:
    training = now.run.training
    return training is not None and training.finished is None and bool(training.levers)


def _has_schedule(now: Situation) -> bool:
    return now.run.training is not None


def _study_open(now: Situation) -> bool:
    return now.study.study is not None and now.study.status not in (RunStatus.FINISHED, RunStatus.LOST)


def _selected(*, running: bool | None = None, result: bool | None = None) -> Callable[[Situation], bool]:
    def allowed(now: Situation) -> bool:
        row = now.selected
        if row is None or not _study_open(now):
            return False
        is_running = row.status is TrialStatus.RUNNING
        return (running is None or is_running == running) and (result is None or row.status.finished == result)

    return allowed


def _stoppable(now: Situation) -> bool:
    row = now.selected
    return _study_open(now) and row is not None and row.status in (TrialStatus.RUNNING, TrialStatus.QUEUED)


def _promotable(now: Situation) -> bool:
    return now.selected is not None and now.selected.status is TrialStatus.OK and _study_open(now)


def _some_without_result(now: Situation) -> bool:
    study = now.study.study
    return _study_open(now) and study is not None and study.count(TrialStatus.WAITING) > 0


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key and what it does."""

    id: str
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
    allowed: Callable[[Situation], bool] = _always

    def label_now(self, now: Situation) -> str:
        """What the footer calls it."""
        paused = now.run.status is RunStatus.PAUSED
        return self.paused_label if paused and self.paused_label else self.label


KEYS: tuple[Key, ...] = (
    Key(id="trials.add", keys="a", shown="a", action="add", label="add", scope="trials", allowed=_study_open,
        help="add a candidate"),
    Key(id="trials.duplicate", keys="d", shown="d", action="duplicate", label="duplicate", scope="trials",
        allowed=_selected(), help="duplicate the candidate and edit the copy"),
    Key(id="trials.edit", keys="enter", shown="enter", action="edit", label="edit", scope="trials",
        allowed=_selected(running=False, result=False), help="edit a candidate without a result"),
    Key(id="trials.run", keys="r", shown="r", action="run_trial", label="run", scope="trials",
        allowed=_selected(running=False), help="run it, again if it has a result"),
    Key(id="trials.run_all", keys="R", shown="R", action="run_all", label="run all", scope="trials",
        allowed=_some_without_result, help="run every candidate without a result"),
    Key(id="trials.stop", keys="x", shown="x", action="stop_trial", label="stop", scope="trials",
        allowed=_stoppable, help="stop the trial, or take it out of the queue"),
    Key(id="trials.delete", keys="D", shown="D", action="delete", label="delete", scope="trials",
        allowed=_selected(running=False), help="delete the candidate and its result (asks)"),
    Key(id="trials.promote", keys="P", shown="P", action="promote", label="promote", scope="trials",
        allowed=_promotable, help="promote it to the next training, or save it as a profile"),
    Key(id="run.pause", keys="p,space", shown="p", action="pause", label="pause", paused_label="resume", allowed=_busy,
        help="pause or resume; also space"),
    Key(id="monitor.evaluate", keys="e", shown="e", action="evaluate", label="evaluate", scope="monitor",
        allowed=_training, help="evaluate now"),
    Key(id="monitor.checkpoint", keys="c", shown="c", action="checkpoint", label="checkpoint", scope="monitor",
        allowed=_training, help="save a checkpoint now"),
    Key(id="monitor.schedule", keys="S", shown="S", action="schedule", label="schedule", scope="monitor",
        allowed=_has_schedule, help="edit the schedule, of this run or the next"),
    Key(id="monitor.levers", keys="l", shown="l", action="levers", label="levers", scope="monitor",
        allowed=_levers, help="what helps a late run, to be applied"),
    Key(id="run.stop", keys="s", shown="s", action="stop_safely", label="stop safely", allowed=_busy,
        help="end safely: finish the step, save, write the files"),
    Key(id="screen.monitor", keys="1", shown="1", action="show_screen('monitor')", help="the Monitor"),
    Key(id="screen.trials", keys="2", shown="2", action="show_screen('trials')", help="the Trials"),
    Key(id="move.up", keys="up,k", shown="↑ k", action="move(-1)", help="up: a trial, or towards newer events"),
    Key(id="move.down", keys="down,j", shown="↓ j", action="move(1)", help="down: a trial, or older events"),
    Key(id="move.top", keys="g,home", shown="g", action="move_to('top')", help="to the top"),
    Key(id="move.bottom", keys="G,end", shown="G", action="move_to('bottom')", help="to the bottom"),
    Key(id="rate.slower", keys="left_square_bracket", shown="[", action="rate(1)", help="redraw less often"),
    Key(id="rate.faster", keys="right_square_bracket", shown="]", action="rate(-1)", help="redraw more often"),
    Key(id="screen.freeze", keys="f", shown="f", action="freeze",
        help="freeze the screen; the run goes on"),
    Key(id="screen.redraw", keys="ctrl+l", shown="ctrl+l", action="redraw", help="draw everything again"),
    Key(id="screen.palette", keys="colon,ctrl+p", shown=":", action="command_palette",
        help="all commands by name; also ctrl+p"),
    Key(id="help", keys="question_mark", shown="?", action="help", label="help", help="this help; esc closes it"),
    Key(id="leave", keys="q", shown="q", action="leave", label="quit", help="leave; asks when something runs"),
)  # fmt: skip


def keys_of(scope: Scope) -> Iterator[Key]:
    """The keys of one scope, in the table's order."""
    return (key for key in KEYS if key.scope == scope)


def bindings(scope: Scope) -> list[BindingType]:
    """The same as Textual's bindings; their ids are what a keymap changes."""
    return [Binding(key.keys, key.action, key.help, id=key.id, show=False) for key in keys_of(scope)]


def action_allowed(action: str, now: Situation) -> bool:
    """Whether an action, by its bare name, does something now."""
    key = next((key for key in KEYS if key.action.partition("(")[0] == action), None)
    return key is None or key.allowed(now)
