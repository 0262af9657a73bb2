"""Copies text to the clipboard of the terminal's own machine, and into a file for terminals that do not take it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from speedtui.engine.clean import UNBOUNDED, clean_lines
from speedtui.engine.files import write_whole
from speedtui.engine.trust import flaw
from speedtui.tui.base_app import BaseApp

FILE_NAME = "copied.txt"
LONGEST_BYTES = 74_000
"""Terminals drop a longer clipboard sequence: xterm and tmux take about 100 kB of base64."""


def copy(app: BaseApp, what: str, text: str) -> None:
    """Copies a text, and says where to; `what`: its name.

    A terminal never says whether it took a text for its clipboard, so the file is written as well.
    """
    text = clean_lines(text, UNBOUNDED)
    if not text:
        app.notify("There is nothing to copy here.", severity="warning")
        return
    places = []
    if len(text.encode()) <= LONGEST_BYTES:
        app.copy_to_clipboard(text)
        places.append("to the clipboard, where the terminal takes it,")
    file = _write(text, app.front.session.folder.path)
    if file is not None:
        places.append(f"to {file}")
    if places:
        app.notify(f"{what} copied {' and '.join(places)}".rstrip(","))
    else:
        app.notify(f"{what} is too long for a clipboard, and no file could be written.", severity="error")


def _write(text: str, folder: Path) -> Path | None:
    """The file that it is in; None where there is none.

    It is in the run's folder where that is one's own, else beside other temporary files.
    """
    beside = Path(tempfile.gettempdir()) / f"speedtui-{folder.name}-{FILE_NAME}"
    for file in (folder / FILE_NAME, beside) if not flaw(folder) else (beside,):
        try:
            write_whole(file, text.rstrip("\n") + "\n")
        except OSError:
            continue
        return file
    return None
