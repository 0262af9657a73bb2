"""The user's metric: found in its file, and called with what it names."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from speedtui.engine.clean import clean
from speedtui.engine.config.paths import nearest
from speedtui.engine.errors import ConfigError
from speedtui.engine.output import warn_traceback
from speedtui.engine.trust import require_program
from speedtui.engine.workload.imports import import_file, line_of, own_functions

ForSample = ("prediction", "reference", "row")
ForSet = ("predictions", "references", "rows", "threads")

FORMS = (
    "Its parameters are some of prediction, reference and row, and it is called for each sample; "
    "or of predictions, references, rows and threads, and it is called once with lists."
)


class Metric:
    """A function of the user's with what it takes.

    For a sample: any of `prediction`, `reference` (texts) and `row` (the evaluation file's row, all columns, by name),
    returning a number or a truth value. For the whole set: any of `predictions`, `references`, `rows` (lists in one
    order) and `threads` (`schedule.metric_threads`), returning a number, or several by name. Its first parameter
    tells which; parameters of other names keep their defaults.
    """

    def __init__(self, path: Path, name: str, function: Callable[..., Any]) -> None:
        """Raises ConfigError: its parameters are not those of a metric."""
        self.path = path
        self.name = name
        self._function = function
        named = _parameters(function, f"{path}: {name}")
        first = next(iter(named), "")
        self.form: Literal["sample", "set"] = "set" if first in ForSet else "sample"
        known = ForSet if self.form == "set" else ForSample
        self.takes = [key for key in named if key in known]
        self.needs = [key for key in self.takes if named[key].default is inspect.Parameter.empty]
        self._refuse_others(named, known)

    def _refuse_others(self, named: Mapping[str, inspect.Parameter], known: Sequence[str]) -> None:
        where = f"{self.path}: {self.name}"
        for key, parameter in named.items():
            if key not in known and parameter.default is parameter.empty:
                other = key in (*ForSample, *ForSet)
                near = nearest(key, [*ForSample, *ForSet])
                problem = f"mixes {self.takes[0]} with {key}" if other else f"needs a parameter {key}{near}"
                raise ConfigError(f"{where} {problem}", FORMS)
        if not self.takes:
            raise ConfigError(f"{where} takes nothing that could be scored", FORMS)

    def call(self, given: Mapping[str, Any]) -> Any:
        """What it returns; of what it takes, what is not given keeps its default."""
        return self._function(**{key: given[key] for key in self.takes if key in given})


def _parameters(function: Callable[..., Any], where: str) -> dict[str, inspect.Parameter]:
    """Those that can be given by name."""
    if inspect.iscoroutinefunction(function):
        raise ConfigError(f"{where} is async, and is called like any function", "Run its event loop inside it.")
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of some functions in C
        raise ConfigError(f"{where} does not tell its parameters", "Call it from a function of your own.") from None
    unnamed = [p.name for p in found if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]
    if unnamed:
        raise ConfigError(f"{where} does not take {unnamed[0]} by name", FORMS)
    return {p.name: p for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def load_metric(path: Path, name: str) -> Metric:
    """Imports the file anew and finds the function in it.

    Raises:
        ConfigError: there is no such file or function, it is somebody else's, its import raised, or its parameters are
            not those of a metric.
    """
    if not path.is_file():
        raise ConfigError(f"schedule.metric: {path}: no such file", 'Write metric = "file.py:function".')
    require_program(path, "schedule.metric", ConfigError)
    if path.suffix != ".py":
        raise ConfigError(f"schedule.metric: {path}: not a Python file", 'Write metric = "file.py:function".')
    try:
        module = import_file(path, "speedtui_metric")
    except (Exception, SystemExit) as error:
        tell(error)
        raise ConfigError(f"schedule.metric: {path}: its import raised {described(error, path)}", _LOG) from error
    own = own_functions(module)
    if not hasattr(module, name):
        raise ConfigError(
            f"schedule.metric: {path}: no function {name}{nearest(name, own)}",
            f"It has {', '.join(own) or 'no functions'}.",
        )
    function = getattr(module, name)
    if not callable(function):
        raise ConfigError(
            f"schedule.metric: {path}: {name} is {_kind(function)}, not a function",
            f"It has {', '.join(own) or 'no functions'}.",
        )
    try:
        return Metric(path, name, function)
    except ConfigError as error:
        raise ConfigError(f"schedule.metric: {error.message}", error.hint) from None


_LOG = "The traceback is in worker.log."


class NoScore(ValueError):
    """What a metric returned is no score."""


def number_of(value: Any) -> float:
    """The number in what a metric returned: a truth value, or anything that Python takes for a number.

    Raises:
        NoScore: it is none, or not finite.
    """
    if not hasattr(type(value), "__float__"):
        raise NoScore(f"it returned {_kind(value)}, not a number")
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):  # an array or tensor of several
        raise NoScore(f"it returned {_kind(value)} that is not one number") from None
    if not math.isfinite(number):
        raise NoScore(f"it returned {number}")
    return number


def described(error: BaseException, path: Path) -> str:
    """Type, message and the line of the user's file."""
    if isinstance(error, NoScore):
        return str(error)
    lines = str(error.msg if isinstance(error, SyntaxError) else error).strip().splitlines()
    what = f"{type(error).__name__}: {clean(lines[0], 200)}" if lines else type(error).__name__
    line = line_of(error, path)
    return what if line is None else f"{what} ({path.name} line {line})"


def tell(error: BaseException) -> None:
    """The whole of it into the worker's log."""
    warn_traceback(error)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
