"""Full evaluations of real tiny models with metrics of the user's own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from speedtui.engine.config.settings import ModelSettings, ScheduleSettings, Settings
from speedtui.engine.errors import ConfigError, DataError, ExitCode, RecipeError
from tests.engine.evaluate.conftest import write_rows
from tests.engine.workload.small import LLAMA, T5, load

Asked = Callable[..., Settings]
Make = Callable[..., Any]
Write = Callable[..., str]

KEEP = """
    import json
    def score(predictions, references, rows):
        with open(rows[0]["out"], "w") as file:
            json.dump([predictions, references, rows], file)
        return {"match": 0.25, "count": len(rows)}
"""
"""Writes down what it was given."""


@pytest.fixture(params=["t5", "llama"])
def architecture(request: pytest.FixtureRequest) -> dict[str, Any]:
    return T5 if request.param == "t5" else LLAMA


def evaluated(settings: Settings, made: Make) -> Any:
    one = made(settings, load(settings))
    one.evaluator.prepare()
    return one


def test_a_metric_for_each_sample_gives_its_mean(
    architecture: dict[str, Any], asked: Asked, made: Make, metric: Write
) -> None:
    target = metric("def hit(prediction, reference, row):\n    return row['id'] in ('r0', 'r5')", "hit")
    one = evaluated(asked(architecture, schedule={"metric": target}), made)
    with one.phases.phase("eval"):
        scores = one.score()
    assert scores.metrics == {"hit": pytest.approx(2 / 6)}
    assert (scores.unscored, scores.samples, one.notices) == (0, 6, [])
    books = one.phases.books().phases
    assert scores.metric_seconds == pytest.approx(books["metric"], abs=1e-3)
    assert scores.generate_seconds == pytest.approx(books["generate"], abs=1e-3)
    assert one.score(rows=[5]).metrics == {"hit": 1.0}
    assert one.score(metric="").metrics == one.score(metric=None).metrics == {}


def test_each_prediction_comes_with_its_own_reference_and_row_where_rows_are_dropped(
    architecture: dict[str, Any], asked: Asked, made: Make, metric: Write, tmp_path: Path
) -> None:
    """An empty answer, none at all, and, where prompt and answer share their places, a prompt that fills them."""
    out = str(tmp_path / "out.json")
    rows = [
        {"question": "why", "answer": answer, "number": number, "out": out}
        for number, answer in enumerate(["", "zero", None, "one", "two"])
    ]
    rows.insert(3, {"question": "q " * 60, "answer": "x", "number": 5, "out": out})
    settings = asked(architecture, rows=write_rows(tmp_path / "gaps.jsonl", rows), schedule={"metric": metric(KEEP)})
    one = evaluated(settings, made)
    expected = [(1, "zero"), (5, "x"), (3, "one"), (4, "two")]
    if architecture is LLAMA:
        del expected[1]
    assert one.workload.facts.dropped_rows == 6 - len(expected)
    assert one.score().metrics == {"match": 0.25, "count": len(expected)}
    predictions, references, given = json.loads(Path(out).read_text())
    assert [(row["number"], reference) for row, reference in zip(given, references, strict=True)] == expected
    assert [row["answer"] for row in given] == references
    assert predictions == one.texts()
    one.score(rows=[2, 0])
    _, references, given = json.loads(Path(out).read_text())
    assert [(row["number"], text) for row, text in zip(given, references, strict=True)] == [expected[2], expected[0]]
    kept = made(settings, load(settings))  # from the cache this time
    kept.score()
    assert json.loads(Path(out).read_text())[1] == [reference for _, reference in expected]


@pytest.mark.parametrize("kind", ["csv", "parquet", "saved"])
def test_a_row_has_all_columns_of_any_kind_of_file(
    kind: str, asked: Asked, made: Make, metric: Write, tmp_path: Path
) -> None:
    from datasets import Dataset

    columns = {"question": ["why", "a b", "q"], "answer": ["x", "", "y"], "db": ["1.db", "2.db", "3.db"]}
    data, path = Dataset.from_dict(columns), tmp_path / f"rows.{kind}"
    {"csv": data.to_csv, "parquet": data.to_parquet, "saved": data.save_to_disk}[kind](str(path))
    target = metric("def score(row, reference):\n    return row['db'] + reference in ('1.dbx', '3.dby')")
    one = evaluated(asked(T5, rows=path, schedule={"metric": target}), made)
    assert one.score().metrics == {"score": 1.0}, one.notices


def test_only_the_first_rows_are_looked_at_where_that_is_set(asked: Asked, made: Make, metric: Write) -> None:
    target = metric("def score(row):\n    return int(row['id'][1:])")
    one = evaluated(asked(T5, schedule={"metric": target}, data={"eval_rows": 3}), made)
    assert one.score().metrics == {"score": 1.0}


SQL = """
    import sqlite3, threading
    together = threading.Barrier(4)
    def execution(prediction, reference, row):
        together.wait(20)
        with sqlite3.connect(row["db"]) as connection:
            wanted = connection.execute(reference).fetchall()
            try:
                found = connection.execute(prediction).fetchall()
            except sqlite3.Error:
                found = None
            return wanted == found or wanted == [(row["expected"],)]
