"""A candidate whose numbers are NaN within its own probe: it fails, however fast it is."""

from __future__ import annotations

import msgspec
import torch

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.log.tail import read_events
from tests.engine.trial.conftest import NewRunner, attempt


def test_a_candidate_that_diverges_fails_and_the_next_one_finds_the_weights_as_they_were(
    new_runner: NewRunner, settings: Settings
) -> None:
    runner = new_runner(train=msgspec.structs.replace(settings.train, method="full"))
    bad = attempt(runner, 0, learning_rate=1e30, micro_batch_size=4)
    assert bad.status is TrialStatus.FAILED
    assert bad.reason.startswith("it diverged: the weights are not finite (")
    good = attempt(runner, 1, learning_rate=1e-3, micro_batch_size=4)
    assert good.status is TrialStatus.OK, good.reason
    assert good.measurement is not None and good.measurement.loss is not None


def test_what_a_precision_costs_is_told_once_a_study(new_runner: NewRunner, settings: Settings) -> None:
    train = msgspec.structs.replace(settings.train, method="full", learning_rate=1e-5)
    runner = new_runner(train=train, model=msgspec.structs.replace(settings.model, dtype="bfloat16"))
    assert attempt(runner, 0, micro_batch_size=4).status is TrialStatus.OK
    assert attempt(runner, 1, micro_batch_size=8).status is TrialStatus.OK
    assert runner.workload is not None
    assert next(runner.workload.model.parameters()).dtype is torch.bfloat16
    runner.context.log.flush()
    told = [event.text for event in read_events(runner.context.folder.events) if isinstance(event, e.Notice)]
    assert sum("do not move at a learning rate of 1e-05" in text for text in told) == 1
