"""Exit statuses between a worker and its session, beside those of `ExitCode`."""

from __future__ import annotations

SPENT = 75
"""The job is not over, but another worker has to go on (EX_TEMPFAIL of sysexits.h)."""
