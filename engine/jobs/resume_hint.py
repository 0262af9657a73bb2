"""What to type to go on with a run that ended before its time."""

from __future__ import annotations

import msgspec

from speedtui.engine.clean import as_typed, shell_line
from speedtui.engine.context.order import Order, read_order
from speedtui.engine.runs import RunFolder


def how_to_go_on(folder: RunFolder, order: Order | None = None) -> str:
    """One line with the command in it; `order`: the run's, where it is at hand. Empty where there is nothing to do,
    and for somebody else's run."""
    if folder.flaw():  # the command would be made of what somebody else has written
        return ""
    order = order or _order(folder)
    if order is None:
        return ""
    if order.job == "train":
        return f"{_from_where(folder)}: {resume_command(folder, order)}"
    script = folder.path / "train.sh"
    return f"Train with the best settings so far: sh {shell_line(str(script))}" if script.exists() else ""


def resume_command(folder: RunFolder, order: Order) -> str:
    """What to type to go on with a training, wherever its runs are."""
    return as_typed([*_train(folder, order), "--resume", folder.id])


def _train(folder: RunFolder, order: Order) -> list[str]:
    """How `speedtui train` was called, with the folder that the run is in now for its runs."""
    words = list(order.train_command)
    if "--runs" in words[:-1]:
        words[words.index("--runs") + 1] = str(folder.path.parent)
    return words


def go_on_lower(folder: RunFolder, order: Order, learning_rate: float, step: int | None) -> str:
    """What to do after a training has diverged; `step`: of the checkpoint that is left, None where none is."""
    rate = ["--learning-rate", f"{learning_rate:.6g}"]
    if order.job != "train":
        return f"Train with train.learning_rate = {rate[1]}."
    if step is not None:
        return f"Go on from step {step} at a lower rate: {resume_command(folder, order)} {shell_line(*rate)}"
    command = [*_train(folder, order), "--config", str(folder.config), *rate]
    return f"Start again at a lower rate: {as_typed(command)}"


def _from_where(folder: RunFolder) -> str:
    saved = any(folder.checkpoints.glob("checkpoint-*"))
    return "Go on from the last checkpoint" if saved else "It has no checkpoint yet; start it again"


def _order(folder: RunFolder) -> Order | None:
    try:
        return read_order(folder)
    except (OSError, msgspec.DecodeError):
        return None
