"""Looks at the environment: what works, and what to do about the rest."""

from speedtui.engine.doctor.check import Check, Status, render
from speedtui.engine.doctor.doctor import run_checks

__all__ = ["Check", "Status", "render", "run_checks"]
