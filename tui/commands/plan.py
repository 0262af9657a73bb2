"""speedtui plan"""

from __future__ import annotations

import click
import msgspec

from speedtui.engine.config.load import load_settings
from speedtui.engine.context.order import PlanOrder
from speedtui.engine.errors import ExitCode, UsageError
from speedtui.engine.hardware.peaks import known_names, named_device
from speedtui.engine.profile.apply import written_paths
from speedtui.engine.profile.load import find_profile
from speedtui.engine.session.start import start_plan
from speedtui.tui.commands.following import follow
from speedtui.tui.commands.options import Common, Output, common_options, engine_option, screen_options, typed
from speedtui.tui.commands.screen import show
from speedtui.tui.commands.starting import start_options
from speedtui.tui.commands.window import refuse_bad_window, window_flags, window_options


@click.command("plan")
@common_options
@screen_options
@engine_option
@window_options
@click.option("--profile", metavar="NAME", help="Plan with this profile; by default the data decides.")
@click.option("--device", metavar="NAME|SIZE", help="For a GPU that is not here: L40S, 80GiB; nothing is measured.")
@click.option("--measure/--no-measure", default=True, help="Probe each profile, or rest on history and baselines.")
@click.option("--budget", metavar="TIME", help="For measuring, such as 5m; by default 10m, or a tenth of the window.")
@click.option("--screen", "on_screen", is_flag=True, help="Open the screen on the plan, to change and write it.")
def command(
    common: Common, engine: str, window: str | None, deadline: str | None, margin: str | None, profile: str | None,
    device: str | None, measure: bool, budget: str | None, on_screen: bool,
) -> ExitCode:  # fmt: skip
    """Say before a run which profile fits, when it is done, and what each schedule costs."""
    flags = {**window_flags(window, deadline, margin), **typed(search__budget=budget)}
    settings = load_settings(common.config, flags)
    refuse_bad_window(settings, flags)
    if profile is not None:
        find_profile(profile)  # refuses an unknown one before a worker starts
    order = PlanOrder(
        profile=profile,
        device=_checked_device(device) if device is not None else "",
        measure=measure and device is None,
        written=tuple(sorted(written_paths(common.config))),
    )
    if on_screen:
        _require_terminal(common)
    session = start_plan(settings, start_options(common, engine), order)
    if on_screen:
        return show(session, common, engine, start_screen="plan")
    return follow(session, msgspec.structs.replace(common, plain=True))  # it is read and done with


def _require_terminal(common: Common) -> None:
    if common.output is not Output.SCREEN:
        reason = common.no_screen or "there is no terminal to open the screen on"
        raise UsageError(f"--screen: {reason}", "Leave it out: the plan is text then.")


def _checked_device(text: str) -> str:
    try:
        named_device(text)
    except ValueError as error:
        known = ", ".join(known_names(text))
        raise UsageError(f"--device: {error}", f"Give its memory, such as 80GiB, or a known name: {known}.") from None
    return text
