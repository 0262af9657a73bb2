"""The options that commands share, and what follows from them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])


class Output(StrEnum):
    """How a command shows a run."""

    JSON = "json"
    """stdout is the event stream and nothing else."""
    PLAIN = "plain"
    SCREEN = "screen"


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What every command knows."""

    config: Path
    runs: Path
    json: bool
    quiet: bool
    verbose: bool
    plain: bool = False
    """Lines even on a terminal."""

    @property
    def output(self) -> Output:
        """JSON where asked for; the screen on a terminal that can show it; else plain lines."""
        if self.json:
            return Output.JSON
        if self.plain:
            return Output.PLAIN
        on_terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        return Output.SCREEN if on_terminal and not self.quiet else Output.PLAIN


def common_options(function: F) -> F:
    """--config, --runs, --json, -q, -v; the command gets them as one `Common`."""

    def gather(*args: Any, config: Path, runs: Path, json: bool, quiet: bool, verbose: bool, **rest: Any) -> Any:
        shared = Common(config=config, runs=runs, json=json, quiet=quiet, verbose=verbose)
        return function(shared, *args, **rest)

    gather.__doc__ = function.__doc__
    gather.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    wrapped: Any = gather
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Show tracebacks and the worker's last lines."),
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


def engine_option(function: F) -> F:
    """--engine: where the job runs."""
    return click.option(
        "--engine", type=click.Choice(["process", "thread"]), default="process", show_default=True,
        help="Run the job in a process that outlives the terminal, or in this one.",
    )(function)  # fmt: skip


def typed(**values: Any) -> dict[str, Any]:
    """Settings by path of the flags that were typed; `__` stands for a dot."""
    return {name.replace("__", "."): value for name, value in values.items() if value is not None}
