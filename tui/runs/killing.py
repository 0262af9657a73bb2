"""The last resort: a worker that answers to nothing is killed, after asking."""

from __future__ import annotations

from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.state import RunState
from speedtui.engine.units import format_count
from speedtui.tui.protocols import AppUse
from speedtui.tui.runs.open_run import OpenRun
from speedtui.tui.screens.confirm import Question, QuestionChoice


def ask_and_kill(app: AppUse, *, study: bool = False) -> None:
    """Says what would be lost, and kills the worker of the run in front, or of the study's."""
    following = app.study if study else app.front
    if app.commands.refused(study=study):
        return
    if following.ended:
        app.notify("The run is over: there is no worker to kill.", severity="warning")
        return

    def answered(answer: str | None) -> None:
        if answer == "kill":
            _kill(app, following)

    app.push_screen(ask_kill(following.state()), answered)


def ask_kill(run: RunState) -> Question:
    """Keeping is the first answer; the text says what is lost and what comes after."""
    return Question("Kill the worker?", what_is_lost(run), [
        QuestionChoice("keep", "n", "keep", "change nothing; `s` ends it safely at its next step"),
        QuestionChoice("kill", "", "kill", "the worker and all of its processes, at once (SIGKILL)"),
    ])  # fmt: skip


def what_is_lost(run: RunState) -> str:
    """By what the run is at."""
    if run.training is not None:
        return _training_lost(run)
    running = run.study.running if run.study is not None else None
    if running is not None:
        return (
            f"Trial #{running.candidate.id} ({running.candidate.label}) is marked as failed and not tried again by "
            "itself. The session that started the study starts its worker again and goes on with the next trial."
        )
    if run.study is not None and run.job in ("tune", "demo"):
        return "No trial runs. The session that started the study starts its worker again."
    return "What it has not written yet is lost, and it is not started again by itself."


def _training_lost(run: RunState) -> str:
    training = run.training
    assert training is not None
    saved = training.checkpoints[-1].step if training.checkpoints else None
    if saved is None:
        lost = f"There is no checkpoint yet: all {format_count(training.step)} steps are lost."
    else:
        lost = f"The {format_count(training.step - saved)} steps since the checkpoint at step {saved} are lost."
    return f"{lost} It is not started again by itself.\nTo go on later: speedtui train --resume {run.run}"


def _kill(app: AppUse, following: OpenRun) -> None:
    try:
        following.session.kill()
    except SpeedtuiError as error:
        app.notify(f"{error.message}. {error.hint}", title="Not killed", severity="error")
    app.drawing.now()
