"""Python and the packages that a worker imports, by their metadata: nothing is imported."""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata

from speedtui.engine.doctor.check import Check
from speedtui.engine.workload.packages import OLDEST, installed, numbers

OLDEST_PYTHON = (3, 11)
"""As `requires-python` in pyproject.toml says."""

_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*>=\s*([0-9.]+)")


def check_python() -> Check:
    """The interpreter that runs this, which also runs the workers."""
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info < OLDEST_PYTHON:
        return Check(name="Python", status="problem", found=found, advice="Use Python 3.11 or newer.")
    return Check(name="Python", status="ok", found=found)


def check_package(name: str) -> Check:
    """Whether a package is installed, in a version that speedtui works with."""
    oldest = oldest_version(name)
    found = installed(name)
    if found is None:
        return Check(name=name, status="problem", found="not installed", advice=f"Install it: {_install(name, oldest)}")
    if oldest is not None and numbers(found) < numbers(oldest):
        advice = f"speedtui needs {oldest} or newer: {_install(name, oldest)}"
        return Check(name=name, status="problem", found=found, advice=advice)
    return Check(name=name, status="ok", found=found)


def check_optional(name: str, extra: str, serves: str) -> Check:
    """The same of a package that only some settings need; without it nothing else is amiss."""
    if installed(name) is not None:
        return check_package(name)
    return Check(
        name=name, status="ok", found="not installed",
        advice=f"Only {serves} need it: pip install 'speedtui[{extra}]'",
    )  # fmt: skip


def oldest_version(name: str) -> str | None:
    """What figures rest on, else what speedtui's own metadata asks for; None where neither says anything."""
    if name in OLDEST:
        return OLDEST[name]
    try:
        requirements = metadata.requires("speedtui") or []
    except metadata.PackageNotFoundError:
        return None
    matches = (_REQUIREMENT.match(requirement) for requirement in requirements)
    return next((match[2] for match in matches if match and match[1] == name), None)


def _install(name: str, oldest: str | None) -> str:
    return f"pip install {name}" if oldest is None else f"pip install '{name}>={oldest}'"
