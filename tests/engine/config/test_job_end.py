"""The end of a Slurm job as a deadline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from speedtui.engine.config.settings import WindowSettings
from speedtui.engine.config.window import JOB_END, JOB_MARGIN_SECONDS, resolve_window

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def job(**after: float) -> dict[str, str]:
    return {JOB_END: str(int((NOW + timedelta(**after)).timestamp()))}


def test_without_a_window_of_its_own_a_run_has_the_jobs() -> None:
    window = resolve_window(WindowSettings(), NOW, "test", job(hours=2))
    assert window is not None
    assert window.deadline == (NOW + timedelta(hours=2)).timestamp()
    assert window.margin_seconds == JOB_MARGIN_SECONDS
    assert window.source == JOB_END


def test_the_earlier_of_the_two_ends_counts() -> None:
    early = resolve_window(WindowSettings(length="1h", margin="5m"), NOW, "test", job(hours=2))
    assert early is not None
    assert (early.deadline, early.source) == ((NOW + timedelta(hours=1)).timestamp(), "")
    late = resolve_window(WindowSettings(length="3h", margin="5m"), NOW, "test", job(hours=2))
    assert late is not None
    assert (late.deadline, late.margin_seconds, late.source) == ((NOW + timedelta(hours=2)).timestamp(), 300, JOB_END)


def test_a_job_end_that_is_over_or_no_number_is_none() -> None:
    assert resolve_window(WindowSettings(), NOW, "test", job(hours=-1)) is None
    assert resolve_window(WindowSettings(), NOW, "test", {JOB_END: "Unknown"}) is None
    assert resolve_window(WindowSettings(), NOW, "test", {}) is None
