"""The options that commands share, and what follows from them."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from speedtui.engine.errors import RunFolderError, UsageError
from speedtui.engine.trust import trusting

F = TypeVar("F", bound=Callable[..., Any])
SLOW_LINK_HZ = 0.5
"""Redraws a second on a connection that is said to be slow."""
SLOWEST_HZ, FASTEST_HZ = 0.2, 5.0
THEMES = ("textual-dark", "textual-light", "high-contrast", "ansi-dark", "ansi-light")
"""The usual ones, for the help; a test holds them against the ones that a key goes through."""
WITHOUT_CONFIG = ("send", "runs", "report", "export", "keys", "help", "doctor")
WRITING_CONFIG = ("init",)
WITHOUT_RUNS = ("init", "keys", "help", "doctor")
LOOK = "speedtui.look"
"""Under which a command line's context keeps how the screen is to look."""


class Output(StrEnum):
    """How a command shows a run."""

    JSON = "json"
    """stdout is the event stream and nothing else."""
    PLAIN = "plain"
    SCREEN = "screen"


class AppearanceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a screen is to look and how much it may send; None and empty: what suits the terminal and the command."""

    rate: float | None = None
    """Redraws a second."""
    link: str = ""
    """`slow`: few colours, half a redraw a second, no mouse."""
    mouse: bool = True
    ascii: bool = False
    theme: str = ""

    def values(self) -> dict[str, Any]:
        """Fields of the screen's options that differ from their defaults."""
        slow = self.link == "slow"
        rate = self.rate if self.rate is not None else SLOW_LINK_HZ if slow else None
        chosen = {"slow_link": slow, "ascii": self.ascii, "theme": self.theme}
        fields = {name: value for name, value in chosen.items() if value}
        fields |= {} if self.mouse and not slow else {"mouse": False}
        return fields | ({"rate_hz": rate} if rate is not None else {})


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What every command knows."""

    config: Path
    runs: Path
    json: bool
    quiet: bool
    verbose: bool
    plain: bool = False
    """Lines even on a terminal."""
    look: AppearanceOptions = AppearanceOptions()

    @property
    def output(self) -> Output:
        """JSON where asked for; the screen on a terminal that can show it; else plain lines."""
        if self.json:
            return Output.JSON
        if self.plain:
            return Output.PLAIN
        return Output.SCREEN if self._on_terminal and not self.no_screen else Output.PLAIN

    @property
    def no_screen(self) -> str:
        """Why a person at a terminal who asked for nothing else gets lines; empty where that is not so."""
        kind = os.environ.get("TERM", "")
        if kind not in ("", "dumb") or not self._on_terminal:
            return ""
        said = f"TERM={kind} says" if kind else "TERM is not set, which says"
        return f"{said} that this terminal can only show lines; for the screen: export TERM=xterm-256color"

    @property
    def _on_terminal(self) -> bool:
        return not (self.json or self.plain or self.quiet) and sys.stdin.isatty() and sys.stdout.isatty()


class Number(click.FloatRange):
    """Within its bounds, which not-a-number passes, as it is neither above nor below any."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def common_options(function: F) -> F:
    """--config, --runs, --json, -q, -v, --trust; the command gets them as one `Common`."""

    def gather(
        *args: Any, config: Path, runs: Path, json: bool, quiet: bool, verbose: bool, trust: tuple[str, ...],
        **rest: Any,
    ) -> Any:  # fmt: skip
        _check_places(config, runs)
        shared = Common(config=config, runs=runs, json=json, quiet=quiet, verbose=verbose, look=typed_look())
        with trusting(trust):
            return function(shared, *args, **rest)

    gather.__doc__ = function.__doc__
    gather.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    wrapped: Any = gather
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Show tracebacks and the worker's last lines."),
        click.option(
            "--trust", metavar="PATH", multiple=True,
            help="Obey what is below this full path though others can write it, such as another's run.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Only results and errors; no screen."),
        click.option("--json", is_flag=True, help="One JSON object a line on stdout, nothing else."),
        click.option(
            "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
            help="Folder of the runs.",
        ),
        click.option(
            "--config", type=click.Path(path_type=Path), default=Path("speedtui.toml"), show_default=True,
            help="Configuration file.",
        ),
    ):  # fmt: skip
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def _check_places(config: Path, runs: Path) -> None:
    """Refuses a place that was typed and would not be looked at, or is none.

    Raises:
        UsageError: the command reads no configuration, or there is none of that name; the runs' place is a file.
    """
    context = click.get_current_context()
    command = context.command.name or ""
    if context.get_parameter_source("config") is ParameterSource.COMMANDLINE:
        if command in WITHOUT_CONFIG:
            raise UsageError(f"--config: `speedtui {command}` reads no configuration", "Leave it out.")
        if command not in WRITING_CONFIG and not os.path.lexists(config):
            from speedtui.engine.config.load import missing_config  # --help needs none of it

            raise missing_config(config)
    if command not in WITHOUT_RUNS and runs.exists() and not runs.is_dir():
        raise RunFolderError(f"{runs}: a file, and no folder of runs", "Name the folder with --runs.")


