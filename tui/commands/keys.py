"""speedtui keys"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from speedtui.engine.clean import clean
from speedtui.engine.errors import ExitCode
from speedtui.engine.home import said_of_home
from speedtui.engine.output import say, say_json, warn
from speedtui.tui.commands.options import Common, common_options
from speedtui.tui.streams import require_printed

if TYPE_CHECKING:
    from speedtui.tui.keys import Key
    from speedtui.tui.keys.keymap import KeymapFile


@click.command("keys")
@common_options
@click.option("--example", "as_example", is_flag=True, help="Print a commented keys.toml with every id.")
def command(common: Common, as_example: bool) -> ExitCode:
    """List the keys of the screen, and check the file that changes them.

    Every key has an id; `[keys]` in that file gives it another key: run.pause = "P", or a list of them.
    """
    from speedtui.tui.keys import KEYS
    from speedtui.tui.keys.keymap import example, read_keymap

    if as_example:
        say(example())
        require_printed()
        return ExitCode.DONE
    file = read_keymap()
    if common.json:
        for key in KEYS:
            say_json(_entry(key, file))
    else:
        say(_table(file))
    for problem in (*file.problems, *filter(None, [said_of_home()])):
        warn(clean(f"speedtui: {problem}"))
    require_printed()
    return ExitCode.USAGE if file.refused else ExitCode.DONE


def _entry(key: Key, file: KeymapFile) -> dict[str, object]:
    from speedtui.tui.keys.table import rekeyed

    now = rekeyed(key, file.keymap)
    return {
        "id": key.id, "scope": key.scope, "keys": now.keys.split(","), "shown": now.shown, "help": key.help,
        "remapped": key.id in file.keymap,
    }  # fmt: skip


def _table(file: KeymapFile) -> str:
    from speedtui.tui.keys.table import KEYS, rekeyed

    lines: list[str] = []
    scope = ""
    for key in KEYS:
        if key.scope != scope:
            scope = key.scope
            lines += ["", scope.capitalize()] if lines else [scope.capitalize()]
        mark = "*" if key.id in file.keymap else " "
        lines.append(f"{mark} {rekeyed(key, file.keymap).shown:<9} {key.id:<21} {key.help}")
    marked = "; * marks those that it changes" if file.keymap else ""
    there = "" if file.path.exists() else ", which is not there; `speedtui keys --example` writes one to start from"
    return "\n".join([*lines, "", clean(f"Changed in {file.path}{there}{marked}.")])
