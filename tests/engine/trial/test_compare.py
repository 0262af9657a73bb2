"""Two candidates measured in turns."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, TrialStatus
from speedtui.engine.log.tail import read_events
from speedtui.engine.meter.meter import StepTiming
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.trial.compare import SpeedComparison, compared, epoch_share
from speedtui.engine.trial.failures import TrialEnded
from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.workload.weights_guard import hash_tensor
from tests.engine.trial.conftest import NewRunner


def candidate(runner: TrialRunner, number: int, **values: Any) -> Candidate:
    by_path = {name.replace("__", "."): value for name, value in values.items()}
    return make_candidate(number, by_path, runner.context.settings, "test")


@pytest.mark.parametrize(
    "values",
    [
        {"train__lora__r": 32},
        {"gradient_checkpointing": True},
        {"micro_batch_size": 8},
        {"loader_workers": 1},
        {"model__attention": "eager"},
        {"optimizer": "adamw_torch"},
        {"method": "full"},
        {"data__max_length": 64},
    ],
)
def test_candidates_that_differ_in_anything_are_compared(new_runner: NewRunner, values: dict[str, Any]) -> None:
    runner = new_runner()
    found = runner.compare(
        candidate(runner, 0, micro_batch_size=4), candidate(runner, 1, **{"micro_batch_size": 4, **values}),
        most_pairs=2,
    )  # fmt: skip
    assert found.pairs == 2
    assert 0 < found.low <= found.ratio <= found.high
    assert runner.loads == 1


def test_the_model_is_left_as_it_was(new_runner: NewRunner) -> None:
    runner = new_runner()
    model = runner.load(runner.context.settings).model
    before = {name: hash_tensor(tensor) for name, tensor in model.named_parameters()}
    runner.compare(candidate(runner, 0), candidate(runner, 1, train__lora__r=16), most_pairs=2)
    assert {name: hash_tensor(tensor) for name, tensor in model.named_parameters()} == before
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_checkpointing_is_found_to_cost_time(new_runner: NewRunner) -> None:
    runner = new_runner()
    plain, again = candidate(runner, 0, micro_batch_size=4), {"micro_batch_size": 4, "gradient_checkpointing": True}
    found = runner.compare(plain, candidate(runner, 1, **again))
    assert found.ratio < 1


def test_the_candidates_take_turns_on_the_same_rows(new_runner: NewRunner) -> None:
    runner = new_runner()
    found = runner.compare(candidate(runner, 3), candidate(runner, 5, train__lora__r=8), most_pairs=4)
    runner.context.log.flush()
    steps = [s for s in read_events(runner.context.folder.events) if isinstance(s, e.StepCompleted)]
    turns = [steps[0].trial, *(b.trial for a, b in pairwise(steps) if b.trial != a.trial)]
    assert turns == [3, 5, 3, 5, 3][: found.pairs + 1], "ABBA ABBA, where what follows itself needs no change"
    tokens = {trial: sum(s.tokens or 0 for s in steps if s.trial == trial) for trial in (3, 5)}
    assert tokens[3] == tokens[5] > 0


def test_a_candidate_that_cannot_be_run_ends_the_comparison(new_runner: NewRunner) -> None:
    runner = new_runner()
    with pytest.raises(TrialEnded, match="#1: ") as ended:
        runner.compare(candidate(runner, 0), candidate(runner, 1, model__attention="flash_attention_2"))
    assert ended.value.status is TrialStatus.FAILED
    assert runner.compare(candidate(runner, 0), candidate(runner, 2), most_pairs=2).pairs == 2


def test_a_comparison_can_be_stopped(new_runner: NewRunner) -> None:
    runner = new_runner()
    runner.stop_trial = 1
    with pytest.raises(TrialEnded, match="stopped by hand"):
        runner.compare(candidate(runner, 0), candidate(runner, 1))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        found = compared([float(x) for x in generator.normal(math.log(1.1), 0.03, size=6)])
        held += found.low <= 1.1 <= found.high
    assert 275 <= held <= 296


def test_one_pair_decides_nothing() -> None:
    alone = compared([math.log(2.0)])
    assert alone.ratio == pytest.approx(2.0)
    assert not alone.settled


def test_a_comparison_is_settled_when_it_is_decided_or_narrow() -> None:
    faster = SpeedComparison(ratio=1.2, low=1.1, high=1.3, pairs=4)
    same = SpeedComparison(ratio=1.0, low=0.995, high=1.005, pairs=4)
    unclear = SpeedComparison(ratio=1.02, low=0.9, high=1.1, pairs=4)
    assert (faster.decided, same.decided, unclear.decided) == (True, False, False)
    assert (faster.settled, same.settled, unclear.settled) == (True, True, False)


def test_warm_up_is_no_part_of_the_speed(new_runner: NewRunner) -> None:
    train = msgspec.structs.replace(new_runner().context.settings.train, micro_batch_size=4, effective_batch_size=8)
    settings = msgspec.structs.replace(new_runner().context.settings, train=train)

    def timing(*seconds: float) -> StepTiming:
        phases = {"data": 0.0, "forward": math.fsum(seconds), "optimizer": 0.5}
        return StepTiming(
            micro_steps=tuple((100.0, s) for s in seconds), optimizer_seconds=0.5, phases=phases, loss=None
        )  # fmt: skip

    share = epoch_share([timing(9.0, 1.0), timing(1.0, 1.0)], 1, settings, train_rows=24)
    assert share == pytest.approx(12 / (3.0 + 1.5 * 0.5) / 24)
