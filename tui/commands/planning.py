"""How a plan is started from the screen; apart from the screens, since looking at a run needs none of it."""

from __future__ import annotations

from speedtui.engine.config.settings import Settings
from speedtui.engine.context.order import PlanOrder
from speedtui.engine.errors import ConfigError
from speedtui.engine.profile.apply import written_paths
from speedtui.engine.session.base import Session
from speedtui.engine.session.start import start_plan
from speedtui.tui.commands.options import Common
from speedtui.tui.commands.starting import start_options


def plan_settings(common: Common, settings: Settings, *, measure: bool) -> Session:
    """Plans for these settings in a process of its own.

    Raises:
        SpeedtuiError: it could not be started.
    """
    order = PlanOrder(measure=measure, written=_written(common))
    return start_plan(settings, start_options(common, "process", where="the next run"), order)


def _written(common: Common) -> tuple[str, ...]:
    """What the user's file names, where there is one; a run's own file names everything and tells nothing."""
    try:
        return tuple(sorted(written_paths(common.config)))
    except ConfigError:
        return ()
