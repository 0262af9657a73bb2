"""One log for each state that a screen can be in, for pictures and for walks over all of them."""

from __future__ import annotations

from collections.abc import Callable

import builders as b
import builders_plan as bp
import msgspec

from speedtui.engine import events as e
from speedtui.engine.events import AnyEvent


def measuring_log() -> list[AnyEvent]:
    """A training whose first steps are being timed: no verdict yet."""
    return b.training_log(60, verdict="measuring", every=5)


def out_of_memory_log() -> list[AnyEvent]:
    """A training that ended because the device ran out of memory."""
    log = b.training_log(2400)
    reason = "out of memory in backward at step 2401: 4.3 GiB more were asked for with 0.5 GiB free"
    end = e.RunFinished(
        t=log[-1].t + 1, outcome="failed", exit_code=1, reason=reason,
        next="Halve train.micro_batch_size, or turn on train.gradient_checkpointing.",
    )  # fmt: skip
    return [*log, end]


def failed_log() -> list[AnyEvent]:
    """A training whose worker went away."""
    log = b.training_log(2400)
    t = log[-1].t + 1
    reason = "the worker was killed by SIGKILL"
    return [
        *log, e.WorkerLost(t=t, reason="killed by SIGKILL", restarting=False),
        e.RunFinished(t=t, outcome="failed", exit_code=1, reason=reason,
                      next="Go on from the last checkpoint: speedtui train --resume"),
    ]  # fmt: skip


def after_a_study(training: list[AnyEvent]) -> list[AnyEvent]:
    """The training with the study that it was promoted from before it, so that the Trials list something."""
    study = b.study_log(finished=True)
    start = study[-1].t
    return [training[0], *study[1:], *(msgspec.structs.replace(event, t=event.t + start) for event in training[1:])]


def planned(log: list[AnyEvent], *, late: bool = False) -> list[AnyEvent]:
    """The same run with a window in its configuration and a plan of it, so that the Plan is full."""
    at = next(i for i, event in enumerate(log) if isinstance(event, e.ModelLoaded)) + 1
    tables = {**bp.TABLES, **({"window": {"length": "2h", "margin": "20m"}} if late else {})}
    return bp.with_config([*log[:at], e.PlanMade(t=log[at - 1].t, plan=bp.plan()), *log[at:]], **tables)


TRAININGS: dict[str, Callable[[], list[AnyEvent]]] = {
    "measuring": measuring_log,
    "on-track": b.training_log,
    "tight": lambda: b.training_log(verdict="tight"),
    "late": b.late_training_log,
    "out-of-memory": out_of_memory_log,
    "failed": failed_log,
    "finished": b.finished_training_log,
    "slow-link": b.training_log,
}
STATES = ("empty", *TRAININGS)
PLANNED = ("on-track", "late")
"""States in which a plan was made before."""


def state_log(state: str, screen: str) -> list[AnyEvent]:
    """What a run wrote that is in a state, looked at on a screen: the Trials are looked at while they are measured."""
    if state == "empty":
        return []
    if screen == "trials" and state in ("measuring", "slow-link"):
        return b.study_log()
    training = TRAININGS[state]()
    if screen == "monitor":
        return training
    log = after_a_study(training)
    return planned(log, late=state == "late") if state in PLANNED else log
