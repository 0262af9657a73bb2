"""The plan that was made last of a run's configuration, by a run beside it: what is known need not be asked again."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

import msgspec

from speedtui.engine import events as e
from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.errors import ConfigError, RunFolderError
from speedtui.engine.log.read import read_state
from speedtui.engine.log.tail import read_events
from speedtui.engine.plan.run_options import WHERE
from speedtui.engine.plan_types import ProfileRow
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState

MOST = 20
"""Plans that are looked at, the newest first: each costs a line of its log."""


def earlier_plan(run: RunState, folder: RunFolder, now: float) -> RunState | None:
    """The newest run in the same folder that has planned this configuration for these devices; None where none has.

    What it measured counts as history, as old as it is at `now`, wall clock in seconds. Somebody else's plan is none:
    its values would become those of the next run.
    """
    names = sorted(folder.path.parent.glob("*-plan-*"), reverse=True)
    for other in islice((RunFolder(path) for path in names if path != folder.path), MOST):
        with suppress(OSError, RunFolderError, ConfigError):
            if not other.flaw() and _same(next(read_events(other.events), None), run):
                found = read_state(other.events)
                if found.plan is not None:
                    return _aged(found, max(0.0, now - found.now))
    return None


def _same(first: e.AnyEvent | None, run: RunState) -> bool:
    if not isinstance(first, e.RunStarted) or first.job != "plan" or _names(first.devices) != _names(run.devices):
        return False
    planned, own = (recorded_settings(config, WHERE) for config in (first.config, run.config))
    # No figure of a plan depends on these; when it ends is worked out anew.
    return own == msgspec.structs.replace(
        planned, window=own.window, search=own.search, track=own.track, notify=own.notify
    )


def _names(devices: Iterable[e.Device]) -> list[str]:
    return [device.name for device in devices]


def _aged(run: RunState, seconds: float) -> RunState:
    assert run.plan is not None
    rows = [_older(row, seconds) for row in run.plan.profiles]
    return msgspec.structs.replace(run, plan=msgspec.structs.replace(run.plan, profiles=rows))


def _older(row: ProfileRow, seconds: float) -> ProfileRow:
    if row.source not in ("measured", "history"):
        return row
    return msgspec.structs.replace(row, source="history", source_age_seconds=(row.source_age_seconds or 0.0) + seconds)
