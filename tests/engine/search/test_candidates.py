from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from speedtui.engine.config.settings import (
    DataSettings,
    ModelSettings,
    Scalar,
    SearchSettings,
    Settings,
    TrainSettings,
)
from speedtui.engine.errors import ConfigError, UsageError
from speedtui.engine.hardware.limits import too_many_workers
from speedtui.engine.search.candidates import apply_candidate, make_candidate
from speedtui.engine.search.start_list import mode_candidates, nearest_divisor, plan_study
from speedtui.engine.search.user_candidates import knob_candidates, read_configs
from speedtui.engine.units import GIB

BASE = Settings(
    model=ModelSettings(path="x"), data=DataSettings(train="t", text="t"), train=TrainSettings(effective_batch_size=64)
)

RECIPE = msgspec.structs.replace(BASE, model=ModelSettings(kind="python", recipe="r.py:build"))


def micro_batches(memory_gib: int, mode: str = "quick") -> list[int]:
    return [c.micro_batch_size for c in mode_candidates(mode, BASE, memory_gib * GIB)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("mode", "count"), [("minimal", 4), ("quick", 8), ("thorough", 16)])
@pytest.mark.parametrize("memory_gib", [8, 12, 16, 24, 32, 48, 80, 141])
def test_a_mode_has_its_number_of_different_candidates_on_every_device(mode: str, count: int, memory_gib: int) -> None:
    candidates = mode_candidates(mode, BASE, memory_gib * GIB)  # type: ignore[arg-type]
    assert len({json.dumps(c.values, sort_keys=True) for c in candidates}) == count
    assert [c.id for c in candidates] == list(range(count))


def test_more_memory_never_means_smaller_micro_batches() -> None:
    means = [sum(micro_batches(gib)[:4]) for gib in (12, 24, 32, 48, 64, 80)]
    assert all(smaller <= larger for smaller, larger in pairwise(means))
    assert means[0] < means[-1]
    assert (min(micro_batches(12)), min(micro_batches(24))) == (1, 2)
    assert (micro_batches(48)[0], micro_batches(80)[0]) == (4, 8)


def test_the_effective_batch_is_the_same_in_every_candidate() -> None:
    for candidate in mode_candidates("thorough", BASE, 24 * GIB):
        assert candidate.effective_batch_size == 64
        assert apply_candidate(candidate, BASE).train.effective_batch_size == 64


def test_no_candidate_goes_below_the_configured_rank() -> None:
    ranks = {apply_candidate(c, BASE).train.lora.r for c in mode_candidates("thorough", BASE, 24 * GIB)}
    assert min(ranks) == BASE.train.lora.r
    assert len(ranks) > 1


def test_a_full_fine_tuning_has_no_ranks_and_a_recipe_no_checkpointing() -> None:
    full = msgspec.structs.replace(BASE, train=TrainSettings(method="full", effective_batch_size=64))
    assert all("train.lora.r" not in c.values for c in mode_candidates("thorough", full, 24 * GIB))
    recipe = msgspec.structs.replace(full, model=ModelSettings(kind="python", recipe="r.py:build"))
    assert not any(c.values["train.gradient_checkpointing"] for c in mode_candidates("quick", recipe, 24 * GIB))


