"""Every command that reads a log over five hundred damaged ones: none ends in a fault, hangs or hides another run."""

from __future__ import annotations

from pathlib import Path

import pytest
from figures import keep, table

from tests.damaged import MOST_SECONDS, Walk, damaged_log

LOGS = 500


def test_five_hundred_damaged_logs_are_read_by_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = Walk(tmp_path, monkeypatch)
    for seed in range(LOGS):
        walk.through(damaged_log(seed))
    figures = {"logs": LOGS, "commands": walk.calls, "slowest_cpu_seconds": walk.seconds, "most": MOST_SECONDS}
    print(table(["figure", "value"], list(figures.items())))
    keep("damaged_logs", figures)
