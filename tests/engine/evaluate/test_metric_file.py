"""Which functions are metrics, and what is said of those that are none."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speedtui.engine.errors import ConfigError, ExitCode
from speedtui.engine.evaluate.metric import Metric, NoScore, load_metric, number_of

Write = Callable[..., str]


def loaded(target: str) -> Metric:
    file, _, name = target.rpartition(":")
    return load_metric(Path(file), name)


def refusal(target: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(target)
    assert caught.value.exit_code is ExitCode.USAGE
    assert "\n" not in caught.value.message
    assert caught.value.message.startswith("schedule.metric: ")
    return caught.value


@pytest.mark.parametrize(
    ("parameters", "form", "takes", "needs"),
    [
        ("prediction, reference, row", "sample", ["prediction", "reference", "row"], 3),
        ("row, prediction", "sample", ["row", "prediction"], 2),
        ("prediction, reference=None, strict=True", "sample", ["prediction", "reference"], 1),
        ("predictions, references", "set", ["predictions", "references"], 2),
        ("predictions, *, rows, threads=4", "set", ["predictions", "rows", "threads"], 2),
        ("prediction, *more, **rest", "sample", ["prediction"], 1),
    ],
)
def test_the_first_parameter_tells_what_it_is_called_for(
    metric: Write, parameters: str, form: str, takes: list[str], needs: int
) -> None:
    found = loaded(metric(f"def score({parameters}):\n    return 1"))
    assert (found.form, found.takes, found.needs) == (form, takes, takes[:needs])


def test_an_object_that_can_be_called_will_do(metric: Write) -> None:
    source = """
        class Match:
            def __call__(self, prediction, reference):
                return prediction == reference

        score = Match()
    """
    found = loaded(metric(source))
    assert found.call({"prediction": "a", "reference": "a", "row": {}}) is True


@pytest.mark.parametrize(
    ("source", "name", "problem", "hint"),
    [
        ("def score(prediction): ...", "scor", "no function scor; did you mean score?", "It has score."),
        ("x = 1", "score", "no function score", "It has no functions."),
        ("score = 0.5\ndef other(): ...", "score", "score is a float, not a function", "It has other."),
        ("def score(predictoin): ...", "score", "needs a parameter predictoin; did you mean prediction?", "parameters"),
        ("def score(predictions, reference): ...", "score", "mixes predictions with reference", "parameters"),
        ("def score(): ...", "score", "takes nothing that could be scored", "parameters"),
        ("def score(prediction, /): ...", "score", "does not take prediction by name", "parameters"),
        ("async def score(prediction): ...", "score", "score is async", "event loop"),
        ("import nonsuch", "score", "ModuleNotFoundError: No module named 'nonsuch' (metric.py line 1)", "worker.log"),
        ("x = 1\ny = x / 0", "score", "its import raised ZeroDivisionError: division by zero (metric.py line 2)", ""),
        ("def score(:", "score", "its import raised SyntaxError: invalid syntax (metric.py line 1)", ""),
        ("raise SystemExit(3)", "score", "its import raised SystemExit: 3 (metric.py line 1)", ""),
    ],
)
def test_what_is_no_metric_is_refused(metric: Write, source: str, name: str, problem: str, hint: str) -> None:
    refused = refusal(metric(source, name))
    assert problem in refused.message
    assert hint in refused.hint


def test_a_file_that_is_not_there_or_no_python_is_refused(tmp_path: Path) -> None:
    assert "metric.py: no such file" in refusal(f"{tmp_path}/metric.py:score").message
    (tmp_path / "metric.txt").write_text("def score(prediction): ...")
    assert "not a Python file" in refusal(f"{tmp_path}/metric.txt:score").message


@pytest.mark.parametrize(
    "value", [1, True, 1.0, Fraction(1), np.float32(1), np.bool_(True), np.array(1), torch.tensor(1.0), torch.ones(1)]
)
def test_whatever_is_a_number_counts(value: Any) -> None:
    assert number_of(value) == 1.0


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "it returned None, not a number"),
        ("1", "it returned a str, not a number"),
        ({"a": 1}, "it returned a dict, not a number"),
        (float("nan"), "it returned nan"),
        (np.inf, "it returned inf"),
        (torch.ones(2), "it returned a Tensor that is not one number"),
        (1j, "it returned a complex, not a number"),
    ],
)
def test_what_is_no_number_is_no_score(value: Any, problem: str) -> None:
    with pytest.raises(NoScore, match=problem):
        number_of(value)
