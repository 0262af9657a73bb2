"""speedtui report"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from speedtui.engine.clean import clean, shell_line
from speedtui.engine.errors import ExitCode, RunFolderError, UsageError
from speedtui.engine.files import write_whole
from speedtui.engine.jobs.resume_hint import how_to_go_on
from speedtui.engine.log.read import no_run_words, read_state
from speedtui.engine.output import as_json, say, say_json, say_line
from speedtui.engine.regular_file import read_regular
from speedtui.engine.report.compose import training_report
from speedtui.engine.report.document import PAGE_NAME, expected_of, training_document
from speedtui.engine.report.files import REPORT_NAME
from speedtui.engine.report.page.page import render_page
from speedtui.engine.report.summary import summarize
from speedtui.engine.runs import UNKNOWN, RunFolder, find_run
from speedtui.engine.state import RunState
from speedtui.tui.commands.options import Common, common_options
from speedtui.tui.commands.progress import ProgressLine, say_passed_over
from speedtui.tui.streams import require_printed

IN_THE_RUN = "in the run's folder"
"""What --html says when no file is named."""


@click.command("report")
@common_options
@click.option(
    "--html", metavar="[FILE]", is_flag=False, flag_value=IN_THE_RUN,
    help=f"Write a page; by default {PAGE_NAME} in the run's folder.",
)  # fmt: skip
@click.argument("run", required=False)
def command(common: Common, html: str | None, run: str | None) -> ExitCode:
    """Print what a run found and did; without RUN the newest one's. With --json as one JSON object."""
    folder = find_run(common.runs, run)
    state = read_state(folder.events, ProgressLine(silent=common.quiet))
    if not state.run:
        raise RunFolderError(
            f"{folder.events}: {no_run_words(state, folder.events)}", "`speedtui runs` lists the runs."
        )
    if html is not None:
        say_passed_over(state.passed_over)
        return _write_page(common, folder, state, html)
    if common.json:
        say_passed_over(state.passed_over)
        say_line(_as_json(folder, state))
    else:
        say(_as_text(folder, state))
    require_printed()
    return ExitCode.DONE


def _as_text(folder: RunFolder, state: RunState) -> str:
    text = summarize(state, expected=expected_of(folder))
    return "\n\n".join(part for part in (text, _without_an_end(folder, state)) if part)


def _without_an_end(folder: RunFolder, state: RunState) -> str:
    """What to do with a run that was killed or goes on; nothing for one that is over."""
    if state.outcome is not None:
        return ""
    goes_on = folder.goes_on()
    if goes_on is None:
        return f"The run has no end yet; {UNKNOWN}."
    if goes_on:
        return f"The run goes on; this is how far it is. Look at it: {shell_line('speedtui', 'attach', folder.id)}"
    return "\n".join(line for line in ("The run has no end: its worker was killed.", how_to_go_on(folder)) if line)


def _as_json(folder: RunFolder, state: RunState) -> bytes:
    """A training's from its log, for a run that was killed, too; a study's and a plan's as they wrote it."""
    if state.training is not None:
        document = training_document(training_report(state, expected_of(folder)))
        return msgspec.json.format(as_json(document), indent=2)
    path = folder.path / REPORT_NAME
    try:
        written = read_regular(path)
        msgspec.json.decode(written)
    except OSError:
        raise RunFolderError(f"run {folder.id} has no {REPORT_NAME} yet", "It is written at the end.") from None
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path}: not JSON: {error}", "`speedtui report` without --json reads the log.") from None
    return written


def _write_page(common: Common, folder: RunFolder, state: RunState, html: str) -> ExitCode:
    if html == IN_THE_RUN:
        folder.require_obeyed()
    path = folder.path / PAGE_NAME if html == IN_THE_RUN else Path(html)
    if path.is_dir():
        path /= f"{folder.id}.html"
    try:
        write_whole(path, render_page(state, expected_of(folder)))
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}", "Name another file after --html.") from None
    if common.json:
        say_json({"html": str(path)})
    elif not common.quiet:
        say(clean(str(path)))
    return ExitCode.DONE
