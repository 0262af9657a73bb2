"""Text that came from outside, made safe and truthful for a terminal, a page or a file of plain text.

Logs, file and run names, configurations, errors of others, worker.log and models hold whatever somebody put there:
escape sequences that write the clipboard or the window's title, line ends that look like lines of ours, marks that turn
the order of the letters around, letters that take no room. None of it is dropped, which would hide it: each stands as
Python would write it in a string, `\\x1b` or `\\u202e`, in any terminal and any encoding.
"""

from __future__ import annotations

import operator
import re
import shlex
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

LONGEST = 4096
"""Characters of one line: as long as a path can be (PATH_MAX of Linux), some fifty rows of a terminal."""
UNBOUNDED = sys.maxsize
"""For what is kept or handed on, and not read as a line."""
ROW = 256
"""Characters of a text on a screen, at most, so that it is worth remembering."""
TAB = 8
"""Columns between two stops."""

_HIDDEN = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL and C1, of which terminals take single bytes for `ESC [` and `ESC ]`
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # joiners, fillers and vowels that are not drawn
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # no width; line and paragraph ends; direction
    "\u3164\ufeff\uffa0\ufff9-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\ud800-\udfff"  # half a character: bytes of a file name that are not UTF-8
    "\U000e0000-\U000e0fff"  # tags and selectors, which spell whole texts unseen
)
"""Unicode's control and format characters, its separators of lines, and what it says is ignored where it cannot be
drawn; without the selectors of emoji (U+FE00-FE0F), and the number and verse signs that stand around digits."""
_ONE_LINE = re.compile(f"[{_HIDDEN}]")
_IN_JSON = re.compile(f"(?![\t\n])[{_HIDDEN}]")
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def clean(text: str, most: int = LONGEST) -> str:
    """One line, `most` characters at most; of a longer one it says how long it is."""
    if len(text) <= most and text.isascii() and text.isprintable():
        return text
    shown = _short(text) if len(text) <= min(ROW, most) else _ONE_LINE.sub(_written, text[:most])
    if len(text) <= most and len(shown) <= most:
        return shown
    more = f"… ({len(text):,} characters)"
    return shown[: max(0, most - len(more))] + more


@lru_cache(maxsize=2048)
def _short(text: str) -> str:
    """A screen draws most of its lines and blocks again and again, and looking through a row of them takes 15 µs."""
    return _ONE_LINE.sub(_written, text)


def clean_lines(text: str, most: int = LONGEST) -> str:
    """Several lines: their ends stay, tabs are widened, and each is as long as `clean` lets it be."""
    lines = text.replace("\r\n", "\n").expandtabs(TAB).split("\n")
    return "\n".join(clean(line, most) for line in lines)


def cleaned(value: T) -> T:
    """The same value with every text in it as one clean line: of structs, lists, tuples and dicts, keys too.

    What needs no change is the same object.
    """
    return _cleaned(value)  # type: ignore[no-any-return]


def _cleaned(value: Any) -> Any:
    if type(value) is str:
        return clean(value)
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changed = {name: new for name, old in fields.items() if (new := _cleaned(old)) is not old}
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, Mapping):
        flat = [part for pair in value.items() for part in pair]
        parts = [_cleaned(part) for part in flat]
        return value if _same(parts, flat) else dict(zip(parts[::2], parts[1::2], strict=True))
    if isinstance(value, list | tuple):
        entries = [_cleaned(entry) for entry in value]
        if _same(entries, value):
            return value
        return value._make(entries) if isinstance(value, tuple) and hasattr(value, "_make") else type(value)(entries)
    return value


def _same(new: Sequence[Any], old: Sequence[Any]) -> bool:
    return all(map(operator.is_, new, old))


def escape_json(document: bytes) -> bytes:
    """The same JSON with what `clean` replaces as escapes, which every reader of JSON takes for the characters.

    Encoders leave C1, bidi marks and other letters as they are, and a terminal takes some of them for commands.
    """
    if document.isascii() and document.find(b"\x7f") < 0 and document.find(b"\r") < 0:
        return document
    text = document.decode("utf-8", "replace").replace("\r", " ")  # between values; inside of one it is an escape
    return _IN_JSON.sub(_json_escape, text).encode()


def toml_text(text: str) -> str:
    """A text as TOML's quoted string, one clean line that is read back as the same text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _ONE_LINE.sub(lambda found: f"\\U{ord(found[0]):08x}", escaped) + '"'


def shell_line(*words: str) -> str:
    """A command to be shown, copied and pasted: one clean line whatever its words hold.

    Those that hold nothing odd are quoted as any shell reads them; others as bash, zsh and ksh read `$'a\\nb'`.
    """
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if not _ONE_LINE.search(word):
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'").encode("utf-8", "surrogateescape")
    return f"$'{_ONE_LINE.sub(_written, escaped.decode('utf-8', 'backslashreplace'))}'"


def width_of(text: str) -> int:
    """Terminal cells of a clean text: two for a wide letter, none for a mark that stands on another."""
    if text.isascii():
        return len(text)
    return sum(_cells(letter) for letter in text)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text in `width` cells; a longer one stays as it is."""
    space = " " * (width - width_of(text))
    return space + text if right else text + space


def _written(match: re.Match[str]) -> str:
    letter = match[0]
    code = ord(letter)
    if letter in _SHORT:
        return _SHORT[letter]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _cells(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1


PROGRAM = "speedtui"


def as_typed(command: Sequence[str]) -> str:
    """A command as a person types it in any folder: the program by its name where that finds the same one.

    A script that is run anywhere has it whole.
    """
    words = list(command)
    if words and _one_file(shutil.which(PROGRAM), words[0]):
        words[0] = PROGRAM
    return shell_line(*words)


def _one_file(one: str | None, other: str) -> bool:
    """Whether both lead to one file."""
    try:
        return one is not None and Path(one).resolve() == Path(other).resolve()
    except (OSError, RuntimeError):  # a working directory that is gone, links in a circle
        return False
