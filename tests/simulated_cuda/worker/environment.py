"""What a worker's environment needs for its device to be simulated."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FACTS = "SIMULATED_CUDA"
"""The variable that holds the device's facts, as JSON."""


def worker_environment(**facts: Any) -> dict[str, str]:
    """To be set before a session starts its worker; `facts`: of the device, see `SimulatedCuda`."""
    here = Path(__file__).resolve().parent
    paths = [str(here), str(here.parents[2]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {FACTS: json.dumps(facts), "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
