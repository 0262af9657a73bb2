"""A trial's settings kept as a profile of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speedtui.engine.config.settings import Scalar
from speedtui.engine.errors import SpeedtuiError, UsageError
from speedtui.engine.profile.load import BUILT_IN, own_folder, save_profile
from speedtui.engine.profile.profile import EFFECTIVE_BATCH, Baseline, check_profile_name
from speedtui.engine.state import RunState, TrialRow
from speedtui.tui.notifications import tell_error
from speedtui.tui.protocols import Notifies, Opens


def check_name(name: str) -> str:
    """What saving under this name would do.

    Raises:
        UsageError: it is no name, or it is taken.
    """
    check_profile_name(name)
    path = own_folder() / f"{name}.toml"
    if name in BUILT_IN or path.exists():
        raise UsageError(f"there is a profile {name} already")
    return f"writes {path}"


def save_as_profile(app: Opens, trial: TrialRow, run: RunState) -> None:
    """Asks for a name and keeps the trial's settings under it."""
    from speedtui.tui.screens.name import NameScreen

    def named(name: str | None) -> None:
        if name is not None:
            save_trial(app, name, trial, run)

    app.push_screen(NameScreen(f"Save #{trial.candidate.id} as a profile", check_name), named)


def save_trial(app: Notifies, name: str, trial: TrialRow, run: RunState) -> None:
    """Saves and says so, or says why not."""
    description = f"trial #{trial.candidate.id} of run {run.run}: {trial.candidate.label}"
    keep_profile(app, name, description, profile_values(trial, run.config), _baseline(trial, run))


def keep_profile(app: Notifies, name: str, description: str, values: Mapping[str, Scalar], baseline: Baseline) -> bool:
    """Saves settings under a name and says so, or says why not; whether it was saved."""
    try:
        save_profile(name, description, values, baseline=baseline)
    except SpeedtuiError as error:
        tell_error(app, error)
        return False
    app.notify(f"Saved. Train with it: speedtui train --profile {name}")
    return True


def profile_values(trial: TrialRow, config: Mapping[str, Any]) -> dict[str, Scalar]:
    """The trial's settings, with the effective batch that its micro-batch divides."""
    effective = config.get("train", {}).get("effective_batch_size", trial.candidate.effective_batch_size)
    return {EFFECTIVE_BATCH: effective, **trial.candidate.values}


def _baseline(trial: TrialRow, run: RunState) -> Baseline:
    """What the trial measured."""
    result = trial.result
    measured = result.measurement if result is not None else None
    return Baseline(
        tokens_per_second=measured.tokens_per_second if measured is not None else None,
        memory_bytes=result.memory.peak_bytes if result is not None and result.memory is not None else None,
        device=run.devices[0].name if run.devices else "",
    )
