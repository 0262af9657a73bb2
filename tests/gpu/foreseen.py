"""What the blocks of a rehearsal ask of the predictor, answered before: a process for each has seconds of imports."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

from speedtui.engine.config.paths import with_values
from speedtui.engine.memory.prediction_cache import keep, key_of_request
from speedtui.engine.memory.worker import answer
from speedtui.engine.search.space import memory_request
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_data
from tests.gpu.found import Findings
from tests.gpu.material import CHECKPOINTING, GPT2, HALF, settings_for
from tests.gpu.onsite import Site
from tests.simulated_cuda import SimulatedCuda


def foresee(folder: Path) -> None:
    """Into the cache of the user's folder, which all blocks share. What is not among it a block has predicted itself.

    In a process that has imported everything, and whose device nothing simulates yet.
    """
    site = Site(Findings(folder / "foreseen.found"), folder, SimulatedCuda())
    for shape, masked in ((HALF, True), (GPT2, False)):
        settings = settings_for(site, shape, dtype="float32")
        data = load_data(settings, silent)
        for method, recomputed in product(("lora", "full"), (False, True)):
            values: dict[str, Any] = {"train.method": method, CHECKPOINTING: recomputed}
            asked = memory_request(
                with_values(settings, values, "gpu-check"), data.facts, data.vocabulary, "cuda", (9, 0), masked=masked
            )  # fmt: skip
            assert asked is not None
            keep(key_of_request(asked), answer(asked).prediction)
