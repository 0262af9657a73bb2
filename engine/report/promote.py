"""A trial's settings as a configuration and a command that train with them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

import msgspec

from speedtui.engine.candidate import Candidate
from speedtui.engine.clean import clean
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.settings import SearchSettings, Settings
from speedtui.engine.context.order import Order
from speedtui.engine.files import PROGRAM, write_whole
from speedtui.engine.report.trial_figures import settings_measured
from speedtui.engine.runs import RunFolder
from speedtui.engine.search.candidates import apply_candidate

CONFIG_NAME = "train.toml"
SCRIPT_NAME = "train.sh"
AUTO: Literal["auto"] = "auto"


def write_promoted(folder: RunFolder, settings: Settings, order: Order, candidate: Candidate) -> Path:
    """Writes train.toml and train.sh for a candidate; returns the path of the former.

    Raises:
        OSError: no room or no permission.
    """
    promoted = msgspec.structs.replace(apply_candidate(candidate, settings), search=SearchSettings())
    typed = settings_measured(folder.config, candidate.values)
    if typed is not None and typed.model.attention == AUTO:  # left to the model, and so it is again
        model = msgspec.structs.replace(promoted.model, attention=AUTO)
        promoted = msgspec.structs.replace(promoted, model=model)
    what = f"trial #{candidate.id}: {candidate.label}"
    header = f"Settings of trial #{candidate.id} ({candidate.label}) of run {folder.id}."
    return _write(folder, order, promoted, header, ["--trial", f"{folder.id}#{candidate.id}"], what)


def write_planned(folder: RunFolder, planned: Settings, order: Order, profile: str) -> Path:
    """The same for a plan's settings.

    Raises:
        OSError: no room or no permission.
    """
    promoted = msgspec.structs.replace(planned, search=SearchSettings())
    header = f"Profile {profile} as run {folder.id} planned it."
    return _write(folder, order, promoted, header, ["--plan", folder.id], f"profile {profile} as planned")


def _write(folder: RunFolder, order: Order, settings: Settings, header: str, more: list[str], what: str) -> Path:
    """Both files; `header` and `what` say in a comment what they are, where a line end would begin a command; `more`
    stands in the command."""
    config = folder.path / CONFIG_NAME
    write_whole(config, f"# {clean(header)}\n\n{dump_settings(settings)}")
    command = shlex.join([*order.train_command, "--config", str(config), *more])
    comment = clean(f"Trains with {what}. More options may follow the script's name.")
    write_whole(folder.path / SCRIPT_NAME, f'#!/bin/sh\n# {comment}\nexec {command} "$@"\n', mode=PROGRAM)
    return config
