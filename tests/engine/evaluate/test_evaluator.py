"""Full evaluations of real tiny models with metrics of the user's own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.config.settings import Settings
from tests.engine.evaluate.conftest import evaluated, write_rows
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
    """An empty answer, none at all, and, where prompt and answer share their places, a prompt that fills them: what
    the loss has no room for is asked all the same."""
    out = str(tmp_path / "out.json")
    rows = [
        {"question": "why", "answer": answer, "number": number, "out": out}
        for number, answer in enumerate(["", "zero", None, "one", "two"])
    ]
    rows.insert(3, {"question": "q " * 60, "answer": "x", "number": 5, "out": out})
    settings = asked(architecture, rows=write_rows(tmp_path / "gaps.jsonl", rows), schedule={"metric": metric(KEEP)})
    one = evaluated(settings, made)
    expected = [(1, "zero"), (5, "x"), (3, "one"), (4, "two")]
    learned = [row for row in expected if architecture is T5 or row[0] != 5]
    assert one.workload.facts.dropped_rows == 6 - len(learned)
    assert one.score().metrics == {"match": 0.25, "count": len(expected)}
    predictions, references, given = json.loads(Path(out).read_text())
    assert [(row["number"], reference) for row, reference in zip(given, references, strict=True)] == expected
    assert [row["answer"] for row in given] == references
    assert predictions == one.texts()
    one.score(rows=[2, 0])
    _, references, given = json.loads(Path(out).read_text())
    assert [(row["number"], text) for row, text in zip(given, references, strict=True)] == [learned[2], learned[0]]
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
