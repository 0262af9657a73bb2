"""Stand-ins of one cell each for terminals that show nothing but ASCII."""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len

SIGNS = {
    "│": "|", "┊": ":", "┆": ":", "─": "-", "━": "#", "╭": "+", "╮": "+", "╰": "+", "╯": "+",
    "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+", "┬": "+", "┴": "+", "┼": "+",
    "▁": ".", "▂": ":", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "%", "█": "#",
    "▏": "|", "▎": "|", "▍": "|", "▌": "|", "▐": "|", "▕": "|", "▔": "-", "▀": "-", "░": ".", "▒": ":", "▓": "%",
    "▶": ">", "▸": ">", "◂": "<", "◀": "<", "▲": "^", "▼": "v", "△": "^", "▽": "v",
    "‖": "=", "■": "#", "●": "@", "○": "o", "◦": ".", "◆": "*", "◇": "o", "★": "*", "☆": "*",
    "✓": "v", "✗": "x", "✘": "x", "⚠": "!", "›": ">", "‹": "<", "»": ">", "«": "<",
    "←": "<", "→": ">", "↑": "^", "↓": "v", "↗": "/", "↘": "\\", "⇧": "S", "⏎": "<",
    "–": "-", "—": "-", "−": "-", "…": ".", "·": "-", "•": "*", "×": "x", "±": "~", "°": " ", "µ": "u", "μ": "u",
    "≈": "~", "≤": "<", "≥": ">", "≠": "#", "Δ": "d", "⌀": "~", "²": "2", "³": "3",
    "‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " ",
}  # fmt: skip
"""What the app draws. `±` has no stand-in of one cell; `+` alone would say something else."""
LINES_AND_BLOCKS = range(0x2500, 0x25A0)
BRAILLE = range(0x2800, 0x2900)
_DOT_ROWS = (0, 1, 2, 0, 1, 2, 3, 3)
"""The row of four, from the top, of each of a braille cell's bits."""
_LEFT = 0b01000111
"""Its bits at the left."""


def to_ascii(text: str) -> str:
    """The same text in as many cells, in ASCII; escape sequences in it stay as they are."""
    return text if text.isascii() else text.translate(_TABLE)


class _StandIns(dict[int, str]):
    """Works out a character's stand-in when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = chr(code) if code < 128 else _stand_in(chr(code))
        return self[code]


def _stand_in(character: str) -> str:
    """A letter without its accent; a line or block of some kind; else a question mark for each cell."""
    if ord(character) in BRAILLE:
        return _braille(ord(character) - BRAILLE.start)
    if ord(character) in LINES_AND_BLOCKS:
        return "+" if ord(character) < 0x2580 else "#"
    cells = cell_len(character)
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return letters if letters and len(letters) == cells else "?" * cells


def _braille(bits: int) -> str:
    """A mark at about the height of the dots; a stroke where they stand one above the other."""
    rows = [_DOT_ROWS[bit] for bit in range(8) if bits >> bit & 1]
    if not rows:
        return " "
    if max(rows) - min(rows) >= 2:
        return _stroke(bits)
    return "'-.."[min(rows)] if max(rows) < 2 else "_" if min(rows) == 3 else "."


def _stroke(bits: int) -> str:
    """Upright, or leaning to the side on which the upper dots are."""
    left = [_DOT_ROWS[bit] for bit in range(8) if bits & _LEFT & 1 << bit]
    right = [_DOT_ROWS[bit] for bit in range(8) if bits & ~_LEFT & 1 << bit]
    if not left or not right:
        return "|"
    lean = sum(left) / len(left) - sum(right) / len(right)
    return "|" if lean == 0 else "\\" if lean < 0 else "/"


_TABLE = _StandIns({ord(sign): text for sign, text in SIGNS.items()})
