"""Whether attention gets the mask of the padding is one decision: before a trial, in it, in a plan, in the training."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.context.order import PlanOrder
from speedtui.engine.jobs.plan import Planning
from speedtui.engine.jobs.predicting import Predictor
from speedtui.engine.jobs.tune import Tuning
from speedtui.engine.memory.peak_model import MemorySurface
from speedtui.engine.search.auto import memory_classes
from speedtui.engine.search.knobs import Machine
from speedtui.engine.search.sampled import sampled_classes
from speedtui.engine.search.space import class_key
from speedtui.engine.trainer.needless_mask import keep_proof, proof_of, runs_without_mask
from speedtui.engine.trial.prepared import make_trainable
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_workload
from tests.engine.session.conftest import TINY
from tests.engine.trial.conftest import NewRunner
from tests.simulated_cuda import simulated_cuda

CUDA = torch.device("cuda", 0)
GROUPED = {**TINY, "num_key_value_heads": 1}
"""Of which the precision decides whether attention has a better kernel without a mask."""


def every_kind(settings: Settings) -> list[Settings]:
    """All that the decision hangs on; those of one load beside each other."""
    precisions = itertools.product(("none", "nf4", "int8"), ("float32", "bfloat16"), (False, True))
    kinds: list[dict[str, Any]] = [
        {"model.quantize": quantize, "model.dtype": dtype, "train.bf16": bf16} for quantize, dtype, bf16 in precisions
    ]
    others = ({"model.attention": "eager"}, {"train.compile": True}, {"data.packing": True})
    kinds += [{"train.bf16": True, **other} for other in others]
    return [with_values(settings, {"model.attention": "sdpa", **kind}, "test") for kind in kinds]


def has_half(settings: Settings) -> bool:
    return settings.train.bf16 or (settings.model.quantize == "none" and settings.model.dtype == "bfloat16")


def test_what_is_predicted_from_another_base_is_what_a_trial_of_every_kind_does(new_runner: NewRunner) -> None:
    """Measured anew of each base, with its adapter on it. Of grouped heads the precision decides."""
    with simulated_cuda():
        runner = new_runner(device=CUDA, model=ModelSettings(architecture=GROUPED))
        kinds = every_kind(runner.context.settings)
        runner.load(runner.context.settings)  # float32: all that the study has before its first trial
        predicted = [runner.without_mask(settings) for settings in kinds]
        found = []
        for settings in kinds:
            with runner.trial(settings) as (workload, model):
                keep_proof(model, None)
                found.append(runs_without_mask(model, workload, settings, CUDA))
    assert found == predicted
    assert predicted == [has_half(settings) for settings in kinds[:-3]] + [False] * 3


def test_grouped_heads_on_a_device_without_flash_keep_it(new_runner: NewRunner) -> None:
    """There without a mask plain operations alone take them; heads that are not grouped have a kernel in any case."""
    for architecture, expected in ((GROUPED, False), (TINY, True)):
        with simulated_cuda(capability=(7, 5)):
            runner = new_runner(device=CUDA, model=ModelSettings(architecture=architecture))
            kinds = every_kind(runner.context.settings)[:-3]
            runner.load(runner.context.settings)
            assert {runner.without_mask(settings) for settings in kinds} == {expected}


@pytest.mark.parametrize("quantize", ["none", "nf4", "int8"])
def test_a_bare_base_shows_it_as_its_adapted_one_does(new_runner: NewRunner, settings: Settings, quantize: str) -> None:
    """The tuner looks at the base, the training's process at what it has put an adapter on."""
    values = {"model.quantize": quantize, "train.bf16": True}
    with simulated_cuda():
        asked = with_values(settings, values, "test")
        tuner, training = (load_workload(asked, device=CUDA, report=silent) for _ in range(2))
        adapted = make_trainable(training.model, asked)
        for model, workload in ((tuner.model, tuner), (adapted, training)):
            assert proof_of(model) is None
            assert runs_without_mask(model, workload, asked, CUDA)
            assert proof_of(model) is True


def test_while_no_model_is_loaded_it_is_as_it_was(new_runner: NewRunner, settings: Settings) -> None:
    with simulated_cuda():
        runner = new_runner(device=CUDA)
        assert not runner.without_mask(settings)  # nothing is known of a model yet
        runner.load(runner.context.settings)
        assert runner.without_mask(settings)
        runner.workload = None  # as after a load that failed
        assert runner.without_mask(settings)


# -- what follows from it --------------------------------------------------------------------------


def test_compiling_is_a_memory_class_of_its_own_exactly_where_it_brings_back_the_mask(settings: Settings) -> None:
    knobs: dict[str, Any] = {"train.compile": [False, True], "train.gradient_checkpointing": [False, True]}
    mixed = msgspec.structs.replace(settings, search=msgspec.structs.replace(settings.search, knobs=knobs))
    machine = Machine(cuda=True)

    def bare(one: Settings) -> bool:
        return not one.train.compile

    for classes in (memory_classes(settings, machine, bare), sampled_classes(mixed, bare)):
        compiled = [one for one in classes if one.train.compile]
        assert len({class_key(one, masked=not bare(one)) for one in classes}) == len(classes) == 2 * len(compiled)
    assert not any(one.train.compile for one in memory_classes(settings, machine))
    assert len(sampled_classes(mixed)) == 2


def test_a_study_and_the_plan_beside_it_predict_what_each_kind_of_step_keeps(
    new_runner: NewRunner, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with simulated_cuda():
        runner = new_runner(device=CUDA, model=ModelSettings(architecture=TINY))
        context = runner.context
        runner.load(context.settings)
        plain = context.settings
        compiled = with_values(plain, {"train.compile": True}, "test")
        predictor = Predictor(context, runner)
        predictor.prepare([plain, compiled])
        context.order = msgspec.structs.replace(context.order, plan=PlanOrder())
        tuning = Tuning(context)
        tuning._runner = runner
        expectations = Planning(context, tuning)._expectations(tuning.runner._data_cache)  # type: ignore[arg-type]
        assert len(predictor.surfaces) == 2
        peaks = []
        for one in (plain, compiled):
            surface = predictor.surfaces[class_key(one, masked=not runner.without_mask(one))]
            assert isinstance(surface, MemorySurface)
            sized = with_values(one, {"train.micro_batch_size": 4}, "test")
            expected = expectations.of(sized)
            assert expected is not None and expected.breakdown == surface.breakdown(4, accumulates=True)
            peaks.append(expected.peak_bytes)
        assert peaks[1] > peaks[0]  # by the masks
