"""Writes every screen at both sizes, as SVG and PNG, and a list of them; pictures that are no longer made are removed.

python -m speedtui.tui.screenshots RECORDINGS_DIR OUT_DIR
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from speedtui.engine.errors import ExitCode
from speedtui.engine.files import make_folder, write_whole
from speedtui.engine.output import say, warn
from speedtui.tui.screenshots.draw import Picture, drawn, same_everywhere
from speedtui.tui.screenshots.scenes import SCENES, SIZES, Scene

ENDINGS = (".svg", ".png")
LIST = "README.md"
PREFACE = """# The screens

Drawn by `make screenshots` from runs that really happened; `make recordings` records them again. `demo.cast` is the
demo as it ran in a terminal: `asciinema play screenshots/demo.cast`. `walk.cast` is a person's whole way, from
a data file to the replay of its training, keyboard only; `make walk` goes it again.
"""


def main(arguments: Sequence[str]) -> int:
    """Pictures of every scene; fails where a recording lacks the moment of one."""
    if len(arguments) != 2:
        warn(__doc__)
        return int(ExitCode.USAGE)
    recordings, out = (Path(argument) for argument in arguments)
    make_folder(out)
    same_everywhere()
    scenes = [scene for scene in SCENES if (recordings / f"{scene.recording}.jsonl").is_file()]
    done = [_write(picture, out) for picture in drawn(recordings, scenes)]
    write_whole(out / LIST, _list_of(done))
    _tidy(out, {scene.name(size) for scene in done for size in SIZES})
    missing = [scene for scene in SCENES if scene not in done]
    for scene in missing:
        warn(f"{scene.name(SIZES[0])}: no such moment in {recordings}")
    return int(ExitCode.FAILED if missing else ExitCode.DONE)


def _write(picture: Picture, out: Path) -> Scene:
    path = out / f"{picture.scene.name(picture.size)}.svg"
    write_whole(path, picture.svg)
    write_whole(path.with_suffix(".png"), picture.png)
    say(str(path))
    return picture.scene


def _list_of(scenes: Iterable[Scene]) -> str:
    """A line for each scene, with its pictures at both sizes."""
    lines = [PREFACE]
    for scene in dict.fromkeys(scenes):
        links = ", ".join(f"[{columns}x{rows}]({scene.name((columns, rows))}.png)" for columns, rows in SIZES)
        lines.append(f"- {scene.shows}: {links}")
    return "\n".join(lines) + "\n"


def _tidy(out: Path, wanted: set[str]) -> None:
    for path in out.iterdir():
        if path.suffix in ENDINGS and path.stem not in wanted:
            path.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
