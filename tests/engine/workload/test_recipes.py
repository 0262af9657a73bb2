"""The user's own model and data, right and wrong."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.errors import RecipeError
from speedtui.engine.workload import Workload
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_workload
from speedtui.engine.workload.model import loss_of

GOOD = """
    import torch
    from torch import nn
    from speedtui.engine.workload import Recipe

    class Regression(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 1))

        def forward(self, x, y):
            return {"loss": (self.layers(x).squeeze(-1) - y).square().mean()}

    def samples(count):
        return [{"x": torch.full((3,), float(i)), "y": torch.tensor(float(i))} for i in range(count)]

    def build(width=4, *, rows=8):
        return Recipe(model=Regression(width), train_dataset=samples(rows), eval_dataset=samples(2))

    def as_dict(width=4):
        return {"model": Regression(width), "train_dataset": samples(5)}
"""


def recipe(folder: Path, source: str = GOOD, function: str = "build", **knobs: Any) -> Settings:
    path = folder / "recipe.py"
    path.write_text(dedent(source))
    return Settings(model=ModelSettings(kind="python", recipe=f"{path}:{function}"), recipe=knobs)


def load(wanted: Settings) -> Workload:
    return load_workload(wanted, device=torch.device("cpu"), report=silent)


def refusal(wanted: Settings) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        load(wanted)
    assert "\n" not in caught.value.message
    return caught.value


def test_a_recipe_is_a_workload_like_any_other(tmp_path: Path) -> None:
    workload = load(recipe(tmp_path, width=6, rows=10))
    assert workload.name == "recipe.py:build"
    assert (workload.facts.train_rows, workload.facts.eval_rows, workload.lengths) == (10, 2, None)
    assert workload.model.get_parameter("layers.0.weight").shape == (6, 3)
    batch = next(iter(DataLoader(workload.train_dataset, batch_size=4, collate_fn=workload.collator)))  # type: ignore[arg-type]  # a plain sequence will do
    loss = loss_of(workload.model(**batch))
    assert loss is not None
    loss.backward()


def test_random_weights_of_a_recipe_come_from_the_seed(tmp_path: Path) -> None:
    first, again = (load(recipe(tmp_path)).model.get_parameter("layers.0.weight") for _ in range(2))
    assert torch.equal(first, again)


def test_a_dict_is_as_good_as_a_recipe(tmp_path: Path) -> None:
    assert load(recipe(tmp_path, function="as_dict")).facts.train_rows == 5


def test_an_edited_recipe_is_read_anew(tmp_path: Path) -> None:
    assert load(recipe(tmp_path)).facts.train_rows == 8
    assert load(recipe(tmp_path, GOOD.replace("rows=8", "rows=12"))).facts.train_rows == 12


def test_a_recipe_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "my_neighbour_module.py").write_text("ROWS = 3\n")
    source = GOOD.replace("rows=8", "rows=ROWS").replace(
        "import torch\n", "import torch\n    from my_neighbour_module import ROWS\n", 1
    )
    assert load(recipe(tmp_path, source)).facts.train_rows == 3


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    wanted = Settings(model=ModelSettings(kind="python", recipe=f"{tmp_path}/none.py:build"))
    assert refusal(wanted).message == f"{tmp_path}/none.py: no such recipe"


def test_a_missing_function_names_those_there_are(tmp_path: Path) -> None:
    error = refusal(recipe(tmp_path, function="bild"))
    assert error.message.endswith("recipe.py: no function bild; did you mean build?")
    assert "samples, build, as_dict" in error.hint


def test_a_knob_that_the_function_does_not_take_names_its_parameters(tmp_path: Path) -> None:
    error = refusal(recipe(tmp_path, widht=3))
    assert error.message.endswith("build takes no recipe.widht; did you mean width?")
    assert error.hint == "Its parameters are: width, rows."


def test_a_knob_that_the_function_needs_is_named(tmp_path: Path) -> None:
    error = refusal(recipe(tmp_path, "def build(width): ..."))
    assert error.message.endswith("build needs recipe.width")


def test_what_a_recipe_raises_is_one_line_with_its_place(tmp_path: Path) -> None:
    error = refusal(recipe(tmp_path, "def build():\n    import json\n    json.loads('{')\n"))
    assert "recipe.py line 3: build raised JSONDecodeError: Expecting property name" in error.message
    assert type(error.__cause__).__name__ == "JSONDecodeError"


def test_an_import_that_fails_is_one_line_with_its_place(tmp_path: Path) -> None:
    error = refusal(recipe(tmp_path, "import no_such_library\n"))
    assert "recipe.py line 1: the import raised ModuleNotFoundError" in error.message


def test_a_syntax_error_has_its_line(tmp_path: Path) -> None:
    assert (
        "recipe.py line 2: the import raised SyntaxError" in refusal(recipe(tmp_path, "x = 1\ndef build(:\n")).message
    )


def test_a_recipe_that_exits_does_not_end_the_worker(tmp_path: Path) -> None:
    assert "raised SystemExit" in refusal(recipe(tmp_path, "def build():\n    raise SystemExit(3)\n")).message


def test_running_out_of_memory_in_a_recipe_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        load(recipe(tmp_path, "import torch\ndef build():\n    torch.empty(2**60)\n"))


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "returned None, not a recipe"),
        ("{'model': nn.Linear(1, 1)}", "returned a dict without train_dataset"),
        ("{'model': nn.Linear(1, 1), 'train_dataset': [1], 'colator': print}", "with an unknown key colator"),
        ("{'model': print, 'train_dataset': [1]}", "model: expected a torch.nn.Module"),
        ("{'model': nn.Linear(1, 1), 'train_dataset': iter([1])}", "train_dataset: expected a dataset"),
        ("{'model': nn.Linear(1, 1), 'train_dataset': []}", "train_dataset is empty"),
        ("{'model': nn.Linear(1, 1), 'train_dataset': [1], 'collator': 5}", "collator: expected a function"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, returned: str, said: str) -> None:
    assert said in refusal(recipe(tmp_path, f"from torch import nn\ndef build():\n    return {returned}\n")).message
