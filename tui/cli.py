"""The command line: which command there is; each one's work is imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from speedtui.engine.errors import ExitCode, SpeedtuiError

COMMANDS = {
    "init": "Write a commented speedtui.toml for a model and a data file.",
    "tune": "Try configurations on the loaded model and say which runs fastest and fits.",
    "train": "Train, with the configuration as it is or with a trial's settings.",
    "demo": "Tune and train a tiny built-in model; needs no download.",
    "attach": "Open the screen on a run that is going on.",
    "replay": "Show a recorded run again.",
    "send": "Send a command to a running job.",
    "runs": "List the runs.",
    "report": "Print what a run found and did.",
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
    verbose = "-v" in (arguments if arguments is not None else sys.argv[1:])
    try:
        code = application.main(arguments, prog_name="speedtui", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else ExitCode.DONE)
    except click.exceptions.Abort:
        sys.exit(ExitCode.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except SpeedtuiError as error:
        if verbose:
            import traceback

            traceback.print_exc()
        click.echo(f"speedtui: {error.message}", err=True)
        if error.hint:
            click.echo(error.hint, err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # nobody reads any more; Python would complain once again when it flushes stdout at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.DONE)


if __name__ == "__main__":
    main()
