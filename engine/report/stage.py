"""An earlier training as the beginning of the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.config.load import load_settings
from speedtui.engine.errors import RunFolderError
from speedtui.engine.log.read import read_state
from speedtui.engine.runs import find_run
from speedtui.engine.state.passed_over import PassedOver

MODEL = "model"
"""The folder that a training leaves its model in."""


class FoundStage(msgspec.Struct, frozen=True, kw_only=True):
    """What a second stage takes over."""

    config: Path
    """The first one's settings."""
    values: dict[str, Any]
    """By path: what was changed while it went on, and that its model is begun with."""
    passed_over: PassedOver = PassedOver()
    """Of its log."""


def find_stage(runs: Path, name: str) -> FoundStage:
    """The training called `name`, by its run's id.

    A tokenizer that was trained on the first stage's data is taken over too: the model knows no other tokens.

    Raises:
        RunFolderError: there is no such run, or it has left no model.
        ConfigError: its configuration cannot be read.
    """
    folder = find_run(runs, name)
    folder.require_obeyed()
    model = folder.path / MODEL
    if not model.is_dir():
        raise RunFolderError(
            f"--from {name}: that run has left no model",
            f"Let a training end first: speedtui train --runs {runs} --resume {folder.id}",
        )
    state = read_state(folder.events)
    settings = load_settings(folder.config)
    values: dict[str, Any] = dict(state.laid_over)
    values.pop("train.max_steps", None)
    if settings.model.architecture and not settings.model.tokenizer:
        values["model.tokenizer"] = str(model)
    values["model.start_from"] = str(model)
    return FoundStage(config=folder.config, values=values, passed_over=state.passed_over)