"""


def test_a_metric_runs_queries_on_the_database_that_its_row_names(
    asked: Asked, made: Make, metric: Write, tmp_path: Path
) -> None:
    """Four at a time: the barrier lets none go on alone."""
    rows = []
    for number in range(8):
        database = tmp_path / f"{number}.db"
        with sqlite3.connect(database) as connection:
            connection.execute("CREATE TABLE t (n INTEGER)")
            connection.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(number)])
        expected = number if number % 2 else -1
        row = {"question": "how many", "answer": "SELECT COUNT(*) FROM t", "expected": expected}
        rows.append({**row, "db": str(database)})
    schedule = {"metric": metric(SQL, "execution"), "metric_threads": 4}
    settings = asked(T5, rows=write_rows(tmp_path / "sql.jsonl", rows), schedule=schedule)
    one = evaluated(settings, made)
    assert one.score().metrics == {"execution": 0.5}
    assert one.notices == []


def test_what_has_no_score_counts_as_0_and_is_told_once(asked: Asked, made: Make, metric: Write) -> None:
    target = metric("""
        def score(prediction, row):
            if row["id"] == "r4":
                return float("nan")
            return 1 / (row["id"] != "r2")
    """)
    one = evaluated(asked(T5, schedule={"metric": target, "metric_threads": 1}), made)
    scores = one.score()
    assert (scores.metrics, scores.unscored) == ({"score": pytest.approx(4 / 6)}, 2)
    assert one.notices == [
        f"{target}: 2 of 6 samples have no score and count as 0: "
        "sample 3: ZeroDivisionError: division by zero (metric.py line 5)"
    ]


def test_a_stuck_metric_costs_its_time_and_is_started_anew(
    asked: Asked, made: Make, metric: Write, tmp_path: Path
) -> None:
    flag = tmp_path / "once"
    target = metric(f"""
        import pathlib, time
        flag = pathlib.Path({str(flag)!r})
        def score(row):
            if row["id"] == "r3" and not flag.exists():
                flag.touch()
                time.sleep(1e6)
            return 1
    """)
    settings = asked(T5, schedule={"metric": target, "metric_timeout": "1s", "metric_threads": 1})
    one = evaluated(settings, made)
    scores = one.score()
    assert (scores.metrics, scores.unscored) == ({"score": 0.5}, 3)
    assert one.notices == [
        f"{target}: 3 of 6 samples have no score and count as 0: the time for schedule.metric_timeout was up, 1.0 s"
    ]
    again = one.score()
    assert (again.metrics, again.unscored, len(one.notices)) == ({"score": 1.0}, 0, 1)


def test_a_whole_sets_metrics_keep_their_names_when_there_is_nothing(
    asked: Asked, made: Make, metric: Write, tmp_path: Path
) -> None:
    flag = tmp_path / "once"
    target = metric(f"""
        import os, pathlib
        flag = pathlib.Path({str(flag)!r})
        def score(predictions, threads):
            if flag.exists():
                os._exit(5)
            flag.touch()
            return {{"bleu": threads, "exact": None}}
    """)
    one = evaluated(asked(T5, schedule={"metric": target, "metric_threads": 3}), made)
    first, second = one.score(), one.score()
    assert (first.metrics, first.unscored) == ({"bleu": 3.0, "exact": 0.0}, 6)
    assert (second.metrics, second.unscored) == ({"bleu": 0.0, "exact": 0.0}, 6)
    assert one.notices[0].endswith("6 of 6 samples have no score and count as 0: exact: it returned None, not a number")
    assert one.notices[1].endswith("the metric's process ended (exit code 5)")


def test_a_metric_can_be_exchanged_while_it_goes_on(asked: Asked, made: Make, metric: Write, tmp_path: Path) -> None:
    one = evaluated(asked(T5, schedule={"metric": metric("def score(prediction):\n    return 1")}), made)
    other = tmp_path / "other.py"
    other.write_text("def half(prediction):\n    return 0.5")
    assert one.score(metric=f"{other}:half").metrics == {"half": 0.5}
    assert one.score().metrics == {"score": 1.0}
    scores = one.score(metric=f"{other}:absent")
    assert (scores.metrics, scores.unscored) == ({"absent": 0.0}, 6)
    assert "no function absent" in one.notices[-1]
    with pytest.raises(ConfigError, match="no function absent"):
        one.evaluator.prepare(msgspec.structs.replace(one.settings.schedule, metric=f"{other}:absent"))
    assert one.score().metrics == {"score": 1.0}


def test_an_evaluation_that_is_left_can_be_made_again(asked: Asked, made: Make, metric: Write) -> None:
    class Left(Exception):
        pass

    leave = [True]

    def report(what: str, done: int, total: int | None) -> None:
        if what == "scoring" and leave and done:
            leave.pop()
            raise Left

    target = metric("import time\ndef score(prediction):\n    time.sleep(0.2)\n    return 1")
    settings = asked(T5, schedule={"metric": target, "metric_threads": 1})
    one = made(settings, load(settings), report)
    with pytest.raises(Left):
        one.score()
    assert one.score(metric_threads=6).metrics == {"score": 1.0}


def test_an_eval_file_that_is_gone_costs_the_metric_only(
    asked: Asked, made: Make, metric: Write, rows_file: Path
) -> None:
    one = evaluated(asked(T5, schedule={"metric": metric("def score(row):\n    return 1")}), made)
    rows_file.unlink()
    scores = one.score()
    assert (scores.metrics, scores.unscored, scores.samples) == ({"score": 0.0}, 6, 6)
    assert "no such file" in one.notices[0]


# -- recipes ---------------------------------------------------------------------------------------

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


# -- refusals --------------------------------------------------------------------------------------


def test_a_metric_that_cannot_work_is_refused_before_the_training(asked: Asked, made: Make, metric: Write) -> None:
    settings = asked(T5, schedule={"metric": metric("def scores(prediction): ...")})
    with pytest.raises(ConfigError, match="no function score; did you mean scores") as caught:
        evaluated(settings, made)
    assert caught.value.exit_code is ExitCode.USAGE
    settings = asked(T5, schedule={"metric": metric("import os; os._exit(3)")})
    with pytest.raises(ConfigError, match=r"the metric's process ended \(exit code 3\)"):
        evaluated(settings, made)


def test_generating_without_evaluation_data_is_refused(asked: Asked, made: Make) -> None:
    settings = asked(T5, schedule={}, data={"eval": None})
    with pytest.raises(DataError, match=r"data\.eval: there is nothing to evaluate") as caught:
        evaluated(settings, made)
    assert caught.value.exit_code is ExitCode.USAGE


def test_the_report_is_told_what_is_done(asked: Asked, made: Make, metric: Write) -> None:
    told: list[tuple[str, int, int | None]] = []
    settings = asked(
        T5, schedule={"generation_batch_size": 2, "metric": metric("def score(prediction):\n    return 1")}
    )
    one = made(settings, load(settings), lambda *what: told.append(what))
    one.evaluator.prepare()
    assert ("loading the metric", 0, None) in told
    one.score()
    assert [("generating", done, 6) in told for done in (0, 2, 4, 6)] == [True] * 4
    assert told[-1] == ("scoring", 6, 6)
