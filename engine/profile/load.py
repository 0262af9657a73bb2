"""Profiles that ship with speedtui, and the user's own in `~/.config/speedtui/profiles`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec

from speedtui.engine.config.paths import nearest
from speedtui.engine.config.settings import Scalar
from speedtui.engine.errors import ConfigError, UsageError
from speedtui.engine.files import make_folder, write_whole
from speedtui.engine.home import user_folder
from speedtui.engine.profile.profile import (
    Baseline,
    Profile,
    check_profile_name,
    parse_profile,
    render_profile,
)
from speedtui.engine.trust import require

BUILT_IN = ("fast", "balanced", "quality", "memory-efficient")
"""In the order in which they are shown."""


class Profiles(msgspec.Struct, frozen=True, kw_only=True):
    """All profiles there are, and what kept others from being among them."""

    profiles: tuple[Profile, ...]
    """The built-in ones first, each replaced by the user's own of that name; then the others by name."""
    problems: tuple[str, ...] = ()
    """One line for each of the user's files that cannot be used."""

    def named(self, name: str) -> Profile | None:
        """The one of that name."""
        return next((profile for profile in self.profiles if profile.name == name), None)


@cache
def built_in_profiles() -> tuple[Profile, ...]:
    """Those that ship with speedtui."""
    folder = resources.files("speedtui.profiles")
    return tuple(
        parse_profile(
            name, folder.joinpath(f"{name}.toml").read_text(encoding="utf-8"), f"profiles/{name}.toml", own=False
        )
        for name in BUILT_IN
    )


def own_folder() -> Path:
    """`$XDG_CONFIG_HOME/speedtui/profiles`, by default below `~/.config`."""
    return user_folder("XDG_CONFIG_HOME", ".config") / "speedtui" / "profiles"


def list_profiles() -> Profiles:
    """Every profile that can be used; a file that cannot be is a problem told, and stops no other."""
    own: dict[str, Profile] = {}
    files, problems = _own_files()
    for file in files:
        try:
            profile = _read_own(file)
        except UsageError as error:
            instead = f" (the built-in {file.stem} is listed)" if file.stem in BUILT_IN else ""
            problems.append(error.message + instead)
        else:
            own[profile.name] = profile
    first = [own.pop(profile.name, profile) for profile in built_in_profiles()]
    return Profiles(profiles=(*first, *(own[name] for name in sorted(own))), problems=tuple(problems))


def find_profile(name: str) -> Profile:
    """The profile of that name; the user's own comes before a built-in one.

    Raises:
        UsageError: there is none; the message lists those there are.
        ConfigError: the user's file of that name cannot be used.
    """
    files, _ = _own_files()
    for file in files:
        if file.stem == name:
            return _read_own(file)
    for profile in built_in_profiles():
        if profile.name == name:
            return profile
    known = [*BUILT_IN, *(file.stem for file in files if file.stem not in BUILT_IN)]
    raise UsageError(
        f"no profile is named {name}{nearest(name, known)}",
        f"There are {', '.join(known)}; your own go to {own_folder()}.",
    )


def save_profile(
    name: str, description: str, values: Mapping[str, Scalar], *,
    baseline: Baseline | None = None, overwrite: bool = False,
) -> Path:  # fmt: skip
    """Writes a profile of the user's own, whole or not at all; the path of its file.

    Raises:
        UsageError: the name cannot be used or is taken (a built-in name counts as taken), or the folder cannot be
            written.
        ConfigError: the values are no settings of a profile.
    """
    check_profile_name(name)
    path = own_folder() / f"{name}.toml"
    if not overwrite and (path.exists() or name in BUILT_IN):
        what = f"there is a profile {name}: {path}" if path.exists() else f"{name} is the name of a built-in profile"
        raise UsageError(what, "Take another name, or say that it is to be replaced.")
    text = render_profile(description, values, baseline or Baseline())
    parse_profile(name, text, f"profile {name}", own=True)
    try:
        make_folder(path.parent)
        write_whole(path, text)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}", "Set XDG_CONFIG_HOME to a folder that can be."
        ) from None
    return path


def _own_files() -> tuple[list[Path], list[str]]:
    """The user's files by name, and why the folder cannot be read where it cannot."""
    folder = own_folder()
    try:
        files = [file for file in folder.iterdir() if file.suffix == ".toml" and not file.name.startswith(".")]
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"{folder}: your profiles cannot be read: {error.strerror}"]
    return sorted(files), []


def _read_own(file: Path) -> Profile:
    try:
        check_profile_name(file.stem)
    except UsageError as error:
        raise UsageError(f"{file}: {error.message}", f"Rename the file. {error.hint}") from None
    require(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: cannot be read: not UTF-8 text", "Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", "Correct it or move it away.") from None
    profile = parse_profile(file.stem, text, str(file), own=True)
    if profile.name not in BUILT_IN:
        return profile
    description = f"{profile.description} (yours, in place of the built-in)".strip()
    return msgspec.structs.replace(profile, description=description)
