from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import msgspec
import pytest

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import Scalar, SearchSettings, Settings
from speedtui.engine.errors import ConfigError, UsageError
from speedtui.engine.search.base import Try
from speedtui.engine.search.sampled import Sampled, sampled_classes
from speedtui.engine.search.space import class_key
from speedtui.engine.search.start_list import plan_study
from speedtui.engine.units import GIB
from tests.engine.search.synthetic import GOOD, Device, Study

KNOBS: dict[str, list[Scalar]] = {
    "micro_batch_size": [1, 2, 4, 8, 16, 32, 64],
    "train.gradient_checkpointing": [False, True],
    "model.attention": ["eager", "sdpa", "flash_attention_2"],
    "loader_workers": [0, 2, 4],
}


def with_knobs(knobs: dict[str, list[Scalar]], **search: Any) -> Settings:
    return msgspec.structs.replace(GOOD, search=SearchSettings(mode="auto", knobs=knobs, **search))


def sampled(device: Device, settings: Settings, most_trials: int = 24, *, predicted: bool = True) -> Sampled:
    surfaces = {class_key(s): device.surface(s) for s in sampled_classes(settings)} if predicted else {}
    return Sampled(settings, surfaces, free_bytes=device.free_bytes, most_trials=most_trials)


def run(device: Device, knobs: dict[str, list[Scalar]] = KNOBS, **options: Any) -> Study:
    settings = with_knobs(knobs)
    return Study(device, settings, sampled(device, settings, **options)).run()


def best_speed(study: Study) -> float:
    return max(t.result.measurement.samples_per_second for t in study.trials if t.result.measurement is not None)


@pytest.mark.parametrize("seed", range(3))
def test_it_comes_near_the_best_combination_and_predicted_memory_keeps_out_of_memory_away(seed: int) -> None:
    device = Device(seed)
    study = run(device)
    sizes = KNOBS["micro_batch_size"]
    listed = [s for s in device.everything(GOOD) if s.train.micro_batch_size in sizes and not s.train.compile]
    fitting = [s for s in listed if device.peak(s)[1] <= device.free_bytes]
    assert best_speed(study) >= 0.93 * max(map(device.speed, fitting))
    assert study.burst <= 1
    assert len(study.trials) <= 24


def test_the_configured_values_come_first() -> None:
    study = run(Device(0), {"loader_workers": [4, 2, 0], "micro_batch_size": [8, 1]}, most_trials=1)
    assert study.trials[0].candidate.values == {"train.loader_workers": 2, "train.micro_batch_size": 1}


def test_nothing_runs_twice_and_it_ends_when_all_combinations_are_known() -> None:
    study = run(Device(0), {"loader_workers": [0, 2], "micro_batch_size": [1, 2, 4]})
    tried = [tuple(sorted(t.candidate.values.items())) for t in study.trials]
    assert len(tried) == len(set(tried)) == 6
    assert "6 trials of 6 combinations" in study.told("finish")[0]


def test_what_is_predicted_not_to_fit_is_told_and_not_run() -> None:
    device = Device(0, free_bytes=60 * GIB)
    study = run(device, {"micro_batch_size": [1, 64], "train.gradient_checkpointing": [False, True]})
    assert study.burst == 0
    assert any(line.startswith("mb64 ga15 r16: predicted") for line in study.told("drop")), study.told("drop")


def test_without_predictions_an_out_of_memory_rules_out_what_is_larger() -> None:
    device = Device(0, free_bytes=60 * GIB)
    study = run(device, {"micro_batch_size": [1, 60, 64, 80, 96, 120, 960]}, predicted=False)
    sizes = [t.candidate.micro_batch_size for t in study.trials if t.result.status is TrialStatus.OUT_OF_MEMORY]
    assert sizes == sorted(sizes, reverse=True), "each one that ran out was smaller than the one before it"
    assert any("as large as what ran out of memory" in line for line in study.told("drop")) or len(sizes) > 1


def test_a_new_strategy_with_the_same_results_asks_for_the_same() -> None:
    device = Device(1)
    settings = with_knobs(KNOBS)
    study = Study(device, settings, sampled(device, settings))
    for _ in range(6):
        ask = study.strategy.ask(study.trials, [])
        assert isinstance(ask, Try)
        assert sampled(device, settings).ask(study.trials, []) == ask
        study.answer(ask)


