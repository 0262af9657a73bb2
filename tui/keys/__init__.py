"""Every key: dispatch, footer, help, palette and the keymap file are made from this one table.

No function keys, no alt and no ctrl but p and l: those are taken by tmux, screen and terminals.
"""

from speedtui.tui.keys.key import Key, Scope, Situation
from speedtui.tui.keys.table import KEYS, action_allowed, bindings, keys_of

__all__ = ["KEYS", "Key", "Scope", "Situation", "action_allowed", "bindings", "keys_of"]
