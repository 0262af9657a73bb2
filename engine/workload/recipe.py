"""The user's own model and data, from a Python file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from speedtui.engine.config.paths import nearest
from speedtui.engine.config.settings import DataSettings, Settings
from speedtui.engine.errors import RecipeError
from speedtui.engine.trust import require_program
from speedtui.engine.workload.base import Recipe
from speedtui.engine.workload.failures import is_the_devices
from speedtui.engine.workload.imports import import_file, line_of, own_functions

_KEYS = ("model", "train_dataset", "eval_dataset", "collator", "tokenizer", "generate", "references", "rows")


def build_recipe(settings: Settings) -> Recipe:
    """Imports `file.py:function` anew and calls the function with the knobs of [recipe].

    Raises:
        RecipeError: the file or function is missing, it raised, it does not take a knob, or returned something else.
            What it raised is the cause. A failure of the device is passed on as it is.
    """
    file, _, function = (settings.model.recipe or "").rpartition(":")
    path = Path(file)
    build = _function(_imported(path), function, path)
    _check_knobs(build, settings.recipe, f"{path}: {function}")
    with RecipeErrors(path, function):
        built = build(**settings.recipe)
    return checked(built, f"{path}: {function}")


def rebuild_needed(old: Settings, new: Settings) -> bool:
    """Whether the model must be loaded again for the new settings; else `data_differs` says whether its data must.

    The attention implementation alone is switched on the loaded model. A tokenizer that is trained on the data
    changes with its source, and with it the vocabulary of the model.
    """
    same_attention = msgspec.structs.replace(new.model, attention=old.model.attention)
    if (old.model, old.recipe) != (same_attention, new.recipe):
        return True
    if new.model.architecture and not new.model.tokenizer and _texts_of(old) != _texts_of(new):
        return True
    random_weights = bool(new.model.architecture) or new.model.kind == "python"
    return random_weights and old.train.seed != new.train.seed


def data_differs(old: Settings, new: Settings) -> bool:
    """Whether a model that need not be loaded again needs other data, which `engine.workload.load.reload_data` makes.

    Packs and held out rows are drawn with `train.seed`, and that packs are kept apart is proved of one attention
    implementation. How an epoch is ordered (`train.group_by_length`) is no matter of the data. A recipe has its data
    with its model.
    """
    if new.model.kind == "python":
        return False
    drawn = (new.data.packing or new.data.validation_share) and old.train.seed != new.train.seed
    proved = new.data.packing and old.model.attention != new.model.attention
    return bool(drawn or proved) or old.data != new.data


def _texts_of(settings: Settings) -> DataSettings:
    """What decides the texts that are trained on, as far as the data's settings go."""
    return msgspec.structs.replace(settings.data, eval=None, eval_rows=None, max_length=1, packing=False)


def require_recipe(path: Path) -> None:
    """Refuses a recipe that is not there, or that somebody else can have written.

    Raises:
        RecipeError: there is no such file, or it is not to be executed.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: no such recipe", 'Correct model.recipe: "file.py:function".')
    require_program(path, "model.recipe", RecipeError)


def _imported(path: Path) -> ModuleType:
    require_recipe(path)
    if path.suffix != ".py":
        raise RecipeError(f"{path}: not a Python file", 'Correct model.recipe: "file.py:function".')
    with RecipeErrors(path, "the import"):
        return import_file(path, "speedtui_recipe")


def _function(module: ModuleType, name: str, path: Path) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if callable(function):
        return function  # type: ignore[no-any-return]  # callable() narrows Any to an unknown return
    own = own_functions(module)
    raise RecipeError(
        f"{path}: no function {name}{nearest(name, own)}",
        f"It has {', '.join(own) or 'no functions'}. Set model.recipe.",
    )


def _check_knobs(build: Callable[..., Any], knobs: Mapping[str, Any], where: str) -> None:
    parameters = inspect.signature(build).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [p.name for p in named]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    hint = f"Its parameters are: {', '.join(names) or 'none'}."
    for knob in knobs:
        if knob not in names and not takes_any:
            raise RecipeError(f"{where} takes no recipe.{knob}{nearest(knob, names)}", hint)
    for parameter in named:
        if parameter.default is parameter.empty and parameter.name not in knobs:
            raise RecipeError(f"{where} needs recipe.{parameter.name}", f"Write {parameter.name} = ... under [recipe].")


class RecipeErrors:
    """A block in which what the user's code raises becomes one line with the line of the recipe.

    Raises:
        RecipeError: with the original as its cause. Running out of memory is passed on as it is.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or is_the_devices(error) or not isinstance(error, Exception | SystemExit):
            return
        reason = (str(error) or "no message").splitlines()[0]
        raise RecipeError(
            f"{self._path} line {line_of(error, self._path)}: {self._what} raised {type(error).__name__}: {reason}",
            "The traceback is in worker.log.",
        ) from error


