"""A trial's settings as a configuration and a command that train with them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Literal

import msgspec

from speedtui.engine.candidate import Candidate
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.settings import SearchSettings, Settings
from speedtui.engine.context.order import Order
from speedtui.engine.report.taken import settings_measured
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
    config = folder.path / CONFIG_NAME
    header = f"# Settings of trial #{candidate.id} ({candidate.label}) of run {folder.id}.\n\n"
    config.write_text(header + dump_settings(promoted), encoding="utf-8")
    what = f"trial #{candidate.id}: {candidate.label}"
    _write_script(folder, order, config, ["--trial", f"{folder.id}#{candidate.id}"], what)
    return config


def write_planned(folder: RunFolder, planned: Settings, order: Order, profile: str) -> Path:
    """The same for a plan's settings.

    Raises:
        OSError: no room or no permission.
    """
    config = folder.path / CONFIG_NAME
    header = f"# Profile {profile} as run {folder.id} planned it.\n\n"
    promoted = msgspec.structs.replace(planned, search=SearchSettings())
    config.write_text(header + dump_settings(promoted), encoding="utf-8")
    _write_script(folder, order, config, ["--plan", folder.id], f"profile {profile} as planned")
    return config


def _write_script(folder: RunFolder, order: Order, config: Path, more: list[str], what: str) -> None:
    command = shlex.join([*order.train_command, "--config", str(config), *more])
    script = folder.path / SCRIPT_NAME
    script.write_text(
        f'#!/bin/sh\n# Trains with {what}. More options may follow the script\'s name.\nexec {command} "$@"\n',
        encoding="utf-8",
    )
    os.chmod(script, 0o755)
