"""speedtui help"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable

import click
import msgspec

from speedtui.engine.config.described import DescribedSetting, described_settings, matching_settings
from speedtui.engine.config.paths import nearest
from speedtui.engine.errors import ExitCode, UsageError
from speedtui.engine.output import say, say_json
from speedtui.tui.commands.options import Common, common_options
from speedtui.tui.streams import require_printed

SETTINGS = "settings"
WIDEST = 100
"""Columns: longer lines are hard to read."""


@click.command("help")
@common_options
@click.argument("about", nargs=-1, metavar="[settings [WORD ...] | COMMAND]")
@click.pass_context
def command(ctx: click.Context, common: Common, about: tuple[str, ...]) -> ExitCode:
    """Say what the commands do, and what each setting of speedtui.toml means.

    `speedtui help settings` prints all settings with their values and defaults; words after it keep those in which
    all of them occur, such as `speedtui help settings eval memory`.
    """
    if about[:1] == (SETTINGS,):
        return _settings(about[1:], as_json=common.json)
    group = ctx.parent
    assert group is not None and isinstance(group.command, click.Group)  # it is a command of the program
    if not about:
        say(group.get_help())
    else:
        found = group.command.get_command(group, about[0])
        if found is None or about[1:]:
            known = [SETTINGS, *group.command.list_commands(group)]
            raise UsageError(f"help: no such command: {' '.join(about)}{nearest(about[0], known)}")
        say(found.get_help(click.Context(found, info_name=about[0], parent=group)))
    require_printed()
    return ExitCode.DONE


def _settings(words: tuple[str, ...], *, as_json: bool) -> ExitCode:
    found = matching_settings(words)
    if not found:
        known = [setting.path for setting in described_settings()]
        raise UsageError(
            f"help settings: none with {' and '.join(words)}{nearest(words[0], known)}", "Try one shorter word."
        )
    if as_json:
        for setting in found:
            say_json(msgspec.to_builtins(setting))
    else:
        say(_listed(found, min(shutil.get_terminal_size().columns, WIDEST)))
    require_printed()
    return ExitCode.DONE


def _listed(settings: Iterable[DescribedSetting], columns: int) -> str:
    """By table: `name = default`, the values, and below them the meaning."""
    lines: list[str] = []
    table = ""
    for setting in settings:
        above, _, name = setting.path.rpartition(".")
        if above != table or not above:
            table = above
            lines += ["", f"[{above or name}]"] if lines else [f"[{above or name}]"]
        if above:
            head = f"{name} = {setting.default}" if setting.default else name
            lines += _wrapped(f"{head:<32}  {setting.values}", columns, "  ", " " * 36)
        lines += _wrapped(setting.meaning, columns, " " * 6, " " * 6)
    return "\n".join(lines)


def _wrapped(text: str, columns: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, max(columns, 60), initial_indent=first, subsequent_indent=rest, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