def checked(built: Any, where: str) -> Recipe:
    """What a build function returned, as a `Recipe` with a collator.

    Raises:
        RecipeError: saying what is missing or of the wrong kind.
    """
    recipe = _as_recipe(built, where)
    from torch import nn

    if not isinstance(recipe.model, nn.Module):
        raise _wrong(where, "model", "a torch.nn.Module", recipe.model)
    _check_dataset(recipe.train_dataset, "train_dataset", where)
    if recipe.eval_dataset is not None:
        _check_dataset(recipe.eval_dataset, "eval_dataset", where)
    if recipe.collator is None:
        from torch.utils.data import default_collate

        recipe.collator = default_collate
    if not callable(recipe.collator):
        raise _wrong(where, "collator", "a function of a list of samples", recipe.collator)
    _check_answers(recipe, where)
    return recipe


def _check_answers(recipe: Recipe, where: str) -> None:
    if recipe.generate is not None and not callable(recipe.generate):
        raise _wrong(where, "generate", "a function of the model and a list of samples", recipe.generate)
    samples = 0 if recipe.eval_dataset is None else len(recipe.eval_dataset)
    for given, names, each in ((recipe.references, "references", "text"), (recipe.rows, "rows", "dict")):
        if given is not None and len(given) != samples:
            raise RecipeError(
                f"{where}: {len(given)} {names} for {samples} samples of eval_dataset",
                f"Return one {each} for each sample, in the same order.",
            )
    for number in range(len(recipe.rows or ())):
        _check_row((recipe.rows or ())[number], number + 1, where)


def _check_row(row: Any, number: int, where: str) -> None:
    """A row goes to the metric's process as JSON, and is refused before the training if it cannot."""
    if not isinstance(row, Mapping):
        raise _wrong(where, f"rows, number {number}", "a dict", row)
    try:
        msgspec.json.encode(dict(row))
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"{where}: rows, number {number}, cannot be written as JSON: {error}",
            "Let it hold text, numbers, true or false, and lists and dicts of them.",
        ) from None


def _as_recipe(built: Any, where: str) -> Recipe:
    if isinstance(built, Recipe):
        return built
    hint = f"Return speedtui.engine.workload.Recipe or a dict with {', '.join(_KEYS)}."
    if not isinstance(built, Mapping):
        raise RecipeError(f"{where} returned {_kind(built)}, not a recipe", hint)
    missing = [key for key in ("model", "train_dataset") if key not in built]
    unknown = [str(key) for key in built if key not in _KEYS]
    if missing or unknown:
        problem = f"without {' and '.join(missing)}" if missing else f"with an unknown key {', '.join(unknown)}"
        raise RecipeError(f"{where} returned a dict {problem}", hint)
    return Recipe(**built)


def _check_dataset(dataset: Any, key: str, where: str) -> None:
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise _wrong(where, key, "a dataset with a length and samples by index", dataset)
    if not len(dataset):
        raise RecipeError(f"{where}: {key} is empty")


def _wrong(where: str, key: str, expected: str, given: Any) -> RecipeError:
    return RecipeError(f"{where}: {key}: expected {expected}, got {_kind(given)}")


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
