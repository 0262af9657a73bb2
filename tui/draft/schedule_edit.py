"""The schedule of a training as lines to be edited, for this run or for the next one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from speedtui.engine.clean import clean, shell_line
from speedtui.engine.config.live import LIVE_SETTINGS, live_values
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.paths import value_at, with_values
from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.config.typed import split_setting
from speedtui.engine.errors import RunFolderError
from speedtui.engine.files import write_new
from speedtui.engine.state import RunState
from speedtui.tui.values import Edited, ParseLines, format_value, value_words

OFFERED = (
    "eval_every", "fast_eval_every", "eval_share", "generate", "beams", "metric", "metric_threads", "metric_timeout",
    "patience", "save_only_best", "checkpoint_every", "keep_checkpoints",
)  # fmt: skip
"""Of [schedule], in the order of the dialog; the other live settings can be typed."""
OFFERED_PATHS = tuple(f"schedule.{name}" for name in OFFERED)
WHERE = "settings"
"""Opens the messages of the configuration's own checks."""
RECORDED = "the run's configuration"
NEXT = "next"
"""Name of the file that holds the next run's settings."""
MOST_FILES = 100
"""Of them in one run's folder: a person writes a few."""


def settings_now(run: RunState) -> Settings:
    """The run's settings, its training's own and what was changed since.

    Raises:
        ConfigError: its configuration was written by another version.
    """
    return recorded_settings(run.config, RECORDED, run.laid_over)


def names() -> list[str]:
    """What can be typed: settings that need no other model, data or learning rate."""
    return [_short(path) for path in LIVE_SETTINGS]


def schedule_lines(settings: Settings) -> list[str]:
    """One for each setting offered; nothing after the sign where it is not set."""
    values = {name: getattr(settings.schedule, name) for name in OFFERED}
    return [f"{name} = {'' if value is None else format_value(value)}".rstrip() for name, value in values.items()]


def schedule_check(settings: Settings) -> ParseLines:
    """Reads lines as settings of a training in progress; `settings`: as they are now."""

    def check(lines: Sequence[str]) -> Edited:
        typed = [split_setting(line, WHERE, hint="Such as eval_every = 3 epochs.") for line in lines if line.strip()]
        pairs = [(name, text) for name, text in typed if text or _is_set(settings, name)]
        values = live_values(pairs, settings, WHERE, folder=Path.cwd())
        differing = {path: value for path, value in values.items() if value_at(settings, path) != value}
        return Edited(differing, change_text(settings, differing) or "as it is now: nothing is changed")

    return check


def _is_set(settings: Settings, name: str) -> bool:
    """Whether an empty value would change something, or be wrong."""
    path = name if "." in name else f"schedule.{name}"
    return path not in LIVE_SETTINGS or value_at(settings, path) not in (None, "")


def _short(path: str) -> str:
    return path.removeprefix("schedule.")


def change_text(settings: Settings, values: Mapping[str, Scalar]) -> str:
    """`eval_every 1 epoch → 3 epochs, beams 4 → 1`."""
    return ", ".join(
        f"{_short(path)} {value_words(value_at(settings, path))} → {value_words(value)}"
        for path, value in values.items()
    )


def write_next(folder: Path, settings: Settings, values: Mapping[str, Scalar | None], *, note: str = "") -> Path:
    """Writes the settings with these values into a new file: `next.toml`, else `next-2.toml` and so on.

    `note`: lines that stand as a comment at its top.

    Raises:
        RunFolderError: it cannot be written.
    """
    comment = "".join(f"# {clean(line)}".rstrip() + "\n" for line in note.splitlines())
    text = comment + ("\n" if comment else "") + dump_settings(with_values(settings, values, WHERE))
    for number in range(1, MOST_FILES + 1):
        path = folder / (f"{NEXT}.toml" if number == 1 else f"{NEXT}-{number}.toml")
        if _write_new(path, text):
            return path
    raise RunFolderError(f"{folder}: holds {MOST_FILES} files for a next run already", "Remove some.")


def _write_new(path: Path, text: str) -> bool:
    """False where there is such a file already; nothing is left behind where it cannot be written."""
    try:
        write_new(path, text)
    except FileExistsError:
        return False
    except OSError as error:
        hint = "Make room, or take a folder that can be written."
        raise RunFolderError(f"{path}: cannot be written: {error.strerror or error}", hint) from None
    return True


def train_command(config: Path) -> str:
    """What trains with a configuration file, as short as it can be typed from here."""
    near = os.path.relpath(config)
    return shell_line("speedtui", "train", "--config", min(near, str(config), key=len))
