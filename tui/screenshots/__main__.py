"""Writes pictures of every screen and a list of them; pictures that are no longer made are removed.

python -m speedtui.tui.screenshots RECORDINGS_DIR OUT_DIR [COLUMNSxROWS ...]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from speedtui.engine.errors import ExitCode
from speedtui.engine.files import make_folder, write_whole
from speedtui.engine.output import say, warn
from speedtui.tui.screenshots.draw import Picture, drawn, same_everywhere
from speedtui.tui.screenshots.scenes import SCENES, Scene, Size

GALLERY: tuple[Size, ...] = ((140, 40),)
"""Where no size is asked for: one is enough to see what there is."""
LIST = "README.md"
PREFACE = """# The screens

Drawn by `make screenshots` from runs that really happened; `make recordings` records them again. At other sizes:
`make screenshots SIZES="80x24 200x60" OUT=build/screenshots`. `demo.cast` is the
demo as it ran in a terminal: `asciinema play screenshots/demo.cast`. `walk.cast` is a person's whole way, from
a data file to the replay of its training, keyboard only; `make walk` goes it again.
"""


def main(arguments: Sequence[str]) -> int:
    """Pictures of every scene; fails where a recording lacks the moment of one."""
    sizes = [re.fullmatch(r"(\d+)x(\d+)", text) for text in arguments[2:]]
    if len(arguments) < 2 or None in sizes:
        warn(__doc__)
        return int(ExitCode.USAGE)
    recordings, out = (Path(argument) for argument in arguments[:2])
    wanted = [(int(size[1]), int(size[2])) for size in sizes if size] or list(GALLERY)
    make_folder(out)
    same_everywhere()
    scenes = [scene for scene in SCENES if (recordings / f"{scene.recording}.jsonl").is_file()]
    done = [_write(picture, out) for picture in drawn(recordings, scenes, wanted)]
    write_whole(out / LIST, _list_of(done, wanted))
    _tidy(out, {scene.name(size) for scene in done for size in wanted})
    missing = [scene for scene in SCENES if scene not in done]
    for scene in missing:
        warn(f"{scene.name(wanted[0])}: no such moment in {recordings}")
    return int(ExitCode.FAILED if missing else ExitCode.DONE)


def _write(picture: Picture, out: Path) -> Scene:
    path = out / f"{picture.scene.name(picture.size)}.png"
    write_whole(path, picture.png)
    say(str(path))
    return picture.scene


def _list_of(scenes: Iterable[Scene], sizes: Sequence[Size]) -> str:
    """A line for each scene, with its pictures."""
    lines = [PREFACE]
    for scene in dict.fromkeys(scenes):
        links = ", ".join(f"[{columns}x{rows}]({scene.name((columns, rows))}.png)" for columns, rows in sizes)
        lines.append(f"- {scene.shows}: {links}")
    return "\n".join(lines) + "\n"


def _tidy(out: Path, wanted: set[str]) -> None:
    for path in out.glob("*.png"):
        if path.stem not in wanted:
            path.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
