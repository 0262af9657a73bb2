"""The command line: which command there is; each one's work is imported when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from speedtui.engine.clean import clean
from speedtui.engine.errors import ExitCode, SpeedtuiError, UsageError
from speedtui.engine.files import keep_private
from speedtui.engine.home import own_home
from speedtui.engine.output import warn, warn_traceback
from speedtui.tui.commands.options import screen_options
from speedtui.tui.streams import require_printed, standard_streams

COMMANDS = {
    "init": "Write a commented speedtui.toml for a model and a data file.",
    "tune": "Try configurations on the loaded model and say which runs fastest and fits.",
    "plan": "Say before a run which profile fits, when it is done, and what each schedule costs.",
    "train": "Train, with the configuration as it is or with a trial's settings.",
    "run": "Run your own training program unchanged, and meter it: run -- python train.py",
    "demo": "Tune and train a tiny built-in model; needs no download.",
    "attach": "Open the screen on a run that is going on.",
    "replay": "Show a recorded run again.",
    "send": "Send a command to a running job.",
    "runs": "List the runs.",
    "report": "Print what a run found and did.",
    "export": "Hand a run's numbers to a tracker, or write them as tables.",
    "keys": "List the keys of the screen, and check the file that changes them.",
    "help": "Say what a command does, or what each setting means: help settings [WORD ...].",
    "doctor": "Check the device, the driver, the versions, the disk and the terminal.",
}


class Commands(click.Group):
    """Finds a command in the module of its name below `tui/commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"speedtui.tui.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table above, so that --help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from speedtui.engine.config.paths import nearest

            raise click.UsageError(f"{error.message.rstrip('.')}{nearest(args[0], list(COMMANDS))}", ctx) from None


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="speedtui", prog_name="speedtui")
@screen_options
@click.pass_context
def application(ctx: click.Context) -> None:
    """Finds the fastest fine-tuning settings that fit, by measuring them on this machine.

    Without a command it opens the screen on ./speedtui.toml, or on the demo where there is none.
    """
    if ctx.invoked_subcommand is None:
        from speedtui.tui.commands.default import open_default

        ctx.exit(open_default())


def main(arguments: Sequence[str] | None = None) -> None:
    """The program: ends with a documented exit code and, on stderr, what to do next."""
    keep_private()
    with standard_streams(), own_home():
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    try:
        _refuse_empty(arguments)
        code = application.main(arguments, prog_name="speedtui", standalone_mode=False)
        if not isinstance(code, ExitCode):  # no command ran: --help and --version are there to be printed
            require_printed()
        return code if isinstance(code, int) else ExitCode.DONE
    except click.exceptions.Abort:
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        program = " ".join(["speedtui", *(name for name in arguments[:1] if name in COMMANDS)])
        message = " ".join(error.format_message().split())
        return _refuse(UsageError(message, f"{_which_runs(error)}`{program} --help` says what there is."))
    except SpeedtuiError as error:
        return _refuse(error, with_traceback=_is_verbose(arguments))
    except Exception as error:
        return _refuse(_as_failure(error), with_traceback=_is_verbose(arguments))


def _refuse_empty(arguments: list[str]) -> None:
    """A variable of the shell that is not set leaves an empty argument, which would name any run, and no deadline.

    Raises:
        UsageError: one is empty, or is an option with nothing after its equals sign.
    """
    for before, text in zip(["speedtui", *arguments], arguments, strict=False):
        if not text or (text.startswith("--") and text.find("=") == len(text) - 1):
            what = f"the value of {text[:-1]}" if text else f"the argument after {before}"
            raise UsageError(f"{what} is empty", "Is a variable of the shell not set? Write a value, or leave it out.")


def _which_runs(error: click.ClickException) -> str:
    """Where to find the name that is missing."""
    parameter = error.param if isinstance(error, click.MissingParameter) else None
    return "`speedtui runs` lists the runs; " if parameter is not None and parameter.name == "run" else ""


def _is_verbose(arguments: list[str]) -> bool:
    """Whether -v was typed: alone, among other letters, or in full."""
    short = [text[1:] for text in arguments if text.startswith("-") and not text.startswith("--")]
    return "--verbose" in arguments or any(letters.isalpha() and "v" in letters for letters in short)


def _refuse(error: SpeedtuiError, *, with_traceback: bool = False) -> ExitCode:
    """What is wrong in one line, what to do about it in another."""
    if with_traceback:
        warn_traceback(error)
    warn(clean(f"speedtui: {error.message}"))
    if error.hint:
        warn(clean(error.hint))
    return error.exit_code


def _as_failure(error: Exception) -> SpeedtuiError:
    """An error that nobody foresaw."""
    if isinstance(error, UnicodeEncodeError):  # whatever is printed finds its stand-ins, so it is a name of a file
        name = error.object[: error.end].rpartition("\n")[2] + error.object[error.end :].partition("\n")[0]
        return UsageError(
            f"{name!a} cannot be written in {error.encoding}",
            "Rename it, or name another encoding for this terminal, such as: export LC_ALL=C.UTF-8",
        )
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        failure = SpeedtuiError(f"{place}{error.strerror}", "With -v it says where.")
    else:
        reason = " ".join(str(error).split()) or "no message"
        failure = SpeedtuiError(
            f"{type(error).__name__}: {reason}", "This is a bug of speedtui; with -v it says where."
        )
    failure.__cause__ = error
    return failure


if __name__ == "__main__":
    main()
