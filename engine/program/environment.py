"""The environment of a user's own program, in which its trainings are found."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

from speedtui.engine.program.inside import CARRIED, PACKAGES, RUN
from speedtui.engine.runs import RunFolder

CARRIER = Path(__file__).parent / "carrier"


def program_environment(folder: RunFolder, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the program is started with: as without us, but for where its Pythons look first.

    `own`: this process's environment by default.
    """
    own = os.environ if own is None else own
    searched = [str(CARRIER), *([own["PYTHONPATH"]] if own.get("PYTHONPATH") else [])]
    return {
        **own, "PYTHONPATH": os.pathsep.join(searched), RUN: str(folder.path), PACKAGES: os.pathsep.join(_folders())
    }  # fmt: skip


def _folders() -> list[str]:
    """In which what is carried lies, each once."""
    specs = [spec for name in CARRIED if (spec := importlib.util.find_spec(name)) is not None]
    places = [place for spec in specs for place in (*(spec.submodule_search_locations or ()), spec.origin) if place]
    return list(dict.fromkeys(str(Path(place).parent) for place in places))
