"""speedtui send"""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode, JobError
from speedtui.engine.log.tail import EventTail
from speedtui.engine.runs import find_run
from speedtui.engine.session.attached import AttachedSession
from speedtui.tui.commands.options import Common, common_options

COMMANDS: dict[str, Callable[[], c.AnyCommand]] = {
    "pause": c.Pause, "resume": c.Resume, "stop": c.Stop, "cancel": c.Cancel, "eval": c.Evaluate,
    "checkpoint": c.Checkpoint,
}  # fmt: skip
ANSWER_SECONDS = 60.0
"""Waited for the job's next step boundary."""


@click.command("send")
@common_options
@click.argument("run")
@click.argument("name", type=click.Choice(list(COMMANDS)))
def command(common: Common, run: str, name: str) -> ExitCode:
    """Send a command to a running job and wait for its answer."""
    folder = find_run(common.runs, run)
    tail = EventTail(folder.events)
    while tail.read():
        pass  # only what comes after the command can be its answer
    sent = COMMANDS[name]()
    AttachedSession(folder).send(sent)
    answer = _answer(tail, sent.id)
    if common.json:
        click.echo(e.encode(answer), nl=False)
    if isinstance(answer, e.CommandRefused):
        raise JobError(f"{name} refused: {answer.reason}")
    if not common.json and not common.quiet:
        click.echo(f"{name}: {answer.detail or 'done'}")
    return ExitCode.DONE


def _answer(tail: EventTail, sent_id: str) -> e.CommandApplied | e.CommandRefused:
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        for _, event in tail.read():
            if isinstance(event, e.CommandApplied | e.CommandRefused) and event.id == sent_id:
                return event
        time.sleep(0.05)
    raise JobError("no answer yet: the job has not come to a step boundary", "It will follow the command when it does.")
