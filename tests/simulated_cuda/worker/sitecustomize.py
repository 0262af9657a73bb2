"""Python runs this at its start where this folder is in PYTHONPATH: a worker then has a simulated device."""

from __future__ import annotations

import sys

if "speedtui.engine.jobs.worker" in sys.orig_argv:
    import atexit
    import json
    import os

    from tests.simulated_cuda.install import simulated_cuda
    from tests.simulated_cuda.worker.environment import FACTS

    _device = simulated_cuda(**json.loads(os.environ.get(FACTS, "{}")))
    _device.__enter__()
    atexit.register(_device.__exit__, None, None, None)
