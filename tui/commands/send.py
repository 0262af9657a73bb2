"""speedtui send"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import msgspec

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.clean import clean
from speedtui.engine.config.live import live_values, parse_pairs
from speedtui.engine.context.order import OWN_SETTINGS, read_order
from speedtui.engine.errors import ExitCode, JobError, RunFolderError, UsageError
from speedtui.engine.jobs.resume_hint import how_to_go_on
from speedtui.engine.log.read import read_state
from speedtui.engine.output import say, say_line, warn
from speedtui.engine.report.present import present_settings
from speedtui.engine.runs import RunFolder, find_run
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.units import format_span, parse_duration
from speedtui.tui.commands.options import Common, common_options

COMMANDS: dict[str, Callable[[], c.AnyCommand]] = {
    "pause": c.Pause, "resume": c.Resume, "stop": c.Stop, "cancel": c.Cancel, "eval": c.Evaluate,
    "checkpoint": c.Checkpoint,
}  # fmt: skip
SET, MARK = "set", "mark"
WAITING_SECONDS = 1.0
"""Without an answer; then a line says what is waited for."""
LOOK_SECONDS = 0.05
"""Between two looks at the log; a worker writes it at most 20 times a second."""

CommandAnswer = e.CommandApplied | e.CommandRefused


@click.command("send")
@common_options
@click.option("--timeout", metavar="DURATION", default="60s", show_default=True, help="How long to wait for an answer.")
@click.argument("run")
@click.argument("name", metavar="COMMAND", type=click.Choice([*COMMANDS, MARK, SET]))
@click.argument("pairs", metavar="[TEXT | KEY=VALUE...]", nargs=-1)
def command(common: Common, timeout: str, run: str, name: str, pairs: tuple[str, ...]) -> ExitCode:
    """Send a command to a running job and wait for its answer.

    COMMAND is pause, resume, stop, cancel, eval, checkpoint, mark with a text that marks this moment in the log, or
    set with the settings to change, such as eval_every=1200, eval_every="3 epochs" or metric= to turn the metric off.
    """
    folder = find_run(common.runs, run)
    folder.require_obeyed()
    patience = _patience(timeout)
    _require_alive(folder)
    sent = _command(folder, name, pairs)
    since = folder.events.stat().st_size  # only what comes after the command can be its answer
    AttachedSession(folder).send(sent)
    answer = _answer(folder, since, sent.id, patience, quiet=common.quiet)
    if common.json:
        say_line(e.encode(answer))
    if isinstance(answer, e.CommandRefused):
        raise JobError(f"{name} refused: {answer.reason}")
    if not common.json and not common.quiet:
        say(clean(f"{name}: {answer.detail or 'done'}"))
    return ExitCode.DONE


def _patience(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--timeout: {error}") from None


def _require_alive(folder: RunFolder) -> None:
    if folder.goes_on() is False:
        ended = f"`speedtui report {folder.id}` says how it ended."
        hint = ended if _all_steps_made(folder) else how_to_go_on(folder) or ended
        raise RunFolderError(f"run {folder.id} is over, so nobody would read the command", hint)


def _all_steps_made(folder: RunFolder) -> bool:
    training = read_state(folder.events).training
    return training is not None and training.finished is not None and training.finished.reason == "steps"


def _command(folder: RunFolder, name: str, pairs: Sequence[str]) -> c.AnyCommand:
    """What is sent; settings are checked here, where the one who typed them sees what is wrong."""
    if name == MARK:
        return c.Note(text=" ".join(pairs))
    if name != SET:
        if pairs:
            raise UsageError(f"{name} takes nothing more, got {pairs[0]!r}", f"Settings are changed with `{SET}`.")
        return COMMANDS[name]()
    typed = parse_pairs(pairs, SET)
    if _is_program(folder):
        raise JobError(f"{SET} refused: {OWN_SETTINGS}")
    return c.Set(values=live_values(typed, present_settings(folder), SET, folder=Path.cwd()))


def _is_program(folder: RunFolder) -> bool:
    try:
        return read_order(folder).program is not None
    except (OSError, msgspec.DecodeError):  # of an older run
        return False


def _answer(folder: RunFolder, since: int, sent_id: str, patience: float, *, quiet: bool) -> CommandAnswer:
    began, told = time.monotonic(), quiet
    events = _events_from(folder.events, since)
    while True:
        over = folder.goes_on() is False  # asked first: its last words may come between
        for event in events:
            if event is None:
                break
            if isinstance(event, CommandAnswer) and event.id == sent_id:
                return event
        waited = time.monotonic() - began
        if over:
            raise JobError(f"run {folder.id} ended before it came to the command", "`speedtui report` says how.")
        if waited > patience:
            raise JobError(
                f"no answer within {format_span(patience)}: the job has not come to a step boundary",
                "It will follow the command when it does.",
            )
        if waited > WAITING_SECONDS and not told:
            told = True
            warn("speedtui: sent; waiting for the job's next step boundary")
        time.sleep(LOOK_SECONDS)


def _events_from(path: Path, offset: int) -> Iterator[e.AnyEvent | None]:
    """Events written after a place in the log as they come; None whenever there is none for now."""
    with path.open("rb") as file:
        file.seek(offset)
        rest = b""
        while True:
            *lines, rest = (rest + file.read()).split(b"\n")
            for line in lines:
                try:
                    event = e.decode(line) if line.strip() else None
                except ValueError:
                    continue  # the rest of a line that was being written, or a torn one
                if event is not None:
                    yield event
            yield None
