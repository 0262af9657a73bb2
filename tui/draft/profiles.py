"""Profiles side by side, and the one that the next run takes."""

from __future__ import annotations

from pathlib import Path

from speedtui.engine.commands import Finish
from speedtui.tui.draft.front_draft import look
from speedtui.tui.draft.next_run import NextRun
from speedtui.tui.draft.planning import save_as_profile, take_option, written
from speedtui.tui.options import TrainingStart
from speedtui.tui.protocols import AppUse, ShownRuns
from speedtui.tui.screens.profiles import ProfilesScreen


def choose_profile(app: AppUse) -> None:
    """Shows the list; the one chosen goes to the next run."""
    shown = look(app)
    if shown is None:
        app.notify("The profiles come when the configuration is read.", severity="warning")
        return
    app.push_screen(ProfilesScreen(shown, can_train=can_train(app)), lambda answer: _chosen(app, answer))


def can_train(app: ShownRuns) -> bool:
    """Whether the device is free for a training that is started from here."""
    return app.options.train is not None and (app.front.ended or not app.front.state().status.busy)


def _chosen(app: AppUse, answer: tuple[str, str] | None) -> None:
    if answer is None:
        return
    action, name = answer
    take_option(app, name)
    if action == "save":
        save_as_profile(app)
    elif action == "train":
        train_now(app)
    else:
        app.notify(f"The next run takes {name}. 3 shows what it comes to; w there writes it.")


def train_now(app: AppUse) -> None:
    """Writes the next run's configuration and trains with it, once a study that waits has ended."""
    shown, path = look(app), written(app, always=True)
    if shown is None or path is None:
        return
    wanted = _start(shown, path)
    if app.front.ended:
        app.commands.train(wanted)
        return
    if app.commands.send(Finish()):
        app.notices.await_end(app.front, wanted)


def _start(shown: NextRun, path: Path) -> TrainingStart:
    """Called as the profile is, with what the Plan says of the very run."""
    taken = next((line.option for line in shown.lines if line.taken), None)
    steps = shown.option.step_seconds if shown.option is not None and not shown.computed else None
    return TrainingStart(
        config_file=str(path), profile=taken.name if taken is not None and taken.kind == "profile" else None,
        estimate=shown.estimate, step_seconds=steps,
    )  # fmt: skip
