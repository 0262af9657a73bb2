"""Exit statuses between a worker and its session, beside those of `ExitCode`."""

from __future__ import annotations

SPENT = 75
"""The job is not over, but another worker has to go on (EX_TEMPFAIL of sysexits.h)."""
BROKEN = 74
"""The training failed; its session starts another worker, if it has restarts left. The log's last notice says why."""
RESTARTABLE = "--restartable"
"""The worker's argument that says so: whoever started it may start it again, so it need not end the run."""
