"""Never two models in memory while one is loaded: the model itself counts the others when it is made."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order, PlanOrder
from speedtui.engine.jobs.plan import Planning
from speedtui.engine.jobs.tune import Tuning
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.state import RunState
from tests.engine.trial.conftest import NewRunner, attempt

pytestmark = pytest.mark.slow

ALIVE: weakref.WeakSet[LlamaForCausalLM] = weakref.WeakSet()
BESIDE: list[int] = []


class CountingConfig(LlamaConfig):
    model_type = "counting"


class CountingModel(LlamaForCausalLM):
    """Notes how many others with weights are alive when it is made, garbage that nobody collected included."""

    config_class = CountingConfig

    def __init__(self, config: CountingConfig) -> None:
        BESIDE.append(sum(model.lm_head.weight.device.type != "meta" for model in ALIVE))
        super().__init__(config)
        ALIVE.add(self)


AutoConfig.register("counting", CountingConfig)
AutoModelForCausalLM.register(CountingConfig, CountingModel)


@pytest.fixture(scope="module")
def counting_folder(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counting")
    plain = LlamaForCausalLM.from_pretrained(str(settings.model.path))
    config = CountingConfig(**{**plain.config.to_dict(), "model_type": "counting", "architectures": None})
    CountingModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def counted() -> Iterator[list[int]]:
    gc.collect()
    BESIDE.clear()
    yield BESIDE
    gc.unfreeze()


def of(folder: Path, settings: Settings) -> dict[str, Any]:
    return {"model": ModelSettings(path=str(folder), tokenizer=settings.model.path)}


def test_another_dtype_is_loaded_into_the_room_of_the_one_before(
    new_runner: NewRunner, settings: Settings, counting_folder: Path, counted: list[int]
) -> None:
    runner = new_runner(**of(counting_folder, settings))
    for number, dtype in enumerate(("float32", "bfloat16", "float32")):
        other = {"max_length": 64} if number == 1 else {}
        assert attempt(runner, number, micro_batch_size=4, dtype=dtype, **other).status is TrialStatus.OK
        runner.data_for(with_values(runner.context.settings, {"data.max_length": 100}, "test"))
    failed = attempt(runner, 4, dtype="bfloat16", attention="flash_attention_2")
    assert failed.status is TrialStatus.FAILED
    assert attempt(runner, 5, micro_batch_size=4).status is TrialStatus.OK
    assert runner.loads == 4 and counted == [0] * 5, counted


def test_taking_turns_with_another_dtype_keeps_one_model(
    new_runner: NewRunner, settings: Settings, counting_folder: Path, counted: list[int]
) -> None:
    runner = new_runner(**of(counting_folder, settings))
    one, other = (
        make_candidate(number, {"model.dtype": dtype, "train.micro_batch_size": 8}, runner.context.settings, "test")
        for number, dtype in enumerate(("float32", "bfloat16"))
    )
    runner.compare(one, other, most_pairs=2)
    assert len(counted) >= 3 and set(counted) == {0}, counted


@pytest.mark.parametrize("mode", ["auto", "plan"])
def test_a_search_and_a_plan_beside_a_study_hold_one_model(
    mode: str, tmp_path: Path, settings: Settings, counting_folder: Path, counted: list[int]
) -> None:
    dtypes = {"model.dtype": ["float32", "bfloat16"]}
    search = msgspec.structs.replace(settings.search, mode="auto", batches=2, knobs=dtypes)
    asked = msgspec.structs.replace(settings, search=search, **of(counting_folder, settings))
    values = [{"model.dtype": dtype, "train.micro_batch_size": 8} for dtype in dtypes["model.dtype"]]
    candidates = [make_candidate(number, one, asked, "test") for number, one in enumerate(values)]
    order = Order(
        job="tune", started_at=0.0, mode=mode, candidates=[] if mode == "auto" else candidates,
        plan=PlanOrder() if mode == "plan" else None,
    )  # fmt: skip
    log = EventLog(tmp_path / "events.jsonl", RunClock())
    try:
        context = JobContext(RunFolder(tmp_path), asked, order, log, RunState(), frozenset())
        tuning = Tuning(context)
        tuning.start()
        if mode == "plan":
            Planning(context, tuning).make()
        tuning.run_queue()
        statuses = [result.status for result in tuning.study.results.values()]
        tuning.study.close()
        tuning.runner.load(with_values(asked, {"model.dtype": "bfloat16"}, "winner"))
        tuning.runner.load(with_values(asked, {"model.dtype": "float32"}, "another one"))
    finally:
        log.close()
    assert statuses and set(statuses) <= {TrialStatus.OK, TrialStatus.PRUNED}
    assert len(counted) >= 2 and set(counted) == {0}, counted


def test_a_checkpoint_of_the_count_itself(counting_folder: Path, counted: list[int]) -> None:
    first = CountingModel.from_pretrained(counting_folder, dtype=torch.float32)
    second = CountingModel.from_pretrained(counting_folder, dtype=torch.bfloat16)
    assert counted == [0, 1] and first.dtype != second.dtype
