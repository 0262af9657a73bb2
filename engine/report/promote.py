"""A trial's settings as a configuration and a command that train with them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import msgspec

from speedtui.engine.candidate import Candidate
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.settings import SearchSettings, Settings
from speedtui.engine.context.order import Order
from speedtui.engine.runs import RunFolder
from speedtui.engine.search.candidates import apply_candidate

CONFIG_NAME = "train.toml"
SCRIPT_NAME = "train.sh"


def write_promoted(folder: RunFolder, settings: Settings, order: Order, candidate: Candidate) -> Path:
    """Writes train.toml and train.sh for a candidate; returns the path of the former.

    Raises:
        OSError: no room or no permission.
    """
    promoted = msgspec.structs.replace(apply_candidate(candidate, settings), search=SearchSettings())
    config = folder.path / CONFIG_NAME
    header = f"# Settings of trial #{candidate.id} ({candidate.label}) of run {folder.id}.\n\n"
    config.write_text(header + dump_settings(promoted), encoding="utf-8")
    _write_script(folder, order, candidate, config)
    return config


def _write_script(folder: RunFolder, order: Order, candidate: Candidate, config: Path) -> None:
    command = shlex.join([*order.train_command, "--config", str(config), "--trial", f"{folder.id}#{candidate.id}"])
    script = folder.path / SCRIPT_NAME
    script.write_text(
        "#!/bin/sh\n"
        f"# Trains with trial #{candidate.id}: {candidate.label}. More options may follow the script's name.\n"
        f'exec {command} "$@"\n',
        encoding="utf-8",
    )
    os.chmod(script, 0o755)
