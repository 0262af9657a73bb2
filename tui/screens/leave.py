"""What happens to a run when the screen is left."""

from __future__ import annotations

from typing import Literal

from speedtui.engine.state import RunState, RunStatus
from speedtui.tui.screens.confirm import Choice, Question

Leaving = Literal["detach", "stop", "cancel"]


def ask_leave(run: RunState) -> Question:
    """Detaching is the first answer: it loses nothing."""
    what = {RunStatus.TRAINING: "A training runs", RunStatus.PAUSED: "The run is paused"}.get(
        run.status, "A study runs"
    )
    kept = "save a checkpoint, " if run.training is not None else ""
    return Question("Leave?", f"{what}.", [
        Choice("detach", "d", "detach", "leave it running; `speedtui attach` shows it again"),
        Choice("stop", "s", "stop safely", f"finish the step, {kept}write the files, then leave"),
        Choice("cancel", "c", "cancel", "end at the next step without saving, then leave"),
    ])  # fmt: skip