def screen_options(function: F) -> F:
    """--rate, --link, --no-mouse, --ascii, --theme; the command finds them in `Common.look`.

    Each can be set for good in the environment: SPEEDTUI_RATE, SPEEDTUI_LINK, SPEEDTUI_NO_MOUSE=1, ...
    """
    wrapped: Any = function
    described: tuple[tuple[str, dict[str, Any]], ...] = (
        ("--theme", {"metavar": "NAME", "help": f"Colours: {', '.join(THEMES)}."}),
        ("--ascii", {"is_flag": True, "help": "Send nothing but ASCII."}),
        ("--no-mouse", {"is_flag": True, "help": "Leave the mouse to the terminal; M switches it later."}),
        ("--link", {"type": click.Choice(["slow"]), "help": "For a slow connection: few colours, 0.5 Hz, no mouse."}),
        ("--rate", {"type": Number(SLOWEST_HZ, FASTEST_HZ), "metavar": "HZ",
                    "help": "Redraws a second; 2 where nothing is said."}),
    )  # fmt: skip
    for name, more in described:
        variable = f"SPEEDTUI_{name.removeprefix('--').replace('-', '_').upper()}"
        wrapped = click.option(name, expose_value=False, callback=_keep, envvar=variable, **more)(wrapped)
    return wrapped  # type: ignore[no-any-return]


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Remembers what was typed, before the command's name or after it."""
    if value and parameter.name is not None:
        if parameter.name == "theme":
            _check_theme(value)
        name, given = ("mouse", False) if parameter.name == "no_mouse" else (parameter.name, value)
        context.meta.setdefault(LOOK, {})[name] = given


def _check_theme(name: str) -> None:
    """Refused before a run is started for it."""
    if name in THEMES:
        return
    from textual.theme import BUILTIN_THEMES

    if name not in BUILTIN_THEMES:
        raise click.BadParameter(f"{name!r} is none; there are {', '.join(sorted({*THEMES, *BUILTIN_THEMES}))}")


def typed_look() -> AppearanceOptions:
    """What this command line says of the screen."""
    context = click.get_current_context(silent=True)
    return AppearanceOptions(**context.meta.get(LOOK, {})) if context is not None else AppearanceOptions()


def engine_option(function: F) -> F:
    """--engine: where the job runs."""
    return click.option(
        "--engine", type=click.Choice(["process", "thread"]), default="process", show_default=True,
        help="Run the job in a process that outlives the terminal, or in this one.",
    )(function)  # fmt: skip


def typed(**values: Any) -> dict[str, Any]:
    """Settings by path of the flags that were typed; `__` stands for a dot."""
    return {name.replace("__", "."): value for name, value in values.items() if value is not None}
