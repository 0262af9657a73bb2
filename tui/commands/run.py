"""speedtui run -- COMMAND"""

from __future__ import annotations

import shutil

import click

from speedtui.engine.clean import clean
from speedtui.engine.errors import ExitCode, UsageError
from speedtui.engine.events import AnyEvent, Notice
from speedtui.engine.output import warn
from speedtui.engine.session.base import Session
from speedtui.engine.session.start import start_program
from speedtui.tui.commands.following import follow, interrupting, summary_of
from speedtui.tui.commands.options import Common, Output, common_options, screen_options
from speedtui.tui.commands.starting import start_options


@click.command("run", context_settings={"allow_interspersed_args": False})
@common_options
@screen_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def command(common: Common, command: tuple[str, ...]) -> int:
    """Run your own training program unchanged, and meter it: speedtui run -- python train.py

    Its exit code is this command's. Where there is no screen, its input and output are the terminal's own.
    """
    if not command:
        raise UsageError("there is no program to run", "Type it as without speedtui: speedtui run -- python train.py")
    if shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]}: there is no such program", "Type it as without speedtui.")
    plain = common.output is Output.PLAIN
    session = start_program(command, start_options(common, "process"), own_output=plain)
    code = _beside(session, common) if plain else follow(session, common)
    return ended if (ended := session.snapshot().exit_code) is not None else code


def _beside(session: Session, common: Common) -> ExitCode:
    """What there is to say goes to stderr, beside the program's own output."""
    if not common.quiet:
        warn(f"speedtui: run {clean(session.folder.id)}")
    with interrupting(session):
        code = session.run(_say_notice)
    if not common.quiet:
        warn(summary_of(session))
    return code


def _say_notice(line: bytes, event: AnyEvent) -> None:
    if isinstance(event, Notice):
        warn(clean(f"speedtui: {event.text}" + (f". {event.hint}" if event.hint else "")))
