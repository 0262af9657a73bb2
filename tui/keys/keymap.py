"""A person's own keys, from `~/.config/speedtui/keys.toml`. A file that cannot be used never keeps a screen closed.

Function keys, alt and ctrl are taken as they are written, with a warning: whoever uses neither tmux nor screen may
want them. Dialogs keep their keys: arrows, enter, escape and the letters of their answers.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.config.paths import nearest
from speedtui.engine.errors import ConfigError
from speedtui.engine.profile.load import own_folder
from speedtui.engine.trust import require
from speedtui.tui.keys.names import FUNCTION_KEYS, NAMED, THE_SAME, shown_name, textual_name, why_risky
from speedtui.tui.keys.table import KEYS, clashes

TABLE = "keys"
FIXED = {"escape": "back", "question_mark": "help"}
"""Keys that a person in trouble presses, and the only thing that each may do."""
SHIPPED = {key.id: key.keys for key in KEYS}
WAYS_OUT = ("ctrl+c", "ctrl+q")


class KeymapFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a keymap file says, as far as it can be used."""

    path: Path
    keymap: dict[str, str] = {}
    """Keys by id; Textual's names, separated by commas."""
    refused: tuple[str, ...] = ()
    """One line for each entry that is left as the table has it, and why."""
    warnings: tuple[str, ...] = ()
    """One line for each that is taken though it may not arrive."""

    @property
    def problems(self) -> tuple[str, ...]:
        """All that is to be told."""
        return (*self.refused, *self.warnings)


class _BadEntry(Exception):
    """An entry that cannot be used; says why."""


def keymap_path() -> Path:
    """`$XDG_CONFIG_HOME/speedtui/keys.toml`, by default below `~/.config`."""
    return own_folder().parent / "keys.toml"


def read_keymap(path: Path | None = None) -> KeymapFile:
    """The person's keys; none where there is no file."""
    path = path or keymap_path()
    try:
        require(path)
        text = path.read_text(encoding="utf-8-sig")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        return KeymapFile(path=path)
    except ConfigError as error:
        return KeymapFile(path=path, refused=(f"{error.message}: all keys are as shipped",))
    except (OSError, ValueError, RecursionError) as error:  # no UTF-8, no TOML, thousands of digits or brackets
        reason = error.strerror if isinstance(error, OSError) else error
        return KeymapFile(path=path, refused=(f"{path}: cannot be read, so all keys are as shipped: {reason}",))
    return _KeymapReader(path, text).read(tables)


class _KeymapReader:
    """Goes through one file's entries and keeps what can be used."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._lines = path, text.splitlines()
        self._keymap: dict[str, str] = {}
        self._refused: list[str] = []
        self._warnings: list[str] = []

    def read(self, tables: Mapping[str, Any]) -> KeymapFile:
        for name in tables:
            if name != TABLE:
                self._refuse(name, f"{name} is not known here; keys stand below [{TABLE}]{nearest(name, [TABLE])}")
        entries = tables.get(TABLE, {})
        if not isinstance(entries, Mapping):
            self._refuse(TABLE, f'{TABLE} is a table: [{TABLE}], and below it lines such as run.pause = "P"')
            entries = {}
        for id_, value in _flat(entries, ""):
            try:
                names = self._usable(id_, value)
                if names != SHIPPED[id_]:
                    self._keymap[id_] = names
            except _BadEntry as reason:
                self._refuse(id_, str(reason))
        self._settle()
        return KeymapFile(
            path=self._path, keymap=self._keymap, refused=tuple(self._refused), warnings=tuple(self._warnings)
        )

    def _usable(self, id_: str, value: object) -> str:
        if id_ not in SHIPPED:
            raise _BadEntry(f"{id_} is not the id of a key{nearest(id_, list(SHIPPED))}; `speedtui keys` lists them")
        written = value if isinstance(value, list) else [value]
        if not written or not all(isinstance(one, str) and one for one in written):
            raise _BadEntry(f'{id_}: expected a key such as "P" or a list such as ["P", "space"], got {value!r}')
        names = [self._name(id_, str(one)) for one in written]
        for name in names:
            if name not in SHIPPED[id_].split(",") and (why := why_risky(name)):
                self._warnings.append(f"{self._where(id_)}: {id_} = {shown_name(name)} may not arrive: {why}")
        return ",".join(dict.fromkeys(names))

    def _name(self, id_: str, written: str) -> str:
        name = textual_name(written)
        if name is None:
            hint = nearest(written, [*NAMED, *FUNCTION_KEYS])
            more = f'; write two keys as a list: ["{written[0]}", …]' if "," in written else hint
            raise _BadEntry(f"{id_}: expected one character or a name such as space, enter, up; got {written!r}{more}")
        if name in WAYS_OUT:
            raise _BadEntry(f"{id_}: {name} always asks whether to leave")
        if name in THE_SAME:
            raise _BadEntry(f"{id_}: terminals send {name} as {THE_SAME[name]}; write that")
        if FIXED.get(name, id_) != id_:
            raise _BadEntry(f"{id_}: {shown_name(name)} is only ever {FIXED[name]}")
        return name

    def _settle(self) -> None:
        """Takes back what would confuse two keys of one screen, until no two are."""
        while found := [clash for clash in clashes(self._keymap) if self._own(clash)]:
            name, first, second = found[0]
            mine, other = (second, first) if second.id in self._keymap else (first, second)
            del self._keymap[mine.id]
            self._refuse(mine.id, f"{mine.id} = {shown_name(name)} is the key of {other.id} ({other.help}) already")

    def _own(self, clash: tuple[str, Any, Any]) -> bool:
        return any(key.id in self._keymap for key in clash[1:])

    def _refuse(self, id_: str, reason: str) -> None:
        self._refused.append(f"{self._where(id_)}: {reason}")

    def _where(self, id_: str) -> str:
        """The file, and the line where one can be found: TOML's reader tells none."""
        last = re.escape(id_.rpartition(".")[2])
        entry = re.compile(rf"""\s*\[*[\w."' ]*\b{last}["']?\s*(=|\])""")
        full = [n for n, line in enumerate(self._lines, 1) if entry.match(line) and id_ in line.replace(" ", "")]
        near = full or [n for n, line in enumerate(self._lines, 1) if entry.match(line)]
        return f"{self._path}, line {near[0]}" if near else str(self._path)


def _flat(entries: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    """Entries by their whole id: `run.pause` is a table in a table to TOML, `"run.pause"` is not."""
    for name, value in entries.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def example() -> str:
    """A commented keys.toml with every id, its key and what it does."""
    lines = [
        f"# Keys of speedtui: {keymap_path()}",
        "# Take the # off a line and change its key: one character, a name such as space, enter, up, pagedown,",
        '# with shift+, ctrl+ or alt+ before it, or a list of them: ["P", "f2"]. Later lines need no entry.',
        f"\n[{TABLE}]",
    ]
    scope = ""
    for key in KEYS:
        if key.scope != scope:
            scope = key.scope
            lines.append(f"\n# {scope}")
        lines.append(f"# {f'{key.id} = {_written(key.keys)}':<42} # {key.help}")
    return "\n".join(lines) + "\n"


def _written(keys: str) -> str:
    names = [_file_name(name) for name in keys.split(",")]
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


def _file_name(name: str) -> str:
    shown = shown_name(name)
    single = len(shown) == 1 and shown.isascii()
    return msgspec.json.encode(shown if single else name).decode()