@pytest.fixture
def one_core() -> Iterator[None]:
    """As a container or a batch job with one core has it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_core")
def test_no_more_loader_workers_are_tried_than_cores_may_be_used() -> None:
    assert {c.values["train.loader_workers"] for c in mode_candidates("thorough", BASE, 24 * GIB)} == {0, 1}
    knobs: dict[str, list[Scalar]] = {"train.loader_workers": [0, 1, 500], "micro_batch_size": [1]}
    plan = plan_study(msgspec.structs.replace(BASE, search=SearchSettings(knobs=knobs)), 24 * GIB)
    assert [c.values["train.loader_workers"] for c in plan.candidates] == [0, 1]
    assert plan.note.startswith("train.loader_workers 500 is more than the 1 core that may be used here, and is not")
    alone = msgspec.structs.replace(BASE, search=SearchSettings(knobs={"loader_workers": [500]}))
    with pytest.raises(UsageError, match=r"search\.knobs: train\.loader_workers 500 is more than the 1 core"):
        plan_study(alone, 24 * GIB)


@pytest.mark.usefixtures("one_core")
def test_loader_workers_that_are_configured_are_tried_and_told() -> None:
    own = msgspec.structs.replace(BASE, train=msgspec.structs.replace(BASE.train, loader_workers=500))
    assert {c.values["train.loader_workers"] for c in mode_candidates("quick", own, 24 * GIB)} == {500}
    assert too_many_workers(500) == "train.loader_workers 500 is more than the 1 core that may be used here"
    assert too_many_workers(1) == ""


def test_a_micro_batch_is_the_nearest_divisor_of_the_effective_batch() -> None:
    assert [nearest_divisor(48, x) for x in (1, 2.6, 5, 7, 100)] == [1, 3, 6, 8, 48]


def test_a_label_says_what_is_tried() -> None:
    values = {
        "micro_batch_size": 4,
        "train.lora.r": 32,
        "train.gradient_checkpointing": True,
        "train.loader_workers": 2,
    }
    assert make_candidate(0, values, BASE, "here").label == "mb4 ga16 r32 +ckpt w2"
    assert make_candidate(0, {"recipe.ddpm_mul": 4}, RECIPE, "here").label == "mb1 ga64 ddpm_mul 4"
    assert make_candidate(0, {"data.packing": True}, BASE, "here").label == "mb1 ga64 r16 +packing"
    assert make_candidate(0, {"train.learning_rate": 1e-3}, BASE, "here").label == "mb1 ga64 r16 lr 0.001"


def test_a_micro_batch_that_does_not_divide_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match="does not divide") as raised:
        make_candidate(3, {"micro_batch_size": 5}, BASE, "candidate 3")
    assert raised.value.hint == "Take one of 1, 2, 4, 8, 16, 32, 64."


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.json", '[{"micro_batch_size": 2}, {"train.lora.r": 8, "recipe.ddpm_mul": 4}]'),
        ("c.toml", '[[candidate]]\nmicro_batch_size = 2\n[[candidate]]\n"train.lora.r" = 8\nrecipe.ddpm_mul = 4\n'),
    ],
)
def test_the_users_own_list_is_read_from_json_and_toml(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    plan = plan_study(msgspec.structs.replace(RECIPE, search=SearchSettings(configs=str(tmp_path / name))), 24 * GIB)
    assert plan.mode == "configs"
    assert [c.values for c in plan.candidates] == [
        {"train.micro_batch_size": 2}, {"train.lora.r": 8, "recipe.ddpm_mul": 4},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"micro_batch": 2}]', r"c\.json: candidate 1: micro_batch is not a setting; did you mean"),
        ('[{"micro_batch_size": "two"}]', r"candidate 1: train\.micro_batch_size: expected a whole number, got 'two'"),
        ("[{]", r"c\.json:1: not JSON"),
        ("[]", "no candidates in it"),
        ("[3]", "candidate 1: expected settings by path, got 3"),
        ('{"candidates": []}', "candidates is not expected"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_with_its_entry(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_configs(tmp_path / "c.json", BASE)


def test_few_knobs_are_tried_in_every_combination() -> None:
    candidates, total = knob_candidates({"micro_batch_size": [1, 2], "recipe.ddpm_mul": [2, 4, 6]}, RECIPE, 8)
    assert total == 6
    assert len({tuple(c.values.values()) for c in candidates}) == 6


def test_many_knobs_are_sampled_so_that_every_value_comes_up() -> None:
    knobs = {"micro_batch_size": [1, 2, 4, 8], "train.lora.r": [8, 16, 32], "recipe.ddpm_mul": [2, 4, 6, 8]}
    candidates, total = knob_candidates(knobs, RECIPE, 16)
    assert total == 48
    assert len({tuple(c.values.values()) for c in candidates}) == 16
    for path, values in zip(("train.micro_batch_size", "train.lora.r", "recipe.ddpm_mul"), knobs.values(), strict=True):
        assert {c.values[path] for c in candidates} == set(values)
    plan = plan_study(msgspec.structs.replace(RECIPE, search=SearchSettings(mode="thorough", knobs=knobs)), 24 * GIB)
    assert "48 combinations" in plan.note
