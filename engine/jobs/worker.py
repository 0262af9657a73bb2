"""The worker process: `python -m speedtui.engine.jobs.worker RUN_FOLDER`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import ExitCode, SpeedtuiError
from speedtui.engine.jobs.execute import WorkerSpent, execute
from speedtui.engine.jobs.status import SPENT
from speedtui.engine.runs import RunFolder

_SIGNALS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


def stop_on_signals(context: JobContext) -> None:
    """SIGINT and SIGTERM end the job at its next step boundary.

    Forked loader workers inherit the handler; in them it does what the default would have done.
    """
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        context.request_stop(_SIGNALS[signal.Signals(number)])

    for number in _SIGNALS:
        signal.signal(number, stop)


def main() -> int:
    """Runs the ordered job; stdout and stderr are the run's worker.log."""
    try:
        return execute(RunFolder(Path(sys.argv[1])), stop_on_signals)
    except WorkerSpent as spent:
        print(f"this worker is spent: {spent}", file=sys.stderr)
        return SPENT
    except SpeedtuiError as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
