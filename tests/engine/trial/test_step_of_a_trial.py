"""What a trial says of a step: its parts add up to it, however noisy the probe was."""

from __future__ import annotations

import numpy as np
import pytest

from speedtui.engine.config.settings import TrainSettings
from speedtui.engine.meter.meter import StepTiming
from speedtui.engine.trial.batches import plan_probe
from speedtui.engine.trial.judgement import ProbeRules
from tests.engine.trial.test_steady import workload_of

SHARES = {"data": 0.05, "h2d": 0.02, "forward": 0.3, "backward": 0.6, "other": 0.02, "log": 0.01}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("in_probe", "in_training"), [(1, 1), (1, 8), (2, 16), (4, 4)])
def test_the_phases_of_a_trials_step_add_up_to_it(seed: int, in_probe: int, in_training: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.lognormal(4.0, 1.0, size=400).astype(np.int32).clip(4, 2000)
    plan = plan_probe(workload_of(lengths), TrainSettings(micro_batch_size=4), 10, 15)
    slow = rng.integers(0, 4)  # steps of warm-up, several times as long
    timings = []
    for number in range(12):
        padded = [float(rng.choice(plan.padded)) for _ in range(in_probe)]
        factor = rng.lognormal(0.0, 0.2) * (rng.uniform(3, 8) if number < slow else 1.0)
        seconds = [(0.01 + 1e-4 * size) * factor for size in padded]
        optimizer = 0.02 * rng.lognormal(0.0, 0.5)
        phases = {name: share * sum(seconds) for name, share in SHARES.items()} | {"optimizer": optimizer}
        timings.append(
            StepTiming(
                micro_steps=tuple(zip(padded, seconds, strict=True)), optimizer_seconds=optimizer, phases=phases,
                loss=1.0,
            )
        )  # fmt: skip
    judged = ProbeRules(
        plan=plan, batches=10, micro_batch_size=4, accumulation=in_training, lengths_known=True
    ).measurement(timings)
    assert sum(judged.phases.values()) == pytest.approx(judged.step_seconds, rel=1e-6)
    assert judged.phases["optimizer"] == pytest.approx(judged.optimizer_seconds)
    rest = judged.step_seconds - judged.optimizer_seconds
    assert judged.phases["backward"] == pytest.approx(0.6 * rest, rel=1e-6)