def test_values_that_do_not_go_together_are_dropped() -> None:
    study = run(Device(0), {"micro_batch_size": [1, 3], "effective_batch_size": [960, 32]})
    assert [t.candidate.effective_batch_size for t in study.trials if t.candidate.micro_batch_size == 3] == [960]
    assert any("do not go together" in line for line in study.told("drop"))


MISSING = "train.liger needs liger-kernel, which is not installed"


def test_what_cannot_run_here_is_told_once_and_neither_run_nor_predicted() -> None:
    def refusal(settings: Settings) -> str:
        return MISSING if settings.train.liger else ""

    device = Device(0)
    settings = with_knobs({"liger": [True, False], "micro_batch_size": [1, 2, 4], "loader_workers": [0, 2]})
    classes = sampled_classes(settings, refusal=refusal)
    assert [one.train.liger for one in classes] == [False]
    surfaces = {class_key(one): device.surface(one) for one in classes}
    study = Study(device, settings, Sampled(settings, surfaces, free_bytes=device.free_bytes, refusal=refusal)).run()
    assert len(study.trials) == 6 and not any(t.candidate.values.get("train.liger") for t in study.trials)
    assert [line for line in study.told("drop") if MISSING in line] == study.told("drop") and len(
        study.told("drop")
    ) == 1
    assert "6 trials of 12 combinations, 6 dropped without running" in study.told("finish")[0]


def test_a_list_goes_without_the_values_whose_package_is_missing_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    knobs: dict[str, list[Scalar]] = {"train.liger": [True, False], "micro_batch_size": [1, 2]}
    settings = msgspec.structs.replace(with_knobs(knobs), search=SearchSettings(mode="quick", knobs=knobs))
    monkeypatch.setitem(sys.modules, "liger_kernel", ModuleType("liger_kernel"))
    sys.modules["liger_kernel"].__spec__ = ModuleSpec("liger_kernel", None)
    whole = plan_study(settings, 24 * GIB)
    assert (len(whole.candidates), whole.note) == (4, "")
    monkeypatch.setitem(sys.modules, "liger_kernel", None)
    left = plan_study(settings, 24 * GIB)
    assert [(c.micro_batch_size, c.values.get("train.liger")) for c in left.candidates] == [(1, False), (2, False)]
    assert left.note == f"{MISSING}, and is not tried: pip install 'speedtui[liger]'"
    alone = msgspec.structs.replace(settings, search=SearchSettings(mode="quick", knobs={"liger": [True]}))
    with pytest.raises(UsageError, match=rf"search\.knobs: {MISSING}"):
        plan_study(alone, 24 * GIB)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"micro_batch": [1]}, "micro_batch is not a setting"),
        ({"micro_batch_size": []}, "has no values"),
        ({"micro_batch_size": [2, 7]}, "does not divide"),
        ({"train.lora.r": ["big"]}, "expected a whole number"),
    ],
)
def test_knobs_that_cannot_be_searched_are_refused_before_anything_starts(knobs: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_study(with_knobs(knobs), 24 * GIB)


def test_without_optuna_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match="Optuna") as raised:
        plan_study(with_knobs(KNOBS), 24 * GIB)
    assert "pip install 'speedtui[search]'" in raised.value.hint


def test_mode_auto_starts_without_candidates_and_a_list_of_the_users_own_goes_before_it(tmp_path: Any) -> None:
    plan = plan_study(with_knobs({}), 24 * GIB)
    assert (plan.mode, plan.candidates) == ("auto", [])
    (tmp_path / "c.json").write_text('[{"micro_batch_size": 2}]')
    own = plan_study(with_knobs({}, configs=str(tmp_path / "c.json")), 24 * GIB)
    assert own.mode == "configs"


def test_it_says_how_many_there_can_be_and_no_more() -> None:
    knobs: dict[str, list[Scalar]] = {"loader_workers": [0, 2], "train.gradient_checkpointing": [False, True]}
    device = Device(0)
    settings = with_knobs(knobs)
    asked = sampled(device, settings).ask([], [])
    assert isinstance(asked, Try)
    assert asked.why == "proposed by Optuna, 1 of at most 4"
