"""A recipe's own answers, and what its metric is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from speedtui.engine.config.settings import ModelSettings, ScheduleSettings, Settings
from speedtui.engine.errors import ConfigError, ExitCode, RecipeError
from tests.engine.evaluate.conftest import evaluated
from tests.engine.workload.small import load

Make = Callable[..., Any]
Write = Callable[..., str]

RECIPE = """
    import torch
    from torch import nn
    from speedtui.engine.workload import Recipe

    class Doubler(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return {"loss": (self.weight * x).mean()}

    def write(model, samples, *, max_new_tokens):
        assert not model.training and not torch.is_grad_enabled()
        return [f"{int(2 * sample['x'])} of {max_new_tokens}" for sample in samples]

    def build(answers=True, way=write):
        samples = [{"x": torch.tensor(float(i))} for i in range(5)]
        recipe = Recipe(model=Doubler(), train_dataset=samples, eval_dataset=samples)
        if answers:
            recipe.generate, recipe.references = way, [f"{2 * i} of 9" for i in range(5)]
        return recipe

    def silent():
        return build(answers=False)

    def wrong():
        return build(way=lambda model, samples: ["one"])

    def raising():
        return build(way=lambda model, samples: 1 / 0)

    def short():
        return {**vars(build()), "references": ["one"]}

    def told():
        return {**vars(build()), "rows": [{"unit": "apples", "of": [i]} for i in range(5)]}

    def untold():
        return {**vars(build()), "references": None, "rows": [{"right": f"{2 * i} of 9"} for i in range(5)]}

    def few():
        return {**vars(build()), "rows": [{}]}

    def tensors():
        return {**vars(build()), "rows": [{"n": 1}, {"n": torch.ones(1)}, {}, {}, {}]}

    def texts():
        return {**vars(build()), "rows": ["a"] * 5}
"""


def recipe(folder: Path, function: str = "build", **schedule: Any) -> Settings:
    path = folder / "recipe.py"
    path.write_text(dedent(RECIPE))
    return Settings(
        model=ModelSettings(kind="python", recipe=f"{path}:{function}"),
        schedule=ScheduleSettings(**{"generate": True, "max_new_tokens": 9, **schedule}),
    )


def test_a_recipe_answers_in_its_own_way(tmp_path: Path, made: Make, metric: Write) -> None:
    target = metric("def exact(prediction, reference):\n    return prediction == reference", "exact")
    one = evaluated(recipe(tmp_path, metric=target), made)
    assert one.score().metrics == {"exact": 1.0}, one.notices
    assert one.score(max_new_tokens=8).metrics == {"exact": 0.0}
    assert one.workload.model.training


def test_a_recipe_without_what_is_needed_is_refused(tmp_path: Path, made: Make, metric: Write) -> None:
    for function, source, problem in (
        ("silent", "def score(prediction): ...", "the recipe recipe.py:silent returns no generate"),
        ("build", "def score(row): ...", "needs row, and the recipe recipe.py:build returns no rows"),
        (
            "untold",
            "def score(reference): ...",
            "needs reference, and the recipe recipe.py:untold returns no reference",
        ),
        ("build", "def score(predictions, rows): ...", "needs rows, and the recipe recipe.py:build returns no rows"),
    ):
        settings = recipe(tmp_path, function, metric=metric(source))
        with pytest.raises(ConfigError, match=problem) as caught:
            made(settings, load(settings)).evaluator.prepare()
        assert f"Return {problem.rpartition(' no ')[2][:3]}" in caught.value.hint


def test_a_metric_sees_the_rows_that_a_recipe_returns(tmp_path: Path, made: Make, metric: Write) -> None:
    each = (
        "def score(prediction, row, reference):\n    return row == {'unit': 'apples', 'of': [int(prediction[0]) // 2]}"
    )
    assert evaluated(recipe(tmp_path, "told", metric=metric(each)), made).score().metrics == {"score": 1.0}
    whole = "def score(predictions, rows):\n    return sum(p == r['right'] for p, r in zip(predictions, rows)) / 5"
    one = evaluated(recipe(tmp_path, "untold", metric=metric(whole)), made)
    assert one.score().metrics == {"score": 1.0}
    assert one.score(max_new_tokens=8).metrics == {"score": 0.0}


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("few", "1 rows for 5 samples of eval_dataset"),
        ("tensors", "rows, number 2, cannot be written as JSON: Encoding objects of type Tensor is unsupported"),
        ("texts", "rows, number 1: expected a dict, got a str"),
    ],
)
def test_rows_that_no_metric_could_be_given_are_refused(tmp_path: Path, function: str, problem: str) -> None:
    with pytest.raises(RecipeError, match=problem) as caught:
        load(recipe(tmp_path, function))
    assert caught.value.exit_code is ExitCode.USAGE


def test_what_a_recipe_answers_wrongly_is_its_error(tmp_path: Path, made: Make) -> None:
    for function, problem in (("wrong", "1 texts for"), ("raising", "ZeroDivisionError")):
        settings = recipe(tmp_path, function)
        with pytest.raises(RecipeError, match=problem):
            made(msgspec.structs.replace(settings, train=msgspec.structs.replace(settings.train, micro_batch_size=4)),
                 load(settings)).score()  # fmt: skip
    with pytest.raises(RecipeError, match="1 references for 5 samples of eval_dataset"):
        load(recipe(tmp_path, "short"))
