"""The next run as a person is putting it together: a profile laid over a run's settings, and edits over both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from speedtui.engine.config.check import check
from speedtui.engine.config.live import LIVE_SETTINGS
from speedtui.engine.config.paths import value_at, with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.profile.profile import EPOCHS, MAX_STEPS
from speedtui.tui.values import format_value

WHERE = "next run"
"""Opens the messages of the configuration's own checks."""
MOST_UNDONE = 200
"""Edits that can be taken back."""

Value = Scalar | None
SettingValues = Mapping[str, Value]


class DraftChange(NamedTuple):
    """One setting of the next run that is another one than now."""

    path: str
    before: Value
    after: Value


class Layers(msgspec.Struct, frozen=True, kw_only=True):
    """What lies over the run's own settings, by path."""

    profile: str = ""
    """Name of what was chosen; empty for the run's own settings."""
    chosen: dict[str, Value] = {}
    """Its settings."""
    edits: dict[str, Value] = {}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Never changes; each edit makes another one that remembers the one before."""

    base: Settings
    """Of the run in front, as they are now."""
    layers: Layers = Layers()
    past: tuple[Layers, ...] = ()
    """Before each edit, oldest first."""

    @property
    def profile(self) -> str:
        """Name of the profile that the next run takes; empty for the run's own settings."""
        return self.layers.profile

    @property
    def settings(self) -> Settings:
        """Of the next run."""
        return laid_over(self.base, {**self.layers.chosen, **self.layers.edits})

    def edit(self, values: SettingValues) -> Draft:
        """With these settings by path.

        Raises:
            ConfigError: a value that is none of its setting, or that does not go with the rest.
        """
        edits = {**self.layers.edits, **values}
        check(laid_over(self.base, {**self.layers.chosen, **edits}), WHERE)
        return self._with(msgspec.structs.replace(self.layers, edits=edits))

    def edit_among(self, paths: Collection[str], values: SettingValues) -> Draft:
        """With these settings, and every other one of `paths` as the run has it.

        Raises:
            ConfigError: a value that is none of its setting, or that does not go with the rest.
        """

        def kept(given: dict[str, Value]) -> dict[str, Value]:
            return {path: value for path, value in given.items() if path not in paths or values.get(path) == value}

        chosen, edits = kept(self.layers.chosen), kept(self.layers.edits)
        edits |= {path: value for path, value in values.items() if chosen.get(path) != value}
        check(laid_over(self.base, {**chosen, **edits}), WHERE)
        return self._with(msgspec.structs.replace(self.layers, chosen=chosen, edits=edits))

    def take(self, profile: str, values: SettingValues) -> Draft:
        """With a profile in place of the one before; edits stay, since somebody made them.

        Raises:
            ConfigError: they do not go with its settings.
        """
        layers = msgspec.structs.replace(self.layers, profile=profile, chosen=dict(values))
        check(laid_over(self.base, {**layers.chosen, **layers.edits}), WHERE)
        return self._with(layers)

    def reset(self, *paths: str) -> Draft:
        """These settings as the run has them."""
        edits = {path: value for path, value in self.layers.edits.items() if path not in paths}
        chosen = {path: value for path, value in self.layers.chosen.items() if path not in paths}
        return self._with(msgspec.structs.replace(self.layers, edits=edits, chosen=chosen))

    def reset_all(self) -> Draft:
        """All settings as the run has them."""
        return self._with(Layers())

    def undo(self) -> Draft:
        """Before the last edit."""
        if not self.past:
            return self
        return msgspec.structs.replace(self, layers=self.past[-1], past=self.past[:-1])

    def over(self, base: Settings) -> Draft:
        """The same over settings that were changed while the run went on."""
        return self if base == self.base else msgspec.structs.replace(self, base=base)

    def diff(self) -> list[DraftChange]:
        """What differs from the run."""
        settings = self.settings
        found = dict.fromkeys((*self.layers.chosen, *self.layers.edits))
        pairs = ((path, value_at(self.base, path), value_at(settings, path)) for path in found)
        return [DraftChange(path, before, after) for path, before, after in pairs if before != after]

    def values(self) -> dict[str, Value]:
        """The same by path."""
        return {path: after for path, _, after in self.diff()}

    def live_values(self) -> dict[str, Scalar]:
        """Those of them that a training in progress can take up."""
        return {path: value for path, value in self.values().items() if path in LIVE_SETTINGS and value is not None}

    def _with(self, layers: Layers) -> Draft:
        if layers == self.layers:
            return self
        return msgspec.structs.replace(self, layers=layers, past=(*self.past, self.layers)[-MOST_UNDONE:])


def laid_over(settings: Settings, values: SettingValues) -> Settings:
    """Settings with others in them; epochs that are asked for take the place of a number of steps.

    Raises:
        ConfigError: a path that is no setting, or a value of another type.
    """
    if values.get(EPOCHS) is not None and MAX_STEPS not in values and settings.train.max_steps is not None:
        values = {**values, MAX_STEPS: None}
    return with_values(settings, values, WHERE)


def as_toml(changed: DraftChange) -> str:
    """`eval_every = "200 steps"  # was "1 epoch"`, the last part of its path for a name."""
    name = changed.path.rpartition(".")[2]
    if changed.after is None:
        return f"# {name} is not set any more, was {_quoted(changed.before)}"
    return f"{name} = {_quoted(changed.after)}  # was {_quoted(changed.before)}"


def diff_as_toml(diff: list[DraftChange]) -> str:
    """The changes below their tables' names, ready to be put into a configuration file."""
    tables: dict[str, list[str]] = {}
    for changed in diff:
        tables.setdefault(changed.path.rpartition(".")[0], []).append(as_toml(changed))
    return "\n\n".join("\n".join([f"[{table}]", *lines]) for table, lines in tables.items())


def _quoted(value: Value) -> str:
    if value is None:
        return "not set"
    return f'"{value}"' if isinstance(value, str) else format_value(value)
