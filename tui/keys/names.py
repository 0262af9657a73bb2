"""Names of keys: as people write them, as Textual calls them, as they are shown."""

from __future__ import annotations

import unicodedata

from textual.keys import KEY_NAME_REPLACEMENTS, REPLACED_KEYS, key_to_character

NAMED = (
    "space", "enter", "tab", "escape", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown",
    "up", "down", "left", "right",
)  # fmt: skip
"""Keys without a character of their own that every terminal sends."""
FUNCTION_KEYS = tuple(f"f{number}" for number in range(1, 25))
OTHER_NAMES = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "del": "delete"}
SHOWN = {"up": "↑", "down": "↓", "left": "←", "right": "→", "escape": "esc", "pageup": "pgup", "pagedown": "pgdn",
         "delete": "del"}  # fmt: skip
THE_SAME = {
    "ctrl+i": "tab", "ctrl+m": "enter", "ctrl+j": "enter", "ctrl+h": "backspace", "ctrl+left_square_bracket": "escape",
}  # fmt: skip
"""What terminals send one code for."""
MODIFIERS = ("ctrl", "alt", "shift")


def textual_name(written: str) -> str | None:
    """Textual's name of a key such as `a`, `[`, `space`, `shift+tab`; None where there is no such key."""
    *modifiers, last = [written] if len(written) <= 1 else written.split("+") if written[-1] != "+" else [written]
    modifiers = [modifier.lower() for modifier in modifiers]
    base = _base_name(last)
    if base is None or any(modifier not in MODIFIERS for modifier in modifiers):
        return None
    if modifiers == ["shift"] and len(base) == 1:
        return base.upper()
    return "+".join([*modifiers, base])


def shown_name(name: str) -> str:
    """How a key of Textual's name is written on the screen."""
    *modifiers, base = name.split("+")
    character = _character(base) if base not in NAMED else None
    shown = SHOWN.get(base) or character or base
    if modifiers == ["shift"]:
        return f"⇧{shown}"
    return "+".join([*modifiers, shown])


def why_risky(name: str) -> str:
    """What may keep a key from arriving; empty for one that always does."""
    if name in FUNCTION_KEYS:
        return "function keys are taken or garbled by many terminals"
    if name.startswith("alt+"):
        return "alt arrives as escape on many terminals and over slow lines"
    if name.startswith("ctrl+") and name not in ("ctrl+p", "ctrl+l"):
        return "ctrl keys are taken by tmux, screen and the terminal"
    return ""


def _base_name(text: str) -> str | None:
    if len(text) == 1:
        return _name_of_character(text)
    name = OTHER_NAMES.get(text.lower(), text.lower())
    if name in (*NAMED, *FUNCTION_KEYS):
        return name
    return name if _character(name) is not None else None


def _character(name: str) -> str | None:
    """The character of a key by Textual's name, such as `/` of `slash`."""
    return key_to_character(REPLACED_KEYS.get(name, name))


def _name_of_character(character: str) -> str | None:
    if character.isalnum():
        return character
    if not character.isprintable():
        return None
    if character == " ":
        return "space"
    name = unicodedata.name(character, "").lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name) or None
