"""What happens to a run when the screen is left, or the run is stopped."""

from __future__ import annotations

from speedtui.engine.state import RunState, RunStatus
from speedtui.tui.drawing.text import clean
from speedtui.tui.screens.confirm import Question, QuestionChoice


def ask_leave(run: RunState, *, named: bool = False, in_thread: bool = False) -> Question:
    """Detaching is the first answer: it loses nothing. `named`: which run it is, where several are open; `in_thread`:
    the job runs in this program and cannot outlive it.
    """
    what = {RunStatus.TRAINING: "A training runs", RunStatus.PAUSED: "The run is paused"}.get(
        run.status, "A study runs"
    )
    which = f": {clean(run.run)}" if named else ""
    kept = "save a checkpoint, " if run.training is not None else ""
    leave = QuestionChoice("detach", "d", "detach", "leave it running; `speedtui attach` shows it again")
    if in_thread:
        leave = QuestionChoice(
            "detach", "d", "leave", "it runs in this program, so leaving ends it safely after this step"
        )
    return Question("Leave?", f"{what}{which}.", [
        leave,
        QuestionChoice("stop", "", "stop safely", f"finish the step, {kept}write the files, then leave"),
        QuestionChoice("cancel", "", "cancel", "end at the next step without saving, then leave"),
    ])  # fmt: skip


def ask_stop(run: RunState) -> Question:
    """One slip of a finger, or a text that is pasted, should not end a training of twelve hours or a study."""
    training = run.training
    if training is None or training.finished is not None:
        return Question("Stop the run?", "What is measured stays.", [
            QuestionChoice("keep", "n", "go on", "change nothing"),
            QuestionChoice("stop", "", "stop safely", "finish the step in progress and write the files"),
        ])  # fmt: skip
    return Question("Stop the training?", f"It is at step {training.step} of {training.total_steps}.", [
        QuestionChoice("keep", "n", "go on", "change nothing"),
        QuestionChoice("stop", "", "stop safely",
                       "finish the step and save a checkpoint; `--resume` goes on from there"),
    ])  # fmt: skip
