"""When a run was started first: what lists of runs are sorted by, since a copy or a look may write its files later."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from speedtui.engine.events import RunStarted, decode
from speedtui.engine.regular_file import open_regular

HEAD_BYTES = 1 << 16
"""Of a log's beginning, where a run's name does not say it."""
_NAMED = re.compile(r"(\d{8}-\d{6})(?!\d)")
_OWN_NAME = re.compile(rf"{_NAMED.pattern}-[a-z]+-[0-9a-f]{{4}}")


def is_own_name(name: str) -> bool:
    """Whether a run's folder is called as it was when it was made, and not as a copy is."""
    return _OWN_NAME.fullmatch(name) is not None


def started_at(name: str, log: Path) -> float | None:
    """Wall clock: the name of the run's folder says so, else the beginning of its log; None where neither does."""
    named = _NAMED.match(name)
    if named is not None:
        with suppress(ValueError, OverflowError):
            return datetime.strptime(named[1], "%Y%m%d-%H%M%S").timestamp()
    with suppress(OSError), open_regular(log) as file:
        for line in file.read(HEAD_BYTES).split(b"\n"):
            with suppress(ValueError):
                event = decode(line)
                if isinstance(event, RunStarted):
                    return event.started_at
    return None
