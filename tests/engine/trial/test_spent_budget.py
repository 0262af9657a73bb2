"""What is left of a trial when the time for it is over."""

from __future__ import annotations

import pytest

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import SearchSettings, Settings
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.log.tail import read_events
from speedtui.engine.trial.failures import TrialEnded
from speedtui.engine.trial.memory_probe import memory_probe
from speedtui.engine.trial.probe import throughput_probe
from speedtui.engine.trial.probe_setup import MICRO_STEPS, ProbeSetup
from speedtui.engine.trial.steady import ENOUGH
from tests.engine.trial.conftest import CPU, NewRunner, attempt
from tests.engine.trial.test_costs import evaluated


class OutOfTime:
    """The time is over after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise TrialEnded(TrialStatus.TIMED_OUT, "the study's budget was spent during this trial")


def test_micro_steps_that_were_seen_by_then_are_a_measurement_and_fewer_are_none(new_runner: NewRunner) -> None:
    runner = new_runner(search=SearchSettings(batches=40, early_stop=False))
    settings = runner.context.settings
    workload = runner.load(settings)

    def setup(steps: int) -> ProbeSetup:
        return ProbeSetup(
            context=runner.context, workload=workload, model=model, settings=settings, device=CPU, trial=0,
            check=OutOfTime(steps),
        )  # fmt: skip

    with runner.guard.trial(workload, settings) as model:
        for probe in (throughput_probe, memory_probe):
            with pytest.raises(TrialEnded):
                probe(setup(1), None)
        found = throughput_probe(setup(3), None)
    seen = found.measurement.batches + found.measurement.warmup_batches
    assert seen == 3 * MICRO_STEPS >= ENOUGH
    assert found.curve.seconds(1, 50) > 0


def test_a_trial_that_begins_after_the_budget_has_timed_out(new_runner: NewRunner, settings: Settings) -> None:
    runner = new_runner(**evaluated(settings))
    runner.deadline = working_seconds() - 1.0
    result = attempt(runner, micro_batch_size=4)
    assert result.status is TrialStatus.TIMED_OUT and result.curve is None
    runner.context.log.flush()
    probes = {x.probe for x in read_events(runner.context.folder.events) if isinstance(x, e.StepCompleted)}
    assert probes <= {"memory"}
